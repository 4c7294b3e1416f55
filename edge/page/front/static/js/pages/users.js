// Users, their roles and one-time secrets, tokens for programs, one's own password, and the log of logins.

import { get, path, send, useCsrf } from "../lib/api.js";
import { byId, make, say, show } from "../lib/dom.js";
import { dayTime } from "../lib/format.js";
import { start } from "../lib/frame.js";
import { help } from "../lib/help.js";
import { listen } from "../lib/keys.js";
import { may, sayProblem } from "../lib/session.js";
import { known, t } from "../lib/texts.js";
import { Pager } from "../view/pager.js";
import { sure } from "../view/sure.js";

const ROLES = ["look", "operate", "administer"];

async function users() {
  help();
  listen({ acts: {} });
  byId("password-form").addEventListener("submit", changePassword);
  if (!may("administer")) return;
  const audit = new Pager({ route: () => "/audit?limit=50", draw: auditRow, list: byId("audit") });
  form("add-form", () => ["POST", "/users", { name: value("add-name"), role: byId("add-role").value }], issued);
  form("token-form", () => ["POST", "/tokens", { label: value("token-label"), role: byId("token-role").value, days: Number(byId("token-days").value) }], issued);
  await refresh();

  async function refresh() {
    const [people, tokens] = await Promise.all([get("/users"), get("/tokens"), audit.load()]);
    byId("users").replaceChildren(...people.items.map((user) => userRow(user, act)));
    byId("tokens").replaceChildren(...tokens.items.map((token) => tokenRow(token, act)));
  }

  async function act(method, route, body, done = () => undefined) {
    try {
      done(await send(method, route, body));
      say(byId("users-says"), "");
      await refresh();
    } catch (error) {
      say(byId("users-says"), sayProblem(error));
      byId("users-says").scrollIntoView({ block: "center" });
    }
  }

  function form(id, request, done) {
    byId(id).addEventListener("submit", async (event) => {
      event.preventDefault();
      await act(...request(), (answer) => {
        event.target.reset();
        done(answer);
      });
    });
  }
}

// A secret is shown once, in large letters, and is nowhere afterwards.
function issued({ user, token, secret, expires }) {
  show(byId("issued"), Boolean(secret));
  if (!secret) return;
  say(byId("issued-for"), user ? t("users.secret_for", { name: user.name }) : t("tokens.secret_for", { label: token.label }));
  say(byId("secret"), secret);
  say(byId("issued-until"), expires ? t("users.secret_until", { when: dayTime(expires) }) : "");
  byId("issued").scrollIntoView({ block: "center" });
}

function userRow(user, act) {
  const route = `/users/${path(user.name)}`;
  const role = make("select", { "aria-label": t("users.role_of", { name: user.name }), "data-testid": `role-${user.name}`, on: { change: () => act("PATCH", route, { role: role.value }) } },
    ROLES.map((each) => make("option", { value: each, selected: each === user.role }, t(`role.${each}`))));
  const reset = async () => (await sure(t("users.reset_title", { name: user.name }), t("users.reset_what"))) && act("PATCH", route, { reset: true }, issued);
  const remove = async () => (await sure(t("users.remove_title", { name: user.name }), t("users.remove_what"))) && act("DELETE", route, undefined);
  const seen = user.pending ? t("users.pending") : user.seen ? dayTime(user.seen) : t("users.never");
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, user.name),
    make("td", {}, role),
    make("td", {}, seen),
    make("td", {}, button("users.reset", `reset-${user.name}`, reset), " ", button("users.remove", `remove-${user.name}`, remove)),
  );
}

function tokenRow(token, act) {
  const revoke = async () => (await sure(t("tokens.revoke_title", { label: token.label }), t("tokens.revoke_what"))) && act("DELETE", `/tokens/${path(token.id)}`, undefined);
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, `${token.owner}/${token.label}`),
    make("td", {}, t(`role.${token.role}`)),
    make("td", {}, dayTime(token.expires)),
    make("td", {}, token.used ? dayTime(token.used) : t("users.never")),
    make("td", {}, button("tokens.revoke", `revoke-${token.id}`, revoke)),
  );
}

function auditRow(entry) {
  const cells = [dayTime(entry.utc), known(`audit.${entry.what}`, entry.what), entry.by, entry.address, entry.detail];
  return make("tr", {}, cells.map((text) => make("td", {}, text)));
}

async function changePassword(event) {
  event.preventDefault();
  const said = byId("password-says");
  if (byId("password-new").value !== byId("password-again").value) {
    say(said, t("first.differ"));
    return;
  }
  try {
    const session = await send("POST", "/session/password", { old: byId("password-old").value, new: byId("password-new").value });
    useCsrf(session.csrf);
    event.target.reset();
    say(said, t("password.done"));
  } catch (error) {
    say(said, sayProblem(error));
  }
}

const button = (text, test, click) => make("button", { type: "button", class: "tool", "data-testid": test, on: { click } }, t(text));
const value = (id) => byId(id).value.trim();

start(users);
