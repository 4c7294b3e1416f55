// A chart as inline SVG: points over their order, lines at levels, marks that differ by shape as well as by colour.

import { makeSvg } from "../lib/dom.js";
import { number } from "../lib/format.js";

const WIDTH = 560;
const HEIGHT = 230;
const LEFT = 64;
const RIGHT = 58;
const TOP = 14;
const BOTTOM = 30;

// points: [{x, y, kind, title}]; levels: [{y, kind, text}]; from, to: texts under the ends; alt: for who cannot see it.
export function chart({ points, levels, from, to, alt }) {
  const shown = points.filter((point) => Number.isFinite(point.y));
  const heights = [...shown.map((point) => point.y), ...levels.map((level) => level.y)];
  const low = Math.min(...heights);
  const high = Math.max(...heights);
  const room = high > low ? (high - low) * 0.08 : Math.abs(high) * 0.1 || 1;
  const first = Math.min(...shown.map((point) => point.x));
  const last = Math.max(...shown.map((point) => point.x));
  const x = (value) => (last > first ? LEFT + 8 + ((value - first) / (last - first)) * (WIDTH - LEFT - RIGHT - 16) : WIDTH / 2);
  const y = (value) => TOP + (1 - (value - low + room) / (high - low + 2 * room)) * (HEIGHT - TOP - BOTTOM);
  const svg = makeSvg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": alt });
  svg.append(
    makeSvg("line", { class: "c-axis", x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM }),
    makeSvg("line", { class: "c-axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
  );
  for (const level of levels) {
    svg.append(
      makeSvg("line", { class: level.kind, x1: LEFT, x2: WIDTH - RIGHT, y1: y(level.y), y2: y(level.y) }),
      makeSvg("text", { class: "c-text", x: WIDTH - RIGHT + 5, y: y(level.y) + 4 }, level.text),
    );
  }
  for (const value of [low, high]) {
    svg.append(makeSvg("text", { class: "c-text", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, number(value, 4)));
  }
  if (shown.length > 1) {
    svg.append(makeSvg("polyline", { class: "c-line", points: shown.map((point) => `${x(point.x)},${y(point.y)}`).join(" ") }));
  }
  for (const point of shown) svg.append(mark(point, x(point.x), y(point.y)));
  svg.append(
    makeSvg("text", { class: "c-text", x: LEFT, y: HEIGHT - 8 }, from),
    makeSvg("text", { class: "c-text", x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, to),
  );
  return svg;
}

export function mark({ kind, title, rule }, x, y) {
  const group = makeSvg("g", { class: `mark-${kind}` });
  if (kind === "out") {
    group.append(makeSvg("path", { class: "c-out", d: `M${x - 6} ${y - 6}L${x + 6} ${y + 6}M${x - 6} ${y + 6}L${x + 6} ${y - 6}` }));
    if (rule) group.append(makeSvg("text", { class: "c-rule", x: x, y: y - 10, "text-anchor": "middle" }, rule));
  } else if (kind === "warning") group.append(makeSvg("rect", { class: "c-warning", x: x - 5, y: y - 5, width: 10, height: 10 }));
  else if (kind === "unsound") group.append(makeSvg("path", { class: "c-unsound", d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z` }));
  else group.append(makeSvg("circle", { class: `c-${kind}`, cx: x, cy: y, r: 4.5 }));
  if (title) group.append(makeSvg("title", {}, title));
  return group;
}
