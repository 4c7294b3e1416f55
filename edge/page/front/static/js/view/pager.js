// A list in pieces: one piece is on the page at a time, so that a long list does not make the page grow.

import { get } from "../lib/api.js";
import { byId, show } from "../lib/dom.js";
import { showError } from "../lib/frame.js";
import { sayProblem } from "../lib/session.js";

export class Pager {
  // route: () -> path with its query, without cursor; draw: items -> elements; list: their parent; done: (items) after.
  constructor({ route, draw, list, done = () => undefined }) {
    Object.assign(this, { route, draw, list, done, asked: 0 });
    byId("more").addEventListener("click", () => this.load(this.next));
    byId("newer").addEventListener("click", () => this.load(null));
  }

  async load(cursor = null) {
    const asked = ++this.asked;
    const route = this.route();
    try {
      const piece = await get(cursor ? `${route}${route.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : route);
      if (asked !== this.asked) return; // a later question was asked meanwhile
      this.next = piece.next;
      this.cursor = cursor;
      this.list.replaceChildren(...piece.items.map(this.draw));
      show(byId("more"), Boolean(piece.next));
      show(byId("newer"), Boolean(cursor));
      show(byId("none"), piece.items.length === 0);
      showError("");
      this.done(piece.items);
      if (cursor !== null) this.list.closest("section, .scroll, main").scrollIntoView();
    } catch (error) {
      showError(sayProblem(error));
    }
  }

  again() {
    return this.load(this.cursor);
  }
}
