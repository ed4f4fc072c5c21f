// Tells whoever looks at the page that they found a coin, once for each.

import { make, write } from "./element.js";
import { isHeld, newsOf } from "./coins.js";
import { store, stored } from "./me.js";

const KEY = "podium.coins";
const REMEMBERED_MAX = 500;
const SHOWN_MS = 15_000;

// A screen reader speaks only what comes into an element that is there before.
const news = make("p", { id: "coin-news", role: "status", dir: "auto" });
document.body.append(news);
let timer = 0;
let known = { user: null, ids: new Set() };

// Another tab may have told of a coin.
function remembered() {
  try {
    return JSON.parse(stored(KEY)) ?? [];
  } catch {
    return [];
  }
}

/**
 * Notes the coins of a user, in order of finding, and tells of those that were not there before. The first time it
 * tells of none.
 */
export function noteCoins(user, coins, titles) {
  const told = remembered();
  const isFirst = known.user !== user;
  // A coin that was taken back and is earned again is known.
  const seen = new Set([...told, ...(isFirst ? [] : known.ids)]);
  const unseen = coins.filter((coin) => isHeld(coin) && !seen.has(coin.coin_id));
  const ids = unseen.map(({ coin_id }) => coin_id);
  known = { user, ids: new Set([...seen, ...ids]) };
  if (unseen.length === 0) return;
  store(KEY, JSON.stringify([...told, ...ids].slice(-REMEMBERED_MAX)));
  if (!isFirst) tell(newsOf(unseen, titles));
}

function tell(text) {
  clearTimeout(timer);
  write(news, text);
  timer = setTimeout(() => write(news, ""), SHOWN_MS);
}
