// The newest verdict, large enough to be read from a metre, or why there is none and what to do.
//
// A verdict stays as long as the view does. When the view has moved on, what the gates say of the new one takes its place
// after some seconds: a reason and what to do, the field that was seen before, or that the view can be judged.

import { announce } from "../lib/announce.js";
import { byId, say, show } from "../lib/dom.js";
import { t } from "../lib/texts.js";
import { kindOf, likely, labelWord, reasonWord, SIGNS, share, todoOf, wordOf } from "../view/answers.js";
import { bars } from "../view/bars.js";

const KEPT_MS = 5000;
const REMEMBERED = 50; // verdicts, for views that show a field again

export class VerdictPanel {
  constructor(about) {
    this.about = about; // labels, benign
    this.box = byId("verdict");
    this.field = null; // whose verdict is shown; null where none is
    this.shown = -Infinity;
    this.moved = true; // the view has moved since
    this.known = new Map();
  }

  verdict(verdict) {
    this.known.delete(verdict.field);
    this.known.set(verdict.field, verdict);
    if (this.known.size > REMEMBERED) this.known.delete(this.known.keys().next().value);
    this.shown = performance.now();
    this.moved = false;
    this.draw(verdict, verdict.seen);
    const said = verdict.label ? wordOf(verdict) : `${t("verdict.no_answer")} ${wordOf(verdict)}`;
    announce(t("verdict.announced", { field: verdict.field, said }));
  }

  // What the gates say of the frame in view.
  meters({ refused, seen, still }, mode) {
    if (still === false) this.moved = true;
    if (this.field !== null && (!this.moved || performance.now() - this.shown < KEPT_MS)) return;
    if (refused) {
      const head = t(mode === "open" ? "verdict.now" : "verdict.now_not_judged");
      const detail = still ? "" : t("verdict.moving");
      this.put({ kind: "refused", head, word: reasonWord(refused), detail, todo: todoOf(refused) });
    } else if (seen !== null && seen !== undefined) {
      if (this.known.has(seen)) this.draw(this.known.get(seen), seen);
      else this.put({ kind: "none", head: t("verdict.again"), word: t("verdict.seen", { field: seen }), todo: t("verdict.again_todo") });
    } else if (mode === "open") {
      this.put({ kind: "none", head: t("verdict.usable"), word: t(still ? "verdict.ready" : "verdict.hold_still") });
    } else this.put({ kind: "none", head: t(mode === "paused" ? "verdict.paused" : "verdict.no_slide"), word: t("verdict.usable_word") });
  }

  // Another slide, or none: nothing that was said holds.
  clear(text) {
    this.known.clear();
    this.put({ kind: "none", head: text, word: "–" });
  }

  draw(verdict, seen) {
    const pairs = likely(verdict, this.about.labels);
    const english = document.documentElement.lang === "en";
    this.put({
      kind: kindOf(verdict, this.about.benign),
      head: t("verdict.field", { field: verdict.field }),
      word: wordOf(verdict),
      detail: verdict.label ? sure(pairs, verdict.label) : english ? verdict.detail : "",
      todo: verdict.label ? "" : todoOf(verdict.reason),
      seen,
      pairs,
    });
    this.field = verdict.field;
    this.box.dataset.field = verdict.field;
  }

  put({ kind, head, word, detail = "", todo = "", seen = null, pairs = [] }) {
    this.field = null;
    delete this.box.dataset.field;
    this.box.dataset.kind = kind;
    say(byId("verdict-field"), head);
    say(byId("verdict-sign"), SIGNS[kind]);
    say(byId("verdict-word"), word);
    say(byId("verdict-detail"), detail);
    say(byId("verdict-todo"), todo);
    show(byId("verdict-todo"), Boolean(todo));
    const again = seen !== null && seen !== undefined;
    show(byId("seen"), again);
    say(byId("seen"), again ? t("verdict.seen", { field: seen }) : "");
    byId("probabilities").replaceChildren(...bars(pairs));
  }
}

function sure(pairs, label) {
  const own = pairs.find(([name]) => name === label);
  return own ? t("verdict.sure", { share: share(own[1]), label: labelWord(label) }) : "";
}
