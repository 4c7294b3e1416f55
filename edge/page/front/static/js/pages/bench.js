// The bench: the live picture, meters, the verdict, and the slide as it adds up.

import { Actions } from "../bench/actions.js";
import { badge, noBadge } from "../bench/badge.js";
import { Feed } from "../bench/feed.js";
import { listen } from "../lib/keys.js";
import { Live } from "../bench/live.js";
import { Meters } from "../bench/meters.js";
import { fromState, Notices } from "../bench/notices.js";
import { Picture } from "../bench/picture.js";
import { Presence } from "../bench/presence.js";
import { SlidePanel } from "../bench/slide_panel.js";
import { VerdictPanel } from "../bench/verdict.js";
import { byId, make, say } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { may, stillIn } from "../lib/session.js";
import { t } from "../lib/texts.js";
import { sayLicence } from "../view/licence.js";

const SHOWN_FIRST = 60; // entries of the record, when the page is opened

function bench() {
  help();
  const picture = new Picture();
  const meters = new Meters();
  const feed = new Feed();
  const notices = new Notices();
  const actions = new Actions();
  const panel = new SlidePanel(actions.said);
  const presence = new Presence(notices, refresh);
  const about = { labels: [], benign: [] };
  const verdict = new VerdictPanel(about);
  let hello = null;
  let state = { mode: "unknown" };
  let catchingUp = true; // what was recorded before this page was opened goes to the list alone:
  let before = Infinity; // entries up to this one

  const takes = {
    hello(message) {
      hello = message;
      about.labels = message.labels ?? [];
      about.benign = message.benign ?? [];
      meters.setLimits(message.gates);
      panel.labels = about.labels;
      sayLicence(message);
      byId("reference-labels")?.replaceChildren(...about.labels.map((label) => make("option", { value: label })));
      refresh();
    },
    state(message) {
      const other = message.slide !== state.slide || (message.mode === "none") !== (state.mode === "none");
      if (other) verdict.clear(t(message.mode === "none" ? "verdict.no_slide" : "verdict.none_yet"));
      if (other && message.mode !== "none") say(byId("last-closed"), ""); // not by a state from before the closing
      state = message;
      if (before === Infinity) before = Math.max(message.entry, live.entry);
      presence.set({ served: true });
    },
    meters(message) {
      meters.take(message);
      badge(message);
      verdict.meters(message, state.mode);
    },
    verdict(message) {
      const isNew = feed.add(message, about);
      const old = catchingUp && message.id <= before;
      if (isNew && !old && message.slide === state.slide) verdict.verdict(message);
    },
    slide(message) {
      if (message.act === "closed") panel.closed(message);
      if (message.why) notices.set("slide", t("notice.slide", { slide: message.slide, act: t(`act.${message.act}`), why: message.why }), { grade: "news" });
    },
    link(message) {
      if (catchingUp === "begun") catchingUp = false;
      else if (catchingUp) {
        catchingUp = "begun";
        live.ask(Math.max(0, message.entry - SHOWN_FIRST));
      } else sayMissed(message);
      if (!message.connected) blind();
      presence.set({ served: message.connected });
    },
  };

  const live = new Live({
    message: (message) => takes[message.kind]?.(message),
    preview: (preview) => picture.draw(preview),
    link(how) {
      notices.set("full", how === "full" ? t("notice.full") : "", { grade: "care" });
      if (how !== "open") {
        blind();
        stillIn().catch(() => undefined);
      }
      presence.set({ linked: how === "open", served: false });
    },
  });

  function sayMissed({ missed, complete }) {
    if (!missed && complete !== false) return;
    notices.set("missed", t(complete === false ? "notice.missed_more" : "notice.missed", { entries: missed }), { grade: "news" });
  }

  function refresh() {
    const camera = state.camera && state.camera !== "ok" ? state.camera : "";
    picture.blame(presence.why || camera);
    panel.take(state);
    actions.take(state, presence.here);
    if (presence.here) fromState(notices, state, hello);
    say(byId("link-state"), t(presence.here ? "bench.connected" : "bench.not_connected"));
  }

  function blind() {
    meters.clear();
    noBadge();
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
