// A hint when the identifier of a slide looks like a patient's name or a date of birth (edge.commissioning.patient_names).

const YEAR = "(?:19|20)\\d\\d";
const MONTH = "(?:0?[1-9]|1[0-2])";
const DAY = "(?:0?[1-9]|[12]\\d|3[01])";
const DATE = new RegExp(
  `(?<!\\d)(?:${YEAR}[-./_]${MONTH}[-./_]${DAY}|${DAY}[-./_]${MONTH}[-./_]${YEAR}` +
    `|${MONTH}[-./_]${DAY}[-./_]${YEAR}|${YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01]))(?!\\d)`,
);
const NAMES_NOBODY = new Set(
  `acute all aml benign blast blasts blood bone camera chronic class cll cml control day early evening field film friday
giemsa healthy hem image images lab laboratory left leukaemia leukemia leukemic lot lymphoblastic malignant marrow
microscope monday morning myeloid negative new night normal old patient positive pre pro quality reference right sample
saturday scan series session set site slide slides smear stain stained station sunday test thick thin thursday train
training tuesday unknown wednesday week wright`.split(/\s+/),
);

const ALLOWED = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

// "date" or "name" for what looks like one, "" for neither.
export function likePatient(text) {
  if (DATE.test(text)) return "date";
  const words = (text.match(/\p{L}+/gu) ?? []).flatMap((word) => word.split(/(?<=[a-z])(?=[A-Z])/));
  for (let place = 0; place + 1 < words.length; place++) {
    const pair = words.slice(place, place + 2);
    if (pair.some((word) => NAMES_NOBODY.has(word.toLowerCase()) || word.length < 2)) continue;
    if (pair.every((word) => /^\p{Lu}\p{Ll}+$/u.test(word)) || pair.every((word) => /^\p{Lu}{3,}$/u.test(word))) return "name";
  }
  return "";
}

export const isIdentifier = (text) => ALLOWED.test(text);
