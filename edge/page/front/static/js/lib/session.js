// Who is logged in, and what of a page is theirs: elements with data-needs are shown to whom the role suffices.

import { get, Problem, send, useCsrf } from "./api.js";
import { byId, say, show } from "./dom.js";
import { known, t } from "./texts.js";

const ROLES = ["look", "operate", "administer"];
let session = null;

export async function begin() {
  session = await get("/session");
  if (!session.user) {
    toLogin();
    return new Promise(() => undefined); // the login page is on its way
  }
  useCsrf(session.csrf);
  say(byId("who"), `${session.user.name} · ${known(`role.${session.user.role}`, session.user.role)}`);
  show(byId("sign-out"), session.kind === "session");
  byId("sign-out").addEventListener("click", signOut);
  for (const element of document.querySelectorAll("[data-needs]")) {
    if (!may(element.dataset.needs)) element.remove();
    else if (element.matches("[data-veiled]")) element.hidden = false;
  }
  return session;
}

export function may(role) {
  return Boolean(session?.user) && ROLES.indexOf(session.user.role) >= ROLES.indexOf(role);
}

// After a connection was lost: to the login page where the session has ended.
export async function stillIn() {
  const now = await get("/session");
  if (now.user) useCsrf(now.csrf);
  else toLogin();
}

function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// What went wrong, for a person: problems that this page knows in its own language, others as the device says them.
export function sayProblem(error) {
  if (!(error instanceof Problem)) {
    console.error(error);
    return t("problem.defect");
  }
  if (error.name === "login-required") toLogin();
  const text = known(`problem.${error.name}`, "");
  return text && error.message && error.status ? `${text} (${error.message})` : text || error.message;
}

async function signOut() {
  await send("DELETE", "/session").catch(() => undefined);
  location.assign("/login");
}
