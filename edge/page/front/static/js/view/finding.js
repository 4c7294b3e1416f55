// A slide's finding in words: what it came to, on how many fields, how wide the interval is, and what is missing.

import { percent } from "../lib/format.js";
import { known, t } from "../lib/texts.js";

const SIGNS = { suspicious: "▲", benign: "●", undecided: "?", refused: "–", not_enough_fields: "…", none: "" };

// finding: as the instrument and the API have it (edge.slides.finding.SlideFinding); null or {} for none.
// Its name, word and sign, why in one or two sentences, and what is missing as a list.
export function findingWords(finding) {
  const name = finding?.finding || "none";
  const missing = name === "not_enough_fields" ? missingOf(finding) : [];
  return { name, sign: SIGNS[name] ?? "", word: known(`finding.${name}`, name), why: why(finding), missing };
}

function why(finding) {
  const tally = finding?.tally;
  if (!tally?.answered) return finding?.withheld ? t("finding.withheld", { why: finding.withheld }) : t("finding.nothing_answered");
  const said = [t("finding.share", { other: tally.other, answered: tally.answered, share: percent(tally.other / tally.answered, 1) })];
  if (finding.interval) {
    const [low, high] = finding.interval.map((limit) => percent(limit, 1));
    said.push(t("finding.interval", { low, high }));
  }
  if (finding.finding === "refused") said.push(t("finding.passed", { passed: tally.passed, fields: tally.fields }));
  if (finding.withheld) said.push(t("finding.withheld", { why: finding.withheld }));
  return said.join(" ");
}

function missingOf({ tally, fields, width, interval }) {
  const said = [];
  if (tally && tally.fields < fields) said.push(t("finding.needs_fields", { has: tally.fields, needs: fields }));
  const [low, high] = interval ?? [0, 0];
  if (high - low > width) said.push(t("finding.needs_width", { has: percent(high - low), needs: percent(width) }));
  return said;
}
