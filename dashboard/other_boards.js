// What else to see where no season runs.

import { earlierOf } from "./earlier.js";
import { byId, make } from "./element.js";
import { texts } from "./texts.js";
import { START, writeView } from "./view.js";

const others = make("p", { id: "other-boards", hidden: "" });
byId("message").after(others);
// The view whose boards are offered, or null.
let offered = null;

/** Offers all time, and the seasons that are over; nothing where `view` is null. */
export async function offer(view) {
  offered = view;
  others.hidden = view === null;
  if (view === null) return;
  const link = (change, text) => make("a", { href: writeView({ ...view, from: START.from, ...change }) }, text);
  const all = link({ window: "all" }, texts.windows.all);
  others.replaceChildren(texts.otherBoards, " ", all);
  // Without them there is still all time.
  const past = await earlierOf(view).catch(() => []);
  if (offered === view) others.append(...past.flatMap(([period, name]) => [" ", link({ period }, name)]));
}
