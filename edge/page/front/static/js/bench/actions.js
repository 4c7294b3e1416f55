// What is asked of the instrument: judge this field, automatic mode, exposure, a reference field.

import { send } from "../lib/api.js";
import { byId, say } from "../lib/dom.js";
import { sayProblem } from "../lib/session.js";
import { t } from "../lib/texts.js";

const SHOWN_MS = 8000;

export class Actions {
  constructor() {
    this.state = { mode: "unknown" };
    byId("judge")?.addEventListener("click", () => this.judge());
    byId("automatic")?.addEventListener("click", () => this.flip("automatic"));
    byId("lock-exposure")?.addEventListener("click", () => this.flip("lock-exposure"));
    byId("reference-form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.reference(byId("reference-label").value.trim());
    });
    freeSpaceBar();
  }

  // Does one thing, and says how it went. Resolves to whether it did.
  said = async (act, done = "") => {
    try {
      await act();
      this.tell(done);
      return true;
    } catch (error) {
      this.tell(sayProblem(error), true);
      return false;
    }
  };

  tell(text, wrong = false) {
    const line = byId("act-says");
    say(line, text);
    line.classList.toggle("error", wrong);
    clearTimeout(this.fading);
    if (text) this.fading = setTimeout(() => say(line, ""), wrong ? 2 * SHOWN_MS : SHOWN_MS);
  }

  judge() {
    if (!byId("judge") || byId("judge").disabled) return;
    this.tell(t("act.judging"));
    this.said(() => send("POST", "/judgements", { slide: this.state.slide }));
  }

  flip(which) {
    const on = !(which === "automatic" ? this.state.automatic : this.state.exposure_locked);
    if (which === "automatic") return this.said(() => send("PUT", "/automatic", { on }));
    return this.said(() => send("PUT", "/exposure", { locked: on }));
  }

  // Answered once a usable field came, or none did for a while.
  reference(label) {
    this.tell(t("reference.waiting", { label }));
    return this.said(() => send("POST", "/reference-fields", { label }), t("reference.taken", { label }));
  }

  take(state, connected) {
    this.state = state;
    const judge = byId("judge");
    if (judge) judge.disabled = !(connected && state.mode === "open");
    put("automatic", state.automatic, connected);
    put("lock-exposure", state.exposure_locked, connected);
  }
}

function put(id, on, connected) {
  const button = byId(id);
  if (!button) return;
  button.disabled = !connected;
  button.setAttribute("aria-checked", String(Boolean(on)));
  say(byId(`${id}-word`), t(on ? "switch.on" : "switch.off"));
}

// A pointer leaves the focus on what it pressed, and a dialog gives it back there; the next space bar, or pedal, must judge
// and not press that again. Who goes by Tab keeps the focus.
function freeSpaceBar() {
  let tabbing = false;
  document.addEventListener("keydown", (event) => (tabbing ||= event.key === "Tab"), true);
  document.addEventListener("pointerdown", () => (tabbing = false), true);
  document.addEventListener("click", (event) => {
    const pressed = !tabbing && event.target.closest?.("button, summary");
    if (pressed && !pressed.closest("dialog")) pressed.blur();
  });
  document.addEventListener("close", () => tabbing || document.activeElement?.blur(), true);
}
