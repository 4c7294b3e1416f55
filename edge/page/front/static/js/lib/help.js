// The help overlay: opened by its button or "?", closed by Escape.

import { byId } from "./dom.js";

export function help() {
  byId("help-open").addEventListener("click", openHelp);
  byId("help-close").addEventListener("click", () => byId("help").close());
}

export function openHelp() {
  if (!document.querySelector("dialog[open]")) byId("help").showModal();
}
