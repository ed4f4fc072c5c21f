// The quests, who found their coins, and which of them are the own ones. Only a deployment that has quests loads it.

import { get } from "./api.js";
import { noteCoins } from "./coin_news.js";
import { ageOf, coinsOf, coinsPath, detailsOf, findersPath, isHeld, ownOf, stateOf } from "./coins.js";
import { onDemand } from "./demand.js";
import { arrange, byId, make, nameButton, portray, write } from "./element.js";
import { texts } from "./texts.js";

const { quests: words } = texts;
const QUESTS_SHOWN = 4;
const FINDERS_A_STEP = 10;
const FINDERS_A_PAGE = 1000;
const PAGES_MAX = 10;

const list = make("ul");
const all = make("button");
const asOf = make("p", { id: "quests-as-of" });
const section = make("section", { id: "quests", "aria-labelledby": "quests-name", tabindex: -1 },
  make("div", { class: "title" },
    make("h2", { id: "quests-name" }, words.head),
    make("a", { class: "to", href: "#panel" }, words.back)),
  list, all, asOf);
const link = make("a", { class: "to", href: "#quests" }, words.head);
const items = new Map();
let isWhole = false;
// What `showQuests` got last, and the coins of `me`, or null while they are not known.
let latest;

const loadCardCoins = onDemand("./card_coins.js");

/** Returns what shows the quests, for each refresh. `choose(user)` opens the card of a person. */
export function startQuests(choose) {
  byId("charts").after(section);
  byId("sums").before(link);
  all.addEventListener("click", () => {
    isWhole = true;
    showList();
    list.children[QUESTS_SHOWN].querySelector("summary").focus();
  });
  // On the board of teams, the page would take the name for that of a team.
  section.addEventListener("click", (event) => {
    const name = event.target.closest("[data-choose]");
    if (!name) return;
    event.stopPropagation();
    choose(name.dataset.choose);
  });
  return showQuests;
}

/** `document` has the quests; `me` is who looks at the page, or null. */
async function showQuests({ document, view, me, zone, signal }) {
  if (signal.aborted) return;
  const isOther = latest?.me !== me;
  latest = { document, me, zone, signal, coins: isOther ? null : latest.coins };
  showList();
  for (const { refresh } of items.values()) refresh();
  const users = [...new Set([me, view.user])].filter((user) => user !== null);
  const found = new Map(await Promise.all(users.map(async (user) => [user, await loadCoins(user, signal)])));
  if (signal.aborted) return;
  const titles = new Map(document.quests.map(({ quest_id, title }) => [quest_id, title]));
  const own = found.get(me);
  if (own) {
    latest.coins = own.coins;
    showList();
    noteCoins(me, own.coins, titles);
  }
  const ofCard = found.get(view.user);
  if (ofCard && byId("user-coins")) (await loadCardCoins()).showCoins(ofCard, titles, zone);
}

// Resolves to null if they are not known now.
async function loadCoins(user, signal) {
  try {
    return (await get(coinsPath(user), signal)).document;
  } catch ({ code }) {
    return code === "no_coins" ? { coins: [], balance: 0 } : null;
  }
}

// Those that are open come first.
function showList() {
  const { document: { quests, freshness }, coins, zone } = latest;
  const sorted = [...quests.filter(({ state }) => state === "open"), ...quests.filter(({ state }) => state !== "open")];
  const shown = isWhole ? sorted : sorted.slice(0, QUESTS_SHOWN);
  arrange(list, shown.map((quest) => {
    const key = `${quest.quest_id} ${quest.version}`;
    if (!items.has(key)) items.set(key, newItem(quest));
    const item = items.get(key);
    write(item.state, ` · ${stateOf(quest, Date.parse(freshness.generated_at), zone)}`);
    const own = coins && coinsOf(quest, coins);
    write(item.own, own ? ownOf(quest, own) : "");
    item.own.classList.toggle("held", own?.length > 0);
    return item.element;
  }));
  write(all, words.all(quests.length));
  all.hidden = shown.length === quests.length;
  write(asOf, ageOf(freshness, zone));
}

function newItem({ quest_id, title, rule, coin }) {
  const [state, own] = [make("span"), make("p", { class: "own" })];
  const finders = make("details", {}, make("summary", {}, words.finders));
  const element = make("li", {},
    make("h3", { dir: "auto" }, title),
    make("p", { dir: "auto" }, rule),
    make("p", {}, make("b", { class: "coin", dir: "auto" }, coin.name), ` ${words.worth(coin.value)}`, state),
    own, finders);
  return { element, state, own, refresh: startFinders(quest_id, finders) };
}

// Returns what shows the finders again, where they are open.
function startFinders(quest, details) {
  const [rows, more, note] = [make("ul"), make("button", {}, words.more), make("p", {}, texts.loading)];
  details.append(rows, more, note);
  more.hidden = true;
  const pages = new Map();
  let shown = FINDERS_A_STEP;
  let isCut = false;
  let filled = "";

  function show() {
    const coins = [...pages.values()].flat().filter(isHeld).reverse();
    write(note, isCut ? words.findersLeft(PAGES_MAX * FINDERS_A_PAGE) : coins.length === 0 ? words.noFinders : "");
    more.hidden = coins.length <= shown;
    const visible = coins.slice(0, shown);
    if (filled === JSON.stringify(visible)) return;
    filled = JSON.stringify(visible);
    arrange(rows, visible.map(finder));
  }

  async function refresh() {
    if (!details.open) return;
    try {
      isCut = await readOn(quest, pages, latest.signal);
      show();
    } catch ({ message }) {
      if (pages.size === 0 && !latest.signal.aborted) write(note, message);
    }
  }

  details.addEventListener("toggle", refresh);
  more.addEventListener("click", () => {
    const from = shown;
    shown += FINDERS_A_STEP;
    show();
    rows.children[from].querySelector("button")?.focus();
  });
  return refresh;
}

// The API tells them in order of finding, so the latest are at the end: reads on from the last page that is known.
// `pages` has the coins of each by its cursor. Resolves to whether there are more.
async function readOn(quest, pages, signal) {
  let cursor = [...pages.keys()].at(-1) ?? "";
  do {
    const { coins, next_cursor } = (await get(findersPath(quest, FINDERS_A_PAGE, cursor), signal)).document;
    pages.set(cursor, coins);
    cursor = next_cursor;
  } while (cursor !== null && pages.size < PAGES_MAX);
  return cursor !== null;
}

function finder(coin) {
  const { zone, document: { freshness } } = latest;
  const details = detailsOf(coin, zone, Date.parse(freshness.generated_at));
  const item = make("li", {}, nameButton(coin), " ", make("span", { dir: "auto" }, details));
  portray(item, coin);
  return item;
}
