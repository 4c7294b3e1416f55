// The history of slides, newest first, and the search in it.

import { path } from "../lib/api.js";
import { byId, make, say } from "../lib/dom.js";
import { dayTime } from "../lib/format.js";
import { start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { listen } from "../lib/keys.js";
import { t } from "../lib/texts.js";
import { findingWords } from "../view/finding.js";
import { Pager } from "../view/pager.js";

const PIECE = 50;
const TYPING_MS = 250;

function slides() {
  help();
  listen({ acts: {} });
  const search = byId("search");
  search.value = new URLSearchParams(location.search).get("q") ?? "";
  const pager = new Pager({
    route: () => `/slides?limit=${PIECE}&q=${encodeURIComponent(search.value.trim())}`,
    draw: row,
    list: byId("rows"),
    done: (items) => say(byId("count"), t("slides.count", { count: items.length })),
  });
  const find = () => {
    const query = search.value.trim();
    history.replaceState(null, "", query ? `?q=${encodeURIComponent(query)}` : location.pathname);
    pager.load();
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, TYPING_MS);
  });
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    find();
  });
  return pager.load();
}

function row(slide) {
  const words = findingWords(slide.finding);
  const finding = slide.finding ? `${words.sign} ${words.word}` : "";
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("a", { href: `/slides/${path(slide.slide)}` }, slide.slide), slide.hint ? make("span", { class: "hint", title: slide.hint }, ` ${t("slides.hint")}`) : null),
    make("td", {}, t(`state.${slide.state}`)),
    make("td", { class: `f-${words.name}` }, finding),
    make("td", { class: "n" }, String(slide.fields)),
    make("td", {}, make("time", { datetime: slide.utc }, dayTime(slide.utc))),
    make("td", {}, slide.by),
  );
}

start(slides);
