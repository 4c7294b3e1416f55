// On the picture, at once: whether this view can be judged, moves, or was seen before.

import { byId, say, show } from "../lib/dom.js";
import { t } from "../lib/texts.js";
import { reasonWord } from "../view/answers.js";

export function badge({ refused, seen, still }) {
  const again = seen !== null && seen !== undefined;
  const kind = refused ? "refused" : again ? "seen" : still ? "usable" : "moving";
  const text = { refused: () => `✕ ${reasonWord(refused)}`, seen: () => `= ${t("verdict.seen", { field: seen })}`, usable: () => `✓ ${t("view.usable")}`, moving: () => `↔ ${t("view.moving")}` }[kind]();
  const element = byId("badge");
  element.dataset.kind = kind;
  say(element, text);
  show(element, true);
}

export function noBadge() {
  show(byId("badge"), false);
}
