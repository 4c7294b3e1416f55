// The frame of every page: theme, language switch, help. `start` runs a page's own part between them.

import { get } from "./api.js";
import { sayLicence } from "../view/licence.js";
import { byId, say } from "./dom.js";
import { begin, sayProblem } from "./session.js";
import { load, t } from "./texts.js";

const THEMES = ["", "dark", "light"]; // as the machine says first
const YEAR_S = 31536000;

export async function start(page, { login = true } = {}) {
  await load();
  themeSwitch();
  for (const link of document.querySelectorAll("[data-keep-query]")) keepQuery(link);
  try {
    const session = login ? await begin() : null;
    if (session && !byId("picture")) sayOfInstrument();
    await page(session);
    document.documentElement.dataset.begun = "";
  } catch (error) {
    say(byId("announcer"), "");
    showError(sayProblem(error));
  }
}

// An error that leaves nothing to work with, at the top of the page.
export function showError(text) {
  let line = byId("page-error");
  if (!line) {
    line = document.createElement("p");
    line.id = "page-error";
    line.className = "notice-line stop";
    line.setAttribute("role", "alert");
    byId("content").prepend(line);
  }
  say(line, text);
  line.hidden = !text;
}

// Which model judges and whether its camera is a simulated one, on pages that are not told over the socket.
async function sayOfInstrument() {
  const found = await get("/labels").catch(() => null); // without an instrument there is none
  if (found) sayLicence(found);
}

function themeSwitch() {
  const button = byId("theme");
  const root = document.documentElement;
  const label = () => say(button, t(`theme.${root.dataset.theme || "auto"}`));
  label();
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `leukoscope_theme=${next}; Path=/; SameSite=Strict; Max-Age=${YEAR_S}${secure}`;
    label();
  });
}

function keepQuery(link) {
  const query = new URLSearchParams(location.search);
  query.set("lang", new URL(link.href).searchParams.get("lang"));
  link.href = `?${query}`;
}
