// The bench: the live picture, meters, the verdict, and the slide as it adds up.

import { Actions } from "../bench/actions.js";
import { Feed } from "../bench/feed.js";
import { listen } from "../lib/keys.js";
import { Live } from "../bench/live.js";
import { Meters } from "../bench/meters.js";
import { fromState, Notices } from "../bench/notices.js";
import { Picture } from "../bench/picture.js";
import { SlidePanel } from "../bench/slide_panel.js";
import { VerdictPanel } from "../bench/verdict.js";
import { byId, make, say, show } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { may, stillIn } from "../lib/session.js";
import { t } from "../lib/texts.js";

function bench() {
  help();
  const picture = new Picture();
  const meters = new Meters();
  const verdict = new VerdictPanel();
  const feed = new Feed();
  const notices = new Notices();
  const actions = new Actions();
  const panel = new SlidePanel(actions.said);
  const about = { labels: [], benign: [] };
  let hello = null;
  let state = { mode: "unknown" };
  let linked = false; // this page to the page's process
  let served = false; // the page's process to the instrument
  let lostAt = null;

  const takes = {
    hello(message) {
      hello = message;
      about.labels = message.labels ?? [];
      about.benign = message.benign ?? [];
      meters.setLimits(message.gates);
      panel.labels = about.labels;
      show(byId("simulated"), Boolean(message.simulated));
      byId("reference-labels")?.replaceChildren(...about.labels.map((label) => make("option", { value: label })));
      refresh();
    },
    state(message) {
      served = true;
      if (message.mode !== "none" && state.mode !== "unknown" && message.slide !== state.slide) {
        verdict.clear(t("verdict.none_yet"));
        say(byId("last-closed"), "");
      }
      state = message;
      refresh();
    },
    meters(message) {
      meters.take(message);
      verdict.meters({ ...message, refused: message.refused ?? "" }, state.mode);
    },
    verdict(message) {
      const isNew = feed.add(message, about);
      if (isNew && message.slide === state.slide) verdict.verdict(message, about);
    },
    slide(message) {
      if (message.act === "closed") panel.closed(message);
      if (message.why) notices.set("slide", t("notice.slide", { slide: message.slide, act: t(`act.${message.act}`), why: message.why }), { grade: "news" });
    },
    bye() {
      served = false;
      refresh();
    },
    link(message) {
      served = message.connected;
      sayMissed(message);
      if (!served) meters.clear();
      refresh();
    },
  };

  const live = new Live({
    message: (message) => takes[message.kind]?.(message),
    preview: (preview) => picture.draw(preview),
    link(how) {
      linked = how === "open";
      notices.set("full", how === "full" ? t("notice.full") : "", { grade: "care" });
      if (!linked) stillIn().catch(() => undefined);
      if (!linked && lostAt === null) lostAt = new Date();
      if (linked && lostAt) {
        notices.set("back", t("notice.back", { seconds: Math.max(1, Math.round((Date.now() - lostAt) / 1000)) }), { grade: "news" });
        lostAt = null;
      }
      if (!linked) meters.clear();
      refresh();
    },
  });

  function sayMissed({ missed, complete }) {
    if (!missed && complete !== false) return;
    notices.set("missed", t(complete === false ? "notice.missed_more" : "notice.missed", { entries: missed }), { grade: "news" });
  }

  function refresh() {
    const away = !linked ? t("notice.page_away") : served ? "" : t("notice.instrument_away");
    notices.set("away", away, { grade: "stop", todo: away && t("notice.away_todo") });
    picture.blame(!linked ? t("picture.page_away") : !served ? t("picture.instrument_away") : state.camera && state.camera !== "ok" ? state.camera : "");
    panel.take(state);
    actions.take(state, linked && served);
    if (linked && served) fromState(notices, state, hello);
    say(byId("link-state"), linked && served ? t("bench.connected") : t("bench.not_connected"));
    if (state.mode === "paused") verdictHeld();
  }

  function verdictHeld() {
    if (byId("verdict").dataset.kind === "none") verdict.clear(t("verdict.paused"));
  }

  setInterval(() => {
    notices.set("slow", picture.slow ? t("notice.slow", { seconds: number(picture.late / 1000, 2) }) : "", { grade: "care" });
  }, 1000);

  listen({
    judge: () => actions.judge(),
    acts: {
      " ": () => actions.judge(),
      j: () => actions.judge(),
      p: () => panel.toggle(),
      a: () => may("operate") && actions.flip("automatic"),
      e: () => may("administer") && actions.flip("lock-exposure"),
      c: () => may("operate") && panel.askToClose(),
      g: () => state.slide && location.assign(byId("slide-link").href),
    },
    // With no slide open, a scanner's or a person's typing is the next slide's identifier.
    typing(event) {
      if (!panel.input || state.mode !== "none" || !/^[A-Za-z0-9]$/.test(event.key)) return false;
      panel.input.focus();
      return true;
    },
  });
  live.open();
}

start(bench);
