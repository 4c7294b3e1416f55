// Numbers and times in the page's language.

const language = document.documentElement.lang;

export function number(value, digits = 3) {
  return new Intl.NumberFormat(language, { maximumSignificantDigits: digits }).format(value);
}

export function percent(share, digits = 0) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(share);
}

export function clockTime(at, tenths = false) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  if (tenths) options.fractionalSecondDigits = 1;
  return new Intl.DateTimeFormat(language, options).format(at);
}

// A time of the record ("2026-11-30T08:00:00.000Z" or nanoseconds) as day and time of this browser's zone.
export function dayTime(utc) {
  const at = typeof utc === "number" ? new Date(utc / 1e6) : new Date(utc);
  if (Number.isNaN(at.getTime())) return String(utc ?? "");
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" }).format(at);
}

export function gibibytes(bytes) {
  return `${number(bytes / 2 ** 30)} GiB`;
}
