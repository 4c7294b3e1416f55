// The newest verdicts, fifty at most: older ones are in the slide's gallery, and the page does not grow.

import { byId, make, show } from "../lib/dom.js";
import { path } from "../lib/api.js";
import { clockTime } from "../lib/format.js";
import { t } from "../lib/texts.js";
import { kindOf, likely, share, SIGNS, wordOf } from "../view/answers.js";

const KEPT = 50;

export class Feed {
  constructor() {
    this.list = byId("feed");
    this.ids = new Set();
  }

  add(verdict, { labels, benign }) {
    if (this.ids.has(verdict.id)) return false; // also told after a reconnect
    this.ids.add(verdict.id);
    const row = make("li", { "data-id": verdict.id }, this.row(verdict, labels, benign));
    const after = [...this.list.children].find((each) => Number(each.dataset.id) < verdict.id);
    this.list.insertBefore(row, after ?? null);
    while (this.list.children.length > KEPT) {
      this.ids.delete(Number(this.list.lastElementChild.dataset.id));
      this.list.lastElementChild.remove();
    }
    show(byId("feed-none"), false);
    return true;
  }

  row(verdict, labels, benign) {
    const kind = kindOf(verdict, benign);
    const top = likely(verdict, labels)[0];
    const word = `${SIGNS[kind]} ${wordOf(verdict)}${verdict.label && top ? ` ${share(top[1])}` : ""}`;
    const seen = verdict.seen === null || verdict.seen === undefined ? "" : ` · ${t("verdict.seen", { field: verdict.seen })}`;
    return make(
      "a",
      { href: `/slides/${path(verdict.slide)}#field-${verdict.field}` },
      make("span", { class: "when" }, clockTime(new Date(verdict.utc))),
      make("span", {}, t("feed.field", { field: verdict.field })),
      make("span", { class: `k-${kind}` }, word + seen),
      make("span", { class: "asked soft" }, verdict.asked_by ? t("feed.asked") : ""),
    );
  }
}
