// The login, and the one-time secret that makes the first account or sets a new password.

import { get, send } from "../lib/api.js";
import { byId, say, show } from "../lib/dom.js";
import { start } from "../lib/frame.js";
import { t } from "../lib/texts.js";
import { sayFailure } from "../view/login_failure.js";

async function login() {
  const session = await get("/session");
  if (session.user) goOn();
  show(byId("fingerprint-part"), Boolean(session.fingerprint));
  say(byId("fingerprint"), session.fingerprint ?? "");
  byId("first-open").open = Boolean(session.first);
  submitted("login", () => ["/session", { name: value("login-name"), password: byId("login-password").value }]);
  submitted("first", () => {
    if (byId("first-password").value !== byId("first-again").value) throw new Error(t("first.differ"));
    const body = { secret: value("first-secret"), name: value("first-name"), password: byId("first-password").value };
    return ["/session/first", body];
  });
}

function submitted(which, request) {
  byId(`${which}-form`).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? event.target.querySelector("button");
    button.disabled = true;
    say(byId(`${which}-error`), "");
    try {
      await send("POST", ...request());
      goOn();
    } catch (error) {
      say(byId(`${which}-error`), sayFailure(error));
      button.disabled = false;
    }
  });
}

const value = (id) => byId(id).value.trim();

// To where the login was asked for: a path of this page, never another's.
function goOn() {
  const next = new URL(new URLSearchParams(location.search).get("next") || "/", location.origin);
  location.replace(next.origin === location.origin && next.pathname !== "/login" ? next.pathname + next.search : "/");
}

start(login, { login: false });
