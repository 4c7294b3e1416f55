// Which model judges, and what its site accepted it for: it stands with every verdict, on every page.

import { byId, say, show } from "../lib/dom.js";
import { t } from "../lib/texts.js";

const ANYWHERE = "not accepted at any site"; // edge.inference.licence.NOT_ACCEPTED

// hello: as the instrument says it, or GET /labels.
export function sayLicence({ bundle, simulated, study }) {
  if (simulated) show(byId("simulated"), true);
  if (!bundle) return;
  const acceptance = bundle.acceptance === ANYWHERE || !bundle.acceptance ? t("licence.nowhere") : bundle.acceptance;
  say(byId("licence"), [bundle.name, acceptance, study ? t("licence.study") : ""].filter(Boolean).join(" · "));
}
