// What a screen reader is told: the newest text only, and no more often than every few seconds.

import { byId, say } from "./dom.js";

const EVERY_MS = 4000;
let last = -Infinity;
let waiting = null;
let newest = "";

export function announce(text) {
  newest = text;
  if (waiting !== null) return;
  const rest = Math.max(0, last + EVERY_MS - performance.now());
  waiting = setTimeout(() => {
    waiting = null;
    last = performance.now();
    say(byId("announcer"), newest);
  }, rest);
}
