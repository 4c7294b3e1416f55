// The device: what is missing and what to do, self-test, bundle, temperature, disk, clock, and the certificate.

import { get } from "../lib/api.js";
import { byId, coded, make, say, show } from "../lib/dom.js";
import { dayTime, gibibytes, number } from "../lib/format.js";
import { showError, start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { listen } from "../lib/keys.js";
import { sayProblem } from "../lib/session.js";
import { known, t } from "../lib/texts.js";

const ORDER = ["missing", "warning", "unknown", "ok"];
const SIGNS = { ok: "✓", warning: "!", missing: "✕", unknown: "?" };
const BANNERS = { ok: "pass", warning: "inconclusive", missing: "fail", unknown: "inconclusive" };
const EVERY_MS = 30000;

async function device(session) {
  help();
  listen({ acts: {} });
  show(byId("fingerprint-part"), Boolean(session.fingerprint));
  say(byId("fingerprint"), session.fingerprint);
  byId("again").addEventListener("click", () => refresh());
  setInterval(() => document.hidden || refresh(), EVERY_MS);
  await refresh();
}

async function refresh() {
  try {
    draw(await get("/device"));
    showError("");
  } catch (error) {
    showError(sayProblem(error));
  }
}

function draw(found) {
  byId("device-banner").className = `banner ${BANNERS[found.state]}`;
  say(byId("device-word"), `${SIGNS[found.state]} ${t(`device.${found.state}`)}`);
  say(byId("device-at"), t("device.at", { when: dayTime(found.at) }));
  byId("cards").replaceChildren(...cards(found));
  const sorted = [...found.findings].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  byId("findings").replaceChildren(...sorted.map(probe));
  byId("bundle").replaceChildren(...bundleRows(found));
  const test = found.selftest;
  const outcome = test ? known(`selftest.${test.outcome}`, test.outcome) : "";
  say(byId("selftest"), test ? [t("device.selftest_said", { outcome, when: dayTime(test.utc), bundle: test.bundle }), test.detail].filter(Boolean).join(" ") : t("device.selftest_none"));
}

function cards({ temperature_c, disk, clock, uptime_s }) {
  const sync = clock.synchronized === null ? "" : t(clock.synchronized ? "device.clock_sync" : "device.clock_free");
  return [
    card(temperature_c === null ? "–" : `${number(temperature_c)} °C`, t("device.temperature")),
    card(disk ? gibibytes(disk.free_bytes) : "–", disk ? t("device.disk", { total: gibibytes(disk.total_bytes) }) : t("device.disk_unknown")),
    card(dayTime(clock.utc), [t("device.clock"), sync].filter(Boolean).join(": ")),
    card(t("device.hours", { hours: number(uptime_s / 3600, 2) }), t("device.uptime")),
  ];
}

const card = (value, label) => make("div", { class: "card" }, make("span", { class: "value" }, value), make("span", { class: "label" }, label));

// Findings come from the device's own diagnosis, in English.
function probe({ name, state, found, cure }) {
  return make(
    "div",
    { class: "probe", "data-state": state },
    make("h3", {}, make("span", { lang: "en" }, name), make("span", { class: "state" }, `${SIGNS[state]} ${t(`probe.${state}`)}`)),
    make("p", { lang: "en" }, coded(found)),
    cure ? make("p", {}, make("strong", {}, t("device.cure")), " ", make("span", { lang: "en" }, coded(cure))) : null,
  );
}

function bundleRows({ bundle, software }) {
  const rows = [[t("device.software"), software]];
  if (!bundle) rows.unshift([t("device.bundle"), t("device.bundle_none")]);
  else {
    const certified = bundle.certified ? (bundle.synthetic_certificate ? t("device.certified_synthetic") : t("device.certified")) : t("device.uncertified");
    rows.unshift(
      [t("device.bundle_name"), bundle.version === null ? bundle.name : `${bundle.name}, ${t("device.version", { version: bundle.version })}`],
      [t("device.digest"), make("code", {}, bundle.digest)],
      [t("device.signed_by"), bundle.signed_by === "unsigned" ? t("device.unsigned") : make("code", {}, bundle.signed_by)],
      [t("device.certificate"), certified],
      [t("device.acceptance"), bundle.acceptance || t("device.acceptance_none")],
      [t("device.runtime"), bundle.runtime],
      [t("device.since"), dayTime(bundle.since)],
    );
  }
  return rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)));
}

start(device);
