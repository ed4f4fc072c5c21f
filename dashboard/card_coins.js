// The coins in the card of a person, with the activities that earned them.

import { detailsOf, isHeld } from "./coins.js";
import { byId, make } from "./element.js";
import { texts } from "./texts.js";

const { quests: words } = texts;
const COINS_A_STEP = 10;
const EVIDENCE_MAX = 50;

/** `coins` and `balance` are those of whose card it is, in order of finding. */
export function showCoins({ coins, balance, freshness }, titles, timeZone) {
  const place = byId("user-coins");
  // Nothing is drawn again that would close what is open.
  const filled = JSON.stringify(coins);
  if (place.firstChild?.filled === filled) return;
  const wasOpen = place.firstChild?.open ?? false;
  const item = (coin) => coinItem(coin, titles, detailsOf(coin, timeZone, Date.parse(freshness.generated_at)));
  const held = coins.filter(isHeld).reverse();
  const revoked = coins.filter((coin) => !isHeld(coin)).reverse();
  const shown = coins.length === 0 ? make("p", {}, words.noCoins) : make("details", wasOpen ? { open: "" } : {},
    make("summary", {}, words.coins(held.length, balance)),
    ...stepwise(held, item),
    ...(revoked.length === 0 ? [] : [make("details", {}, make("summary", {}, words.revoked(revoked.length)), ...stepwise(revoked, item))]));
  shown.filled = filled;
  place.replaceChildren(shown);
}

// A list, and the button for more of it.
function stepwise(all, item) {
  const list = make("ul");
  const more = make("button", {}, words.more);
  const step = () => {
    const from = list.children.length;
    list.append(...all.slice(from, from + COINS_A_STEP).map(item));
    more.hidden = list.children.length === all.length;
    if (from > 0) list.children[from].querySelector("summary").focus();
  };
  more.addEventListener("click", step);
  step();
  return [list, more];
}

function coinItem({ coin, quest_id, reason, evidence, evidence_count }, titles, details) {
  const left = evidence_count - Math.min(evidence.length, EVIDENCE_MAX);
  return make("li", {},
    make("p", {}, make("b", { class: "coin", dir: "auto" }, coin.name), ` ${words.worth(coin.value)}`),
    make("p", { dir: "auto" }, titles.get(quest_id) ?? quest_id),
    make("p", { dir: "auto" }, details),
    ...(reason === undefined ? [] : [make("p", {}, words.reasons[reason] ?? reason)]),
    make("details", {},
      make("summary", {}, words.evidence(evidence_count)),
      make("ul", {}, ...evidence.slice(0, EVIDENCE_MAX).map((id) => make("li", { dir: "auto" }, id)),
        ...(left > 0 ? [make("li", {}, words.evidenceLeft(left))] : []))));
}
