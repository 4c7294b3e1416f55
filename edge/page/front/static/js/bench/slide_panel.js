// The slide: its start, its tally and finding as they grow, and pause, continue, close.

import { path, send } from "../lib/api.js";
import { byId, make, say, show } from "../lib/dom.js";
import { t } from "../lib/texts.js";
import { findingWords } from "../view/finding.js";
import { isIdentifier, likePatient } from "../view/name_hint.js";
import { tallyCells } from "../view/tally.js";

export class SlidePanel {
  constructor(said) {
    this.said = said; // shows what an action came to
    this.state = { mode: "unknown" };
    this.input = byId("slide-input");
    if (this.input) this.wireForm();
    for (const act of ["pause", "continue"]) byId(act)?.addEventListener("click", () => this.act(act));
    byId("close")?.addEventListener("click", () => this.askToClose());
    byId("close-cancel").addEventListener("click", () => byId("close-dialog").close());
    byId("close-confirm").addEventListener("click", () => this.close());
  }

  wireForm() {
    this.input.addEventListener("input", () => {
      this.hint();
      this.offer("");
    });
    byId("start-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
  }

  hint() {
    const text = this.input.value.trim();
    const like = likePatient(text);
    const hint = text && !isIdentifier(text) ? t("start.bad") : like ? t(`start.like_${like}`) : "";
    say(byId("slide-hint"), hint);
  }

  async start() {
    const slide = this.input.value.trim();
    if (!isIdentifier(slide)) {
      this.hint();
      this.input.focus();
      return;
    }
    this.offer("");
    await this.said(async () => {
      await send("POST", "/slides", { slide }).catch((error) => {
        if (error.name === "wrong-state") this.offer(slide);
        throw error;
      });
      this.begun();
    });
  }

  begun() {
    this.input.value = "";
    say(byId("slide-hint"), "");
    this.offer("");
    byId("content").focus({ preventScroll: true });
  }

  // A slide of that name was closed before: it may be reopened.
  offer(slide) {
    const button = byId("reopen-here");
    show(byId("reopen-offer"), Boolean(slide));
    say(button, t("start.reopen", { slide }));
    button.onclick = () =>
      this.said(async () => {
        await send("POST", `/slides/${path(slide)}/reopen`);
        this.begun();
      });
  }

  act(act) {
    return this.said(() => send("POST", `/slides/${path(this.state.slide)}/${act}`));
  }

  // Pause or continue, whichever there is.
  toggle() {
    if (this.state.mode === "open") return this.act("pause");
    if (this.state.mode === "paused") return this.act("continue");
    return undefined;
  }

  askToClose() {
    if (!this.isOpen || byId("close-dialog").open) return;
    this.closing = this.state.slide;
    this.sayClosing();
    byId("close-dialog").showModal();
  }

  get isOpen() {
    return ["open", "paused"].includes(this.state.mode);
  }

  sayClosing() {
    const words = findingWords(this.state.finding);
    say(byId("close-name"), this.closing);
    say(byId("close-sign"), words.sign);
    say(byId("close-word"), words.word);
    say(byId("close-why"), words.why);
    byId("close-missing").replaceChildren(...words.missing.map((text) => make("li", {}, text)));
  }

  async close() {
    const slide = this.closing;
    byId("close-dialog").close();
    await this.said(() => send("POST", `/slides/${path(slide)}/close`));
  }

  take(state) {
    this.state = state;
    const { mode, slide } = state;
    const open = this.isOpen;
    say(byId("slide-name"), open ? slide : "");
    say(byId("mode"), t(`mode.${mode}`));
    byId("mode").dataset.mode = mode;
    if (this.input) show(byId("start-form"), mode === "none");
    show(byId("open-slide"), open);
    if (byId("pause")) {
      show(byId("pause"), mode === "open");
      show(byId("continue"), mode === "paused");
    }
    if (byId("close-dialog").open) {
      if (slide === this.closing) this.sayClosing();
      else byId("close-dialog").close();
    }
    if (!open) return;
    byId("slide-link").href = `/slides/${path(slide)}`;
    const words = findingWords(state.finding);
    byId("finding").dataset.finding = words.name;
    say(byId("finding-sign"), words.sign);
    say(byId("finding-word"), words.word);
    say(byId("finding-why"), words.why);
    const key = JSON.stringify([words.missing, state.tally]);
    if (key === this.drawn) return;
    this.drawn = key;
    byId("finding-missing").replaceChildren(...words.missing.map((text) => make("li", {}, text)));
    byId("tally").replaceChildren(...tallyCells(state.tally, this.labels ?? []));
  }

  // A slide was closed: what it came to stays on the page until the next one is opened.
  closed(message) {
    const words = findingWords(message.finding);
    say(byId("last-closed"), t("bench.last_closed", { slide: message.slide, finding: words.word }));
  }
}

