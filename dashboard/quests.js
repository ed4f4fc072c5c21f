// The quests, who found their coins, and how far whoever looks at the page is. Only a deployment that has quests loads it.

import { get } from "./api.js";
import { noteCoins } from "./coin_news.js";
import { ageOf, coinsOf, coinsPath, detailsOf, findersPath, isHeld, ownOf, progressOf, progressPath, stateOf } from "./coins.js";
import { onDemand } from "./demand.js";
import { arrange, byId, make, nameButton, portray, write } from "./element.js";
import { texts } from "./texts.js";

const { quests: words } = texts;
const QUESTS_SHOWN = 4;
// How many are asked for at first, and with each press on "More". All who look have the same addresses, so that a cache
// has most of the answers. The API gives no more at once.
const FINDERS = [10, 50, 250, 1000];

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
let isInSight = false;
// What `showQuests` got last, and the coins that were asked for since then, by user.
let latest;
// What is known of `me`: whether the API knows them, `progress` by quest, and `coins`, null until they are known; `asked`
// is the refresh in which it was asked for last, and `activities` how many of theirs it covers.
let own;

const loadCardCoins = onDemand("./card_coins.js");

/** Returns what shows the quests, for each refresh. `choose(user)` opens the card of a person. */
export function startQuests(choose) {
  byId("charts").after(section);
  byId("sums").before(link);
  new IntersectionObserver((seen) => {
    ({ isIntersecting: isInSight } = seen.at(-1));
    if (latest) showOwn();
  }).observe(section);
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

/** `document` has the quests; `me` is who looks at the page, or null, and `you` the document of their place, if they have one. */
async function showQuests(shown) {
  if (shown.signal.aborted) return;
  latest = { ...shown, coins: new Map() };
  if (own?.me !== latest.me) own = { me: latest.me, isKnown: false, progress: new Map(), coins: null };
  showList();
  for (const { refresh } of items.values()) refresh();
  await Promise.all([showOwn(), showCard()]);
}

const keyOf = ({ quest_id, version }) => `${quest_id} ${version}`;
const titles = () => new Map(latest.document.quests.map(({ quest_id, title }) => [quest_id, title]));

// Progress costs the API the more, the more activities one has. So it is asked for once a refresh while the panel is in
// sight, and else until it has what the board counts. Whoever the API does not know is asked for again when the board does.
async function showOwn() {
  const [refresh, mine] = [latest, own];
  const { me, you, signal } = refresh;
  const activities = you?.entry.activities ?? 0;
  const isDue = mine.activities !== activities || (isInSight && mine.isKnown);
  if (me === null || mine.asked === refresh || !isDue) return;
  mine.asked = refresh;
  const { quests, freshness } = (await loadOr({ quests: [] }, progressPath(me), signal)) ?? {};
  const hasCoins = quests?.some(({ coins }) => coins > 0);
  const found = quests && (hasCoins ? await loadCoins(me, refresh) : { coins: [] });
  if (!found || signal.aborted || own !== mine) return;
  const progress = new Map(quests.map((quest) => [keyOf(quest), quest.progress]));
  // The board may be newer than the coins.
  const isBehind = Date.parse(freshness?.generated_at) < Date.parse(you?.freshness.generated_at);
  Object.assign(mine, { activities: isBehind ? null : activities, isKnown: quests.length > 0, progress, coins: found.coins });
  showList();
  noteCoins(me, found.coins, titles());
}

async function showCard() {
  const refresh = latest;
  const { view: { user }, signal, zone } = refresh;
  if (user === null) return;
  const found = await loadCoins(user, refresh);
  if (found && !signal.aborted && byId("user-coins")) (await loadCardCoins()).showCoins(found, titles(), zone);
}

// The card may be the own one.
function loadCoins(user, { coins, signal }) {
  if (!coins.has(user)) coins.set(user, loadOr({ coins: [], balance: 0 }, coinsPath(user), signal));
  return coins.get(user);
}

// Resolves to `nothing` where the API has nothing, and to null if that is not known now.
async function loadOr(nothing, path, signal) {
  try {
    return (await get(path, signal)).document;
  } catch ({ status }) {
    return status === 404 ? nothing : null;
  }
}

// Those that are open come first.
function showList() {
  const { document: { quests, freshness }, zone } = latest;
  const now = Date.parse(freshness.generated_at);
  const sorted = [...quests.filter(({ state }) => state === "open"), ...quests.filter(({ state }) => state !== "open")];
  const shown = isWhole ? sorted : sorted.slice(0, QUESTS_SHOWN);
  arrange(list, shown.map((quest) => {
    const key = keyOf(quest);
    if (!items.has(key)) items.set(key, newItem(quest));
    const item = items.get(key);
    write(item.state, ` · ${stateOf(quest, now, zone)}`);
    showOwnOf(quest, item, now);
    return item.element;
  }));
  write(all, words.all(quests.length));
  all.hidden = shown.length === quests.length;
  write(asOf, ageOf(freshness, zone));
}

function showOwnOf(quest, { coins, far, bar }, now) {
  const held = own.coins && coinsOf(quest, own.coins);
  const told = own.progress.get(keyOf(quest));
  const progress = progressOf(quest, told, now, latest.zone);
  // Whoever is on the way knows that the coin is not there yet.
  write(coins, held && (held.length > 0 || !progress) ? ownOf(quest, held) : "");
  coins.classList.toggle("held", held?.length > 0);
  write(far, progress?.words ?? "");
  far.title = progress ? told.in_words : "";
  bar.hidden = !progress?.goesOn;
  if (progress) Object.assign(bar, { max: told.needed, value: told.reached, ariaValueText: progress.words });
}

function newItem({ quest_id, title, rule, coin }) {
  const [state, coins, far] = [make("span"), make("p", { class: "own" }), make("p", { class: "own" })];
  const bar = make("progress", { "aria-label": title });
  const finders = make("details", {}, make("summary", {}, words.finders));
  const element = make("li", {},
    make("h3", { dir: "auto" }, title),
    make("p", { dir: "auto" }, rule),
    make("p", {}, make("b", { class: "coin", dir: "auto" }, coin.name), ` ${words.worth(coin.value)}`, state),
    coins, bar, far, finders);
  return { element, state, coins, far, bar, refresh: startFinders(quest_id, finders) };
}

// Returns what shows the finders again, where they are open.
function startFinders(quest, details) {
  const [rows, more, note, firsts] = [make("ul"), make("button", {}, words.more), make("p", {}, texts.loading), make("ul")];
  const first = make("div", {}, make("p", {}, words.firstFinder), firsts);
  details.append(rows, more, note, first);
  more.hidden = first.hidden = true;
  let step = 0;
  let filled = "";

  function show({ coins, next_cursor }, earliest) {
    const found = coins.filter(isHeld);
    const isCut = next_cursor !== null;
    const isLast = step === FINDERS.length - 1;
    more.hidden = !isCut || isLast;
    first.hidden = earliest.length === 0;
    write(note, isCut && isLast ? words.findersLeft(FINDERS[step]) : !isCut && found.length === 0 ? words.noFinders : "");
    if (filled === JSON.stringify([found, earliest])) return;
    filled = JSON.stringify([found, earliest]);
    arrange(rows, found.map(finder));
    arrange(firsts, earliest.map(finder));
  }

  async function refresh() {
    if (!details.open) return;
    const limit = FINDERS[step];
    const load = async (order, limit) => (await get(findersPath(quest, order, limit))).document;
    try {
      const newest = await load("latest", limit);
      const earliest = newest.next_cursor === null ? [] : (await load("found", 1)).coins.filter(isHeld);
      if (limit === FINDERS[step]) show(newest, earliest);
    } catch ({ message }) {
      write(note, message);
    }
  }

  details.addEventListener("toggle", refresh);
  more.addEventListener("click", async () => {
    const from = rows.children.length;
    step = Math.min(step + 1, FINDERS.length - 1);
    await refresh();
    rows.children[from]?.querySelector("button")?.focus();
  });
  return refresh;
}

function finder(coin) {
  const { zone, document: { freshness } } = latest;
  const details = detailsOf(coin, zone, Date.parse(freshness.generated_at));
  const item = make("li", {}, nameButton(coin), " ", make("span", { dir: "auto" }, details));
  portray(item, coin);
  return item;
}
