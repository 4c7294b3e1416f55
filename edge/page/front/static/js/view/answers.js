// How answers look and read: kind, sign, word, and for a refusal what to do. Kinds differ by sign and word, not by colour alone.

import { percent } from "../lib/format.js";
import { known, t } from "../lib/texts.js";

export const SIGNS = { benign: "●", suspicious: "▲", unsure: "?", refused: "–", none: "" };
const UNSURE = ["low_confidence", "not_accepted"]; // the gates let these through; no class may be said

// benign: labels that are benign, of `hello` or GET /labels.
export function kindOf(verdict, benign) {
  if (verdict.label) return benign.includes(verdict.label) ? "benign" : "suspicious";
  return UNSURE.includes(verdict.reason) ? "unsure" : "refused";
}

export function wordOf(verdict) {
  return verdict.label ? labelWord(verdict.label) : reasonWord(verdict.reason);
}

export function labelWord(label) {
  return label === "suspicious" ? t("finding.suspicious") : label;
}

export function reasonWord(reason) {
  return known(`reason.${reason}`, String(reason ?? "").replaceAll("_", " "));
}

export function todoOf(reason) {
  return known(`todo.${reason}`, "");
}

export function gateWord(name) {
  return known(`gate.${name}`, name.replaceAll("_", " "));
}

// [label, share] of a verdict, the likeliest first; [] where no model was asked.
export function likely(verdict, labels = []) {
  const given = verdict.probabilities;
  if (!given) return [];
  const pairs = Array.isArray(given) ? given.map((share, place) => [labels[place] ?? String(place), share]) : Object.entries(given);
  return pairs.filter(([, share]) => Number.isFinite(share)).sort((a, b) => b[1] - a[1]);
}

export function share(value) {
  return percent(value, value > 0.99 && value < 1 ? 1 : 0);
}
