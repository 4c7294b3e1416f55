// What the two meters show: focus by the width of edges, exposure by the background, each against the bundle's limits.

import { number } from "../lib/format.js";
import { t } from "../lib/texts.js";
import { Meter } from "./meter.js";

const FINEST_PX = 0.8; // edges are never narrower: the right end of the bar
const BLURREST = 3; // limits: the left end
const WITHOUT_EDGES = ["empty_field", "no_contrast"]; // gates: what they refuse shows nothing to focus on
const NEAR = 0.02; // of the bar: neither better nor worse

export class Meters {
  constructor() {
    this.focus = new Meter("focus");
    this.exposure = new Meter("exposure");
    this.limits = {};
    this.sharpest = 0;
  }

  setLimits(gates) {
    this.limits = limitsOf(gates);
  }

  take(message) {
    const gates = message.gates ?? {};
    if (WITHOUT_EDGES.includes(message.refused)) this.focus.clear(t("meter.focus_nothing"));
    else this.takeFocus(gates.out_of_focus, message.sharpness);
    this.takeExposure(gates.under_exposed ?? message.brightness, gates.over_exposed);
  }

  clear() {
    this.focus.clear();
    this.exposure.clear();
  }

  takeFocus(width, sharpness) {
    const limit = this.limits.out_of_focus;
    if (Number.isFinite(width) && Number.isFinite(limit)) {
      const at = (px) => focusShare(px, limit);
      const good = width <= limit;
      const value = t("meter.px", { value: number(width) });
      const way = this.way(at(width));
      const text = good ? t("meter.focus_good", { value }) : t(`meter.focus_${way}`, { value });
      this.focus.put(at(width), {
        good: [at(limit), 1],
        state: good ? "good" : "bad",
        text,
        peakText: (share) => t("meter.peak_px", { value: number(focusWidth(Math.min(share, 1), limit)) }),
      });
    } else if (Number.isFinite(sharpness)) {
      this.sharpest = Math.max(this.sharpest * 0.999, sharpness); // no limit is known: against the best seen so far
      const share = this.sharpest > 0 ? (sharpness / this.sharpest) * 0.9 : 0;
      this.focus.put(share, {
        state: "none",
        text: t(`meter.sharp_${this.way(share)}`, { value: number(sharpness) }),
        peakText: () => "",
      });
    } else this.focus.clear();
  }

  // Which way the hand goes: better, worse (past the peak) or neither.
  way(share) {
    const held = this.focus.held;
    if (held.length < 4) return "bad";
    const before = held[held.length - 4].share;
    const peak = Math.max(...held.map((each) => each.share));
    if (share > before + NEAR) return "better";
    if (share < peak - 2 * NEAR) return "past";
    return "bad";
  }

  takeExposure(background, clipped) {
    if (!Number.isFinite(background)) {
      this.exposure.clear();
      return;
    }
    const least = this.limits.under_exposed;
    const most = this.limits.over_exposed;
    const burnt = Number.isFinite(clipped) && Number.isFinite(most) && clipped > most;
    const dark = Number.isFinite(least) && background < least;
    const known = Number.isFinite(least) || Number.isFinite(most);
    const state = burnt || dark ? "bad" : known ? "good" : "none";
    const value = number(background);
    const text = burnt
      ? t("meter.exposure_bright", { value: number(clipped, 2) })
      : dark
        ? t("meter.exposure_dark", { value })
        : t(known ? "meter.exposure_good" : "meter.exposure_plain", { value });
    const good = Number.isFinite(least) ? [least / 255, 250 / 255] : null;
    this.exposure.put(burnt ? 1 : background / 255, { good, state, text });
  }
}

// Of the bar, for a width of edges: the finest at 1, `BLURREST` limits at 0.
export function focusShare(px, limit) {
  const worst = Math.max(limit * BLURREST, FINEST_PX + 0.1);
  return 1 - Math.log(Math.max(px, FINEST_PX) / FINEST_PX) / Math.log(worst / FINEST_PX);
}

export function focusWidth(share, limit) {
  const worst = Math.max(limit * BLURREST, FINEST_PX + 0.1);
  return FINEST_PX * (worst / FINEST_PX) ** (1 - share);
}

// gates: of `hello`, name -> {lowest, highest}; each gate has a limit on one side.
export function limitsOf(gates) {
  return Object.fromEntries(Object.entries(gates ?? {}).map(([name, each]) => [name, each.highest ?? each.lowest]));
}
