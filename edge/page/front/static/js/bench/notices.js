// What is wrong with the bench now, each once, the gravest first: one line with what to do.

import { byId, make } from "../lib/dom.js";
import { known, t } from "../lib/texts.js";

export class Notices {
  constructor() {
    this.lines = new Map();
    this.drawn = "";
  }

  // grade: "stop" (nothing is judged or kept), "care" (something is held back) or "news" (dismissed by who reads it).
  set(name, text, { grade = "care", todo = "", link = null } = {}) {
    if (text) this.lines.set(name, { text, grade, todo, link });
    else this.lines.delete(name);
    this.draw();
  }

  draw() {
    const order = ["stop", "care", "news"];
    const sorted = [...this.lines].sort((a, b) => order.indexOf(a[1].grade) - order.indexOf(b[1].grade));
    const key = JSON.stringify(sorted);
    if (key === this.drawn) return; // a live region says only what is new
    this.drawn = key;
    byId("notices").replaceChildren(...sorted.map(([name, line]) => this.line(name, line)));
  }

  line(name, { text, grade, todo, link }) {
    const parts = [make("strong", {}, t(`grade.${grade}`)), make("span", { class: "grow" }, [text, todo].filter(Boolean).join(" "))];
    if (link) parts.push(make("a", { href: link.href }, link.text));
    if (grade === "news") parts.push(make("button", { type: "button", on: { click: () => this.set(name, "") } }, t("notice.dismiss")));
    return make("p", { class: `notice-line ${grade}`, "data-notice": name }, ...parts);
  }
}

// What the instrument's state says is wrong.
export function fromState(notices, state, hello) {
  const camera = state.camera && state.camera !== "ok" ? state.camera : "";
  notices.set("camera", camera && t("notice.camera", { what: camera }), { grade: "stop", todo: t("notice.camera_todo") });
  const record = state.record && state.record !== "ok" ? state.record : "";
  notices.set("record", record && t("notice.record", { what: record }), { grade: "stop", todo: t("notice.record_todo"), link: device() });
  const paused = state.mode === "paused" ? (state.why ?? "") : "";
  notices.set("paused", paused && t("notice.paused", { what: paused }), { grade: "care", todo: t("notice.paused_todo") });
  const withheld = state.withheld ?? "";
  const overdue = withheld.startsWith("control overdue") || withheld.startsWith("control_overdue");
  const failed = withheld.startsWith("control failed") || withheld.startsWith("control_failed");
  const expired = withheld.includes("acceptance expired");
  const which = overdue ? "overdue" : failed ? "failed" : expired ? "expired" : "withheld";
  const link = overdue || failed ? { href: "/controls", text: t("nav.controls") } : device();
  notices.set("withheld", withheld && t(`notice.${which}`, { what: withheld }), { grade: overdue || failed ? "stop" : "care", todo: withheld && known(`notice.${which}_todo`, ""), link });
  const bundle = hello?.bundle;
  const unproven = bundle && bundle.certified === false;
  notices.set("certified", unproven ? t("notice.uncertified") : "", { grade: "care", link: device() });
  const synthetic = bundle && bundle.synthetic && !unproven;
  notices.set("synthetic", synthetic ? t("notice.synthetic") : "", { grade: "care", link: device() });
}

const device = () => ({ href: "/device", text: t("nav.device") });
