// A slide's tally: fields by class, and by the reason why there is no class.

import { make } from "../lib/dom.js";
import { t } from "../lib/texts.js";
import { labelWord, reasonWord } from "./answers.js";

export function tallyCells(tally, labels) {
  if (!tally) return [];
  const byLabel = { ...Object.fromEntries(labels.map((label) => [label, 0])), ...(tally.labels ?? {}) };
  const cells = [cell(tally.fields ?? 0, t("tally.fields"))];
  for (const [label, count] of Object.entries(byLabel)) cells.push(cell(count, labelWord(label)));
  for (const [reason, count] of Object.entries(tally.reasons ?? {})) cells.push(cell(count, reasonWord(reason)));
  if (tally.seen) cells.push(cell(tally.seen, t("tally.seen")));
  return cells;
}

function cell(value, label) {
  return make("div", { class: "tally-cell" }, make("span", { class: "value" }, String(value)), make("span", { class: "label" }, label));
}
