// Whether the instrument is there, by way of the page's process: what is said while it is away, and when it is back.

import { t } from "../lib/texts.js";

export class Presence {
  constructor(notices, changed) {
    this.notices = notices;
    this.changed = changed;
    this.linked = false; // this browser to the page's process
    this.served = false; // the page's process to the instrument
    this.met = false; // it was there once
    this.lostAt = null;
  }

  get here() {
    return this.linked && this.served;
  }

  // Why there is nothing, in few words; "" where it is there.
  get why() {
    return !this.linked ? t("picture.page_away") : !this.served ? t("picture.instrument_away") : "";
  }

  set({ linked = this.linked, served = this.served }) {
    const before = this.here;
    this.linked = linked;
    this.served = linked && served;
    if (this.here) {
      if (this.lostAt !== null) {
        const seconds = Math.max(1, Math.round((performance.now() - this.lostAt) / 1000));
        this.notices.set("back", t("notice.back", { seconds }), { grade: "news" });
      }
      this.met = true;
      this.lostAt = null;
    } else if (before || (this.met && this.lostAt === null)) this.lostAt = performance.now();
    const away = this.here ? "" : t(this.linked ? "notice.instrument_away" : "notice.page_away");
    this.notices.set("away", away, { grade: "stop", todo: t(this.met ? "notice.away_todo" : "notice.never_todo") });
    this.changed();
  }
}
