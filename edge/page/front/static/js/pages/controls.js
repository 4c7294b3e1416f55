// The control charts of every control slide, and where light, white and focus go since the camera was set up.

import { get } from "../lib/api.js";
import { byId, make, makeSvg, say } from "../lib/dom.js";
import { dayTime, number, percent } from "../lib/format.js";
import { start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { listen } from "../lib/keys.js";
import { known, t } from "../lib/texts.js";
import { chart, mark } from "../view/chart.js";

const KINDS = ["baseline", "in", "warning", "out", "unsound"];
const SIGNS = { passed: ["pass", "✓"], failed: ["fail", "✕"], baseline: ["inconclusive", "…"] };

async function controls() {
  help();
  listen({ acts: {} });
  const [found, trends] = await Promise.all([get("/controls"), get("/trends")]);
  say(byId("demanded"), t(found.demanded ? "controls.demanded" : "controls.not_demanded"));
  const parts = [...found.slides].reverse().map(slidePart);
  if (found.problem) parts.unshift(make("p", { class: "notice-line stop", lang: "en" }, found.problem));
  if (!parts.length) parts.push(make("p", {}, t("controls.none")));
  byId("controls").replaceChildren(...parts);
  say(byId("trends-why"), trends.measures.length ? "" : t("trends.none"));
  say(byId("trends-cure"), trends.cure);
  byId("trends").replaceChildren(...trends.measures.map(trendPart));
}

function slidePart(slide) {
  const [css, sign] = SIGNS[slide.outcome];
  const word = `${sign} ${t(`controls.${slide.outcome}`)}`;
  return make(
    "section",
    {},
    make("h2", {}, slide.lot ? t("controls.slide_lot", { slide: slide.slide, lot: slide.lot }) : t("controls.slide", { slide: slide.slide })),
    make("div", { class: `banner ${css}` }, make("div", { class: "word" }, word), slide.why ? make("p", { lang: "en" }, slide.why) : null),
    make("p", { class: "sub" }, t("controls.of", { controls: slide.controls, bundle: slide.bundle, camera: slide.camera, when: dayTime(slide.utc) })),
    legend(),
    make("div", { class: "charts" }, slide.charts.map(controlChart)),
  );
}

function legend() {
  return make(
    "ul",
    { class: "legend" },
    KINDS.map((kind) => make("li", {}, makeSvg("svg", { viewBox: "0 0 18 14", "aria-hidden": "true" }, mark({ kind }, 9, 7)), t(`point.${kind}`))),
  );
}

function controlChart(each) {
  const name = known(`measure.${each.measure}`, each.words);
  const newest = each.points.at(-1);
  const rejected = each.points.filter((point) => point.kind === "out").length;
  const z = newest?.z ?? null;
  const alt = [
    t("controls.alt", { name, count: each.points.length, rejected }),
    z === null ? "" : t("controls.alt_newest", { z: number(z, 2) }),
  ].join(" ");
  const levels = each.target ? [-3, -2, 0, 2, 3].map((deviations) => level(each, deviations)) : [];
  let before = [];
  const points = each.points.map((point) => {
    const rule = point.rules.filter((name) => !before.includes(name)).join(" ");
    before = point.rules;
    const title = `${point.number}: ${point.value === null ? "–" : number(point.value, 4)} · ${t(`point.${point.kind}`)} ${point.rules.join(" ")} · ${dayTime(point.utc)}`;
    return { x: point.number, y: point.value ?? NaN, kind: point.kind, rule, title };
  });
  return make(
    "figure",
    { class: "chart", "data-testid": `chart-${each.measure}` },
    make("h3", {}, each.unit ? `${name}, ${known(`unit.${each.unit}`, each.unit)}` : name),
    chart({ points, levels, from: t("controls.first", { number: points[0]?.x ?? "" }), to: t("controls.last", { number: newest?.number ?? "" }), alt }),
    each.said.length ? make("figcaption", { lang: "en" }, each.said.join(" · ")) : null,
  );
}

function level(each, deviations) {
  const kind = deviations === 0 ? "c-mean" : Math.abs(deviations) === 3 ? "c-sd three" : "c-sd";
  const text = deviations === 0 ? t("controls.mean") : `${deviations > 0 ? "+" : "−"}${Math.abs(deviations)} SD`;
  return { y: each.target.mean + deviations * each.target.sd, kind, text };
}

function trendPart(each) {
  const name = known(`trend.${each.name}`, each.words);
  const state = each.beyond ? "out" : each.warns ? "warning" : "in";
  const points = each.points.map((point) => ({ x: Date.parse(point.utc), y: point.part * 100, kind: state, title: `${dayTime(point.utc)}: ${percent(point.part, 1)}` }));
  const levels = [
    { y: 100, kind: "c-mean", text: "100 %" },
    { y: 100 * (1 + each.limit), kind: "c-sd", text: `+${percent(each.limit)}` },
    { y: 100 * (1 - each.limit), kind: "c-sd", text: `−${percent(each.limit)}` },
  ];
  const sign = { out: "✕", warning: "!", in: "✓" }[state];
  const said = [t("trends.now", { part: percent(each.part, 1) })];
  if (each.a_week !== null) said.push(t("trends.a_week", { change: `${each.a_week > 0 ? "+" : ""}${number(each.a_week * 100, 2)}` }));
  if (each.days !== null) said.push(t("trends.days", { days: number(each.days, 2) }));
  return make(
    "figure",
    { class: "chart", "data-testid": `trend-${each.name}` },
    make("h3", {}, `${sign} ${name}`),
    points.length ? chart({ points, levels, from: dayTime(each.points[0].utc), to: dayTime(each.points.at(-1).utc), alt: `${name}: ${said.join(" ")}` }) : null,
    make("figcaption", {}, said.join(" ")),
  );
}

start(controls);
