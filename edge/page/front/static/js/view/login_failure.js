// Why a login failed, in words.

import { Problem } from "../lib/api.js";
import { known } from "../lib/texts.js";

export function sayFailure(error) {
  if (!(error instanceof Problem)) return error.message;
  return known(`problem.${error.name}`, "") || error.message;
}
