// The live picture: previews drawn on a canvas, the time of the frame, and how long there has been no new one.

import { byId, say } from "../lib/dom.js";
import { clockTime, number } from "../lib/format.js";
import { t } from "../lib/texts.js";

const STILL_MS = 1500;
const SLOW_MS = 1500;
const LINK_MEMORY_MS = 60000;

export class Picture {
  constructor() {
    this.canvas = byId("canvas");
    this.brush = this.canvas.getContext("2d", { alpha: false });
    this.frame = byId("picture");
    this.drawn = null; // when, monotonic
    this.sequence = null;
    this.times = [];
    this.leads = []; // [when, arrival - capture]: the smallest is what the two clocks differ by
    this.why = "";
    setInterval(() => this.age(), 250);
  }

  async draw({ sequence, at, jpeg }) {
    const arrived = Date.now();
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    } catch {
      return; // half a picture is none
    }
    await nextFrame();
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.brush.drawImage(bitmap, 0, 0);
    bitmap.close();
    if (sequence === this.sequence) return; // the same frame again is not a new picture
    this.sequence = sequence;
    this.at = at;
    this.drawn = performance.now();
    this.times.push(this.drawn);
    this.times = this.times.filter((time) => this.drawn - time < 3000);
    this.leads.push([this.drawn, arrived - at]);
    this.leads = this.leads.filter(([time]) => this.drawn - time < LINK_MEMORY_MS).slice(-600);
    this.canvas.dataset.sequence = sequence;
    this.age();
  }

  // Milliseconds by which pictures come later than the fastest of the last minute did.
  get late() {
    if (this.leads.length < 2) return 0;
    return this.leads.at(-1)[1] - this.leads.reduce((least, [, lead]) => Math.min(least, lead), Infinity);
  }

  get slow() {
    return this.state === "live" && this.late > SLOW_MS;
  }

  // Why there can be no picture, in words; "" where there should be one.
  blame(why) {
    this.why = why;
    this.age();
  }

  age() {
    const still = this.drawn === null ? 0 : performance.now() - this.drawn;
    this.state = this.drawn === null ? "none" : still > STILL_MS ? "still" : "live";
    this.frame.dataset.state = this.state;
    if (this.state !== "live") {
      const seconds = Math.floor(still / 1000);
      const text = this.drawn === null ? t("bench.no_picture_yet") : t("bench.no_picture", { seconds });
      say(byId("picture-none"), this.why ? `${text} – ${this.why}` : text);
      say(byId("picture-rate"), "");
    } else {
      const rate = (this.times.length - 1) / Math.max((this.drawn - this.times[0]) / 1000, 0.001);
      say(byId("picture-rate"), this.times.length > 2 ? t("bench.rate", { rate: number(rate, 2) }) : "");
    }
    if (this.drawn !== null) say(byId("picture-time"), clockTime(new Date(this.at), true));
  }
}

// A hidden page draws no frames: it waits a little instead, so that what it holds is freed.
function nextFrame() {
  if (document.hidden) return new Promise((done) => setTimeout(done, 50));
  return new Promise((done) => requestAnimationFrame(done));
}
