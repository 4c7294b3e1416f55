// A question before what cannot be undone. Resolves to whether it is to be done.

import { byId, say } from "../lib/dom.js";

export function sure(title, what) {
  const dialog = byId("sure");
  say(byId("sure-title"), title);
  say(byId("sure-what"), what);
  return new Promise((answer) => {
    const end = (yes) => {
      dialog.onclose = null;
      dialog.close();
      answer(yes);
    };
    byId("sure-yes").onclick = () => end(true);
    byId("sure-no").onclick = () => end(false);
    dialog.onclose = () => answer(false);
    dialog.showModal();
  });
}
