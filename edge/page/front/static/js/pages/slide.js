// One slide: its finding and tally, what was done to it, and the gallery of its fields with corrections.

import { get, path, send } from "../lib/api.js";
import { byId, make, say, show } from "../lib/dom.js";
import { dayTime } from "../lib/format.js";
import { start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { listen } from "../lib/keys.js";
import { sayProblem } from "../lib/session.js";
import { t } from "../lib/texts.js";
import { labelWord, reasonWord } from "../view/answers.js";
import { fieldCard } from "../view/field_card.js";
import { findingWords } from "../view/finding.js";
import { Pager } from "../view/pager.js";
import { tallyCells } from "../view/tally.js";

const PIECE = 24;

async function slide() {
  help();
  listen({ acts: {} });
  const name = decodeURIComponent(location.pathname.split("/")[2]);
  const about = { slide: null, corrected, enlarge };
  await refresh();
  const pager = new Pager({ route, draw: (field) => fieldCard(field, about), list: byId("gallery") });
  for (const id of ["filter", "order"]) byId(id).addEventListener("change", () => pager.load());
  byId("large-close").addEventListener("click", () => byId("large").close());
  byId("large").addEventListener("close", () => byId("large-image").removeAttribute("src"));
  byId("reopen")?.addEventListener("click", reopen);
  await pager.load();
  await toHash();

  async function refresh() {
    about.slide = await get(`/slides/${path(name)}`);
    drawHead(about.slide);
  }

  function route() {
    const [kind, value] = byId("filter").value.split(":");
    const query = new URLSearchParams({ order: byId("order").value, limit: PIECE });
    if (value) query.set(kind, value);
    return `/slides/${path(name)}/fields?${query}`;
  }

  // A field was corrected: its card is drawn again, open where it was.
  async function corrected(field) {
    const fresh = await get(`/slides/${path(name)}/fields/${field.field}`);
    const card = fieldCard(fresh, about);
    byId(`field-${field.field}`).replaceWith(card);
    card.focus();
    await refresh();
  }

  function enlarge(field) {
    say(byId("large-title"), t("verdict.field", { field: field.field }));
    byId("large-image").src = field.image.url;
    byId("large-image").alt = t("field.image", { field: field.field });
    byId("large").showModal();
  }

  async function reopen() {
    try {
      await send("POST", `/slides/${path(name)}/reopen`);
      location.assign("/");
    } catch (error) {
      say(byId("reopen-says"), sayProblem(error));
    }
  }

  // The bench links to one field: it is shown first, also when it is not in the first piece.
  async function toHash() {
    const wanted = /^#field-(\d+)$/.exec(location.hash)?.[1];
    if (!wanted) return;
    if (!byId(`field-${wanted}`)) {
      const found = await get(`/slides/${path(name)}/fields/${wanted}`).catch(() => null);
      if (found) byId("gallery").prepend(fieldCard(found, about));
    }
    byId(`field-${wanted}`)?.scrollIntoView({ block: "center" });
    byId(`field-${wanted}`)?.focus({ preventScroll: true });
  }
}

function drawHead(slide) {
  const words = findingWords(slide.finding ?? { finding: "", tally: slide.tally });
  document.title = `${slide.slide} · Leukoscope`;
  say(byId("slide-name"), slide.slide);
  say(byId("state"), `· ${t(`state.${slide.state}`)}`);
  say(byId("hint"), slide.hint ? t("slides.hint_long") : "");
  byId("finding").dataset.finding = words.name;
  say(byId("finding-sign"), words.sign);
  say(byId("finding-word"), slide.finding || slide.state === "closed" ? words.word : t("slide.still_open"));
  say(byId("finding-why"), words.why);
  byId("finding-missing").replaceChildren(...words.missing.map((text) => make("li", {}, text)));
  say(byId("finding-rule"), slide.finding ? t("slide.rule", { rule: slide.finding.rule }) : "");
  byId("tally").replaceChildren(...tallyCells(slide.tally, slide.labels));
  const { agreed, disagreed } = slide.tally;
  say(byId("agreement"), agreed + disagreed ? t("slide.agreement", { agreed, disagreed }) : "");
  byId("acts").replaceChildren(...slide.acts.map(actRow));
  if (slide.simulated) show(byId("simulated"), true);
  if (byId("reopen")) show(byId("reopen"), slide.state === "closed");
  drawFilter(slide);
}

function actRow(act) {
  const found = act.finding ? findingWords(act.finding).word : "";
  const why = [act.why, found && t("slide.with_finding", { finding: found })].filter(Boolean).join("; ");
  return make("tr", {}, make("td", {}, dayTime(act.utc)), make("td", {}, t(`act.${act.act}`)), make("td", {}, act.by || t("slide.instrument")), make("td", {}, why));
}

function drawFilter(slide) {
  const select = byId("filter");
  const before = select.value;
  const option = (value, text, count) => make("option", { value }, count === undefined ? text : `${text} (${count})`);
  const labels = [...new Set([...slide.labels, ...Object.keys(slide.tally.labels)])];
  select.replaceChildren(
    option("", t("slide.all_fields")),
    ...labels.map((label) => option(`label:${label}`, labelWord(label), slide.tally.labels[label] ?? 0)),
    ...Object.entries(slide.tally.reasons).map(([reason, count]) => option(`reason:${reason}`, reasonWord(reason), count)),
  );
  select.value = before;
  if (select.selectedIndex < 0) select.value = "";
}

start(slide);
