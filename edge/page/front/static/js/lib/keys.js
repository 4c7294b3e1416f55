// Keys of the bench. Space judges; a foot pedal types a key, which it can learn. Single keys can be switched off (WCAG 2.1.4).

import { byId, say } from "./dom.js";
import { openHelp } from "./help.js";
import { t } from "./texts.js";

const OFF = "leukoscope.keys.off";
const PEDAL = "leukoscope.pedal";
const MODIFIERS = ["Shift", "Control", "Alt", "Meta", "Tab", "Escape", "Enter"];

// acts: key (small letter, or " ") -> function. judge: what the pedal does; a page without it does nothing then.
// typing: gets a character typed beside any field, and says whether it took it.
export function listen({ acts, judge = () => undefined, typing }) {
  let learning = false;
  document.addEventListener("keydown", (event) => {
    if (learning && !MODIFIERS.includes(event.key)) {
      event.preventDefault();
      learning = false;
      store(PEDAL, event.key);
      sayPedal(t("help.pedal_learnt"));
      return;
    }
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]") || inField(event.target)) return;
    if (event.key === pedal() && event.key !== " ") {
      event.preventDefault();
      judge();
      return;
    }
    if (off()) return;
    if (event.key === " " && isPressed(event.target)) return; // it presses the button that has the focus
    if (typing?.(event)) return;
    const act = event.key === "?" ? openHelp : acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  byId("keys-on").checked = !off();
  byId("keys-on").addEventListener("change", () => store(OFF, byId("keys-on").checked ? "" : "1"));
  byId("pedal-learn").addEventListener("click", () => {
    learning = true;
    sayPedal(t("help.pedal_press"));
  });
  sayPedal("");
}

function sayPedal(text) {
  say(byId("pedal-key"), pedal() === " " ? t("key.space") : pedal());
  say(byId("pedal-said"), text);
}

const inField = (element) => element.matches?.("input:not([type=checkbox], [type=radio]), textarea, select") ?? false;
const isPressed = (element) => element.matches?.("button, summary, a, input") ?? false;
const off = () => read(OFF) === "1";
const pedal = () => read(PEDAL) || " ";

// A browser may refuse to keep anything; then nothing is kept.
function read(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    return;
  }
}
