// Bars of probabilities: label, bar, percent.

import { make, makeSvg } from "../lib/dom.js";
import { labelWord, share } from "./answers.js";

export function bars(pairs) {
  return pairs.map(([label, value], place) => {
    const fill = makeSvg("rect", { class: place ? "bar-fill" : "bar-fill top", x: 0, y: 1, width: value * 100, height: 12 });
    const ground = makeSvg("rect", { class: "bar-ground", x: 0, y: 1, width: 100, height: 12 });
    const svg = makeSvg("svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" }, ground, fill);
    return make("div", { class: "bar-row" }, make("span", {}, labelWord(label)), svg, make("span", { class: "n" }, share(value)));
  });
}
