// A meter: a bar on which right is better, the good range shaded, and the best of the last seconds held as a mark.

import { byId, say } from "../lib/dom.js";

const HELD_MS = 4000;
const SAID_EVERY_MS = 1000;

export class Meter {
  constructor(name) {
    this.name = name;
    this.element = byId(name);
    this.bar = this.element.querySelector("svg");
    this.held = [];
    this.said = 0;
  }

  // share: 0..1 along the bar; good: [from, to] of it; state: "good" or "bad"; text: for people; peakText: of the best
  // of the last seconds, which is then marked.
  put(share, { good = null, state, text, peakText = null }) {
    const now = performance.now();
    const at = clamp(share);
    this.held = this.held.filter((each) => now - each.when < HELD_MS);
    this.held.push({ when: now, at, share });
    const peak = this.held.reduce((best, each) => (each.at > best.at ? each : best));
    part(this.bar, ".meter-value", 0, at);
    if (good) part(this.bar, ".meter-good", clamp(good[0]), clamp(good[1]));
    if (peakText) this.bar.querySelector(".meter-peak").setAttribute("x", String(peak.at * 1000 - 4));
    this.element.dataset.state = state;
    this.element.dataset.share = at.toFixed(3);
    this.element.dataset.peak = peak.at.toFixed(3);
    say(byId(`${this.name}-says`), text);
    say(byId(`${this.name}-peak`), peakText ? peakText(peak.share) : "");
    if (now - this.said > SAID_EVERY_MS) {
      this.said = now;
      this.bar.setAttribute("aria-valuenow", String(Math.round(at * 100)));
      this.bar.setAttribute("aria-valuetext", text);
    }
  }

  // Nothing is measured now.
  clear(text = "–") {
    this.held = [];
    this.element.dataset.state = "none";
    part(this.bar, ".meter-value", 0, 0);
    this.bar.querySelector(".meter-peak").setAttribute("x", "-20");
    this.bar.setAttribute("aria-valuenow", "0");
    this.bar.setAttribute("aria-valuetext", text);
    say(byId(`${this.name}-says`), text);
    say(byId(`${this.name}-peak`), "");
  }
}

const clamp = (share) => Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));

function part(bar, which, from, to) {
  const rect = bar.querySelector(which);
  rect.setAttribute("x", String(from * 1000));
  rect.setAttribute("width", String(Math.max(0, to - from) * 1000));
}
