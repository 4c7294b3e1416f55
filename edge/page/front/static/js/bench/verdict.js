// The newest verdict, large enough to be read from a metre, or why there is none and what to do.

import { announce } from "../lib/announce.js";
import { byId, say, show } from "../lib/dom.js";
import { t } from "../lib/texts.js";
import { kindOf, likely, labelWord, reasonWord, SIGNS, share, todoOf, wordOf } from "../view/answers.js";
import { bars } from "../view/bars.js";

const KEPT_MS = 6000; // a verdict stays this long when the view moves on

export class VerdictPanel {
  constructor() {
    this.box = byId("verdict");
    this.shown = 0;
  }

  verdict(verdict, { labels, benign }) {
    this.shown = performance.now();
    const kind = kindOf(verdict, benign);
    const pairs = likely(verdict, labels);
    this.put({
      kind,
      head: t("verdict.field", { field: verdict.field }),
      word: wordOf(verdict),
      detail: verdict.label ? this.sure(pairs, verdict.label) : document.documentElement.lang === "en" ? verdict.detail : "",
      todo: verdict.label ? "" : todoOf(verdict.reason),
      seen: verdict.seen,
      pairs,
    });
    this.box.dataset.field = verdict.field;
    const said = verdict.label ? wordOf(verdict) : `${t("verdict.no_answer")} ${wordOf(verdict)}`;
    announce(t("verdict.announced", { field: verdict.field, said }));
  }

  // What the gates say of the frame in view; it takes the verdict's place once that has been read.
  meters({ refused, seen, still }, mode) {
    show(byId("seen"), seen !== null && seen !== undefined);
    say(byId("seen"), seen === null || seen === undefined ? "" : t("verdict.seen", { field: seen }));
    if (performance.now() - this.shown < KEPT_MS || !refused) return;
    const word = reasonWord(refused);
    const head = mode === "open" ? t("verdict.now") : t("verdict.now_not_judged");
    this.put({ kind: "refused", head, word, detail: still === false ? t("verdict.moving") : "", todo: todoOf(refused), seen, pairs: [] });
    delete this.box.dataset.field;
  }

  clear(text) {
    this.shown = 0;
    this.put({ kind: "none", head: text, word: "–", detail: "", todo: "", seen: null, pairs: [] });
    delete this.box.dataset.field;
  }

  put({ kind, head, word, detail, todo, seen, pairs }) {
    this.box.dataset.kind = kind;
    say(byId("verdict-field"), head);
    say(byId("verdict-sign"), SIGNS[kind]);
    say(byId("verdict-word"), word);
    say(byId("verdict-detail"), detail);
    say(byId("verdict-todo"), todo);
    show(byId("verdict-todo"), Boolean(todo));
    show(byId("seen"), seen !== null && seen !== undefined);
    say(byId("seen"), seen === null || seen === undefined ? "" : t("verdict.seen", { field: seen }));
    byId("probabilities").replaceChildren(...bars(pairs));
  }

  sure(pairs, label) {
    const own = pairs.find(([name]) => name === label);
    return own ? t("verdict.sure", { share: share(own[1]), label: labelWord(label) }) : "";
  }
}
