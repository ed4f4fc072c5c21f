// Quests and coins: the panel, the card of a person, and the note on a coin that one found.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MILESTONE = { kind: "learning_milestone" };
const CHECK_IN = { kind: "program_check_in" };
const RTL = "عبدالرحمن ".repeat(8).trim();
const LONG = "W".repeat(80);
const quest = (id, title, name, value, per, rule, more = {}) =>
  ({ id, version: 1, title, coin: { name, value }, per, rule: { count: { of: rule, at_least: 1 } }, ...more });
const QUESTS = [
  quest("past", "In 2020 <b>only</b>", "Leaf", 3, "once", {}, { ends_at: "2021-01-01T00:00:00Z" }),
  quest("first", "First milestone", "Amber", 50, "once", MILESTONE),
  quest("each", "Check in", "Jade", 20, "program", CHECK_IN),
  quest("few", "The first three", "Crown", 100, "once", { kind: "learning_milestone", program_id: "rare" }, { supply: 3 }),
  quest("long", LONG, "W".repeat(40), 1, "once", { program_id: "none" }),
  quest("rtl", RTL, "عبدالرحمن", 1, "once", { program_id: "none" }),
];

// Those that take more than one activity.
const rules = {
  trio: { all: [MILESTONE, CHECK_IN, { program_id: "wellbeing" }] },
  path: { ordered: [MILESTONE, CHECK_IN] },
  often: { count: { of: {}, at_least: 4 } },
};
const LONGER = Object.entries(rules).map(([id, rule]) => ({ id, version: 1, title: id, coin: { name: "Ruby", value: 9 }, per: id === "often" ? "month" : "once", rule }));

const stack = await testStack({ timeZone: "UTC", quests: QUESTS });
const longer = await testStack({ timeZone: "UTC", quests: LONGER });
const without = await testStack({ activities: activitiesFor({ ann: 60 }) });

let sent = 0;
const activity = (user_id, { kind }, program_id = "sales") => ({ activity_id: `a-${sent += 1}`, user_id, program_id, kind });

/// Posts activities, and waits until their users have so many coins each.
async function earn(coins, activities) {
  await stack.post(activities);
  for (const user of new Set(activities.map(({ user_id }) => user_id))) {
    await eventually(`the coins of ${user}`, async () => assert.equal((await coinsOf(user)).filter(({ state }) => state !== "revoked").length, coins));
  }
}
const coinsOf = async (user) => (await stack.get(`/v1/users/${user}/coins`)).body.coins ?? [];

before(async () => {
  await stack.describe({ ann: { display_name: "Ann Author", team: "red" }, bob: { visibility: "anonymous" }, hid: { visibility: "hidden" } });
  // One after the other, so that it is known who found it last.
  for (let at = 0; at < 11; at += 1) await earn(1, [activity(`user-${at}`, MILESTONE)]);
  await stack.post([activity("bob", MILESTONE), activity("hid", MILESTONE)]);
  await eventually("their coins", async () => assert.equal((await stack.document("/v1/quests/first/coins")).coins.length, 12));
  const mistaken = activity("ann", CHECK_IN, "mistake");
  await earn(3, [activity("ann", MILESTONE, "rare"), mistaken]);
  await stack.takeOut([mistaken]);
  await eventually("that a coin is taken back", async () => assert.ok((await coinsOf("ann")).some(({ state }) => state === "revoked")));
});

const setMe = (me) => (tab) => tab.addInitScript((me) => localStorage.setItem("podium.me", me), me);
// Nobody is known at first, which the browser reports.
const NOT_KNOWN = [/status of 404/];
const withQuests = (page) => eventually("the quests", async () => assert.ok(await page.hasQuests()));
const plain = (text) => text.replace(/[\u2068\u2069]/g, "");

/// All notes of a page from now on. A note goes after a while, so on a busy machine one may not see it.
async function notesOf(page) {
  const notes = await page.tab.evaluateHandle(() => {
    const notes = [];
    const news = document.querySelector("#coin-news");
    new MutationObserver(() => news.textContent && notes.push(news.textContent)).observe(news, { childList: true });
    return notes;
  });
  return async () => (await notes.jsonValue()).map(plain);
}

test("the panel tells the open quests first, with coin, state and what is left", async (t) => {
  const page = await visit(t, stack);
  await withQuests(page);
  // The API counts coins once a minute.
  const told = (await page.quests()).map((lines) => lines.map((line) => line.replace(/found \d+ times?|\d of 3 left/, "…")));
  assert.deepEqual(told.slice(0, 3), [
    ["First milestone", "Once: an activity of the kind learning_milestone.", "Amber worth 50 · Open · …"],
    ["Check in", "In each program: an activity of the kind program_check_in.", "Jade worth 20 · Open · …"],
    ["The first three", "Once: an activity of the kind learning_milestone in the program rare; for the first 3 finders.", "Crown worth 100 · Open · …"],
  ]);
  assert.equal(told.length, 4);
  await page.press("Show all 6 quests");
  const last = (await page.quests()).at(-1);
  assert.deepEqual([last[0], last[2]], ["In 2020 <b>only</b>", "Leaf worth 3 · Over · since 1 Jan 2021, 00:00:00 · found 0 times"]);
  assert.equal(await page.hasButton("Show all 6 quests"), false);
});

test("it tells who looks at the page which coins they have, and only them", async (t) => {
  const page = await visit(t, stack, {}, { before: setMe("ann") });
  const own = async () => Object.fromEntries((await page.quests()).map(([title, , , own]) => [title, own]));
  await eventually("the own coins", async () => assert.deepEqual(await own(), {
    "First milestone": "You have this coin.",
    "Check in": "You do not have this coin yet.",
    "The first three": "You found this coin. Who is among the first is not settled yet.",
    [LONG]: "You do not have this coin yet.",
  }));
  assert.equal(await page.coinNews(), "", "what was there before is no news, also on a device that remembers nothing");
  await page.chooseUser("ann");
  await page.press("This is not me");
  await eventually("that nobody is told", async () => assert.deepEqual([...new Set(Object.values(await own()))], [undefined]));
});

test("the latest finders come first, and lead to their cards, also from the board of teams", async (t) => {
  const page = await visit(t, stack, { board: "teams" });
  await withQuests(page);
  await page.toggleFinders("First milestone");
  const order = ["Ann Author", "Anonymous", ...Array.from({ length: 11 }, (_, at) => `user-${10 - at}`)];
  // One of the ten is hidden.
  await eventually("the latest", async () => assert.deepEqual(await page.finders("First milestone"), { names: order.slice(0, 9), isCut: true, first: "user-0" }));
  await page.moreFinders("First milestone");
  await eventually("all", async () => assert.deepEqual(await page.finders("First milestone"), { names: order, isCut: false }));
  await eventually("the focus on the first of those that came", async () => assert.equal(await page.focused(), order[9]));
  await page.pressFinder("First milestone", "Ann Author");
  await eventually("the card", async () => assert.match(await page.user() ?? "", /^Ann Author/));
  assert.equal(page.view().board, undefined);

  await page.toggleFinders("Check in");
  await eventually("that a coin that was taken back is not there", async () => assert.match(await page.questText("Check in"), /Nobody has found it yet/));
});

test("the finders of an open quest are those of now", async (t) => {
  const page = await visit(t, stack, {}, { expected: NOT_KNOWN });
  await withQuests(page);
  await page.toggleFinders("Check in");
  await eventually("none", async () => assert.match(await page.questText("Check in"), /Nobody has found it yet/));
  await earn(1, [activity("late", CHECK_IN)]);
  await eventually("the one", async () => assert.deepEqual((await page.finders("Check in")).names, ["late"]));
  await stack.takeOut([{ user_id: "late", activity_id: `a-${sent}` }]);
  await eventually("none", async () => assert.deepEqual((await page.finders("Check in")).names, []));
});

test("more finders come in larger and larger parts, up to what the API gives at once", async (t) => {
  const asked = new Set();
  const page = await visit(t, stack, {}, {
    before: (tab) => tab.route("**/v1/quests/first/coins?*", (route) => {
      const { searchParams } = new URL(route.request().url());
      const [order, limit] = [searchParams.get("order"), Number(searchParams.get("limit"))];
      asked.add(`${order} ${limit}`);
      const coins = Array.from({ length: limit }, (_, at) => ({
        coin_id: `coin-${at}`, user_id: `${order}-${at}`, period: "", found_at: "2026-11-21T09:27:10Z", state: "issued", serial: null,
      }));
      return route.fulfill({ json: { quest_id: "first", version: 1, coins, next_cursor: "later" } });
    }),
  });
  await withQuests(page);
  await page.toggleFinders("First milestone");
  for (const [limit, isCut] of [[10, true], [50, true], [250, true], [1000, false]]) {
    await eventually(`${limit} finders`, async () => {
      const { names, ...others } = await page.finders("First milestone");
      assert.deepEqual([names.length, others], [limit, { isCut, first: "found-0" }]);
    });
    if (isCut) await page.moreFinders("First milestone");
  }
  assert.deepEqual([...asked], ["latest 10", "found 1", "latest 50", "latest 250", "latest 1000"]);
  assert.match(await page.questText("First milestone"), /These are of the latest 1\u202f000\. There are earlier ones\./);
});

test("a card has coins and balance; evidence and coins taken back are told on demand", async (t) => {
  const page = await visit(t, stack, { user: "ann" });
  await eventually("the balance", async () => assert.equal(await page.userCoins(), "2 coins · balance 50"));
  await page.toggleCoins("balance");
  const told = await page.userCoins();
  assert.match(told, /Amber worth 50\nFirst milestone\n.*\d\d:\d\d:\d\d\nEarned by 1 activity/);
  assert.match(told, /Crown worth 100\nThe first three\n.* · not settled yet\nEarned by 1 activity/);
  assert.doesNotMatch(told, /Jade|a-\d/);
  await page.toggleCoins("1 coin taken back");
  assert.match(await page.userCoins(), /Jade worth 20\nCheck in\nmistake · .*\nactivities that earned it were taken out/);
  const [{ evidence: [earned] }] = await coinsOf("ann");
  await page.tab.locator("#user-coins").getByText("Earned by").first().click();
  assert.match(await page.userCoins(), new RegExp(`\\n${earned}\\n`));

  // A refresh closes nothing.
  const asked = page.asked(/coins$/);
  await eventually("two more refreshes", async () => assert.ok(page.asked(/coins$/) > asked + 1));
  assert.match(await page.userCoins(), new RegExp(`\\n${earned}\\n`));
});

test("a card never shows the coins of someone else", async (t) => {
  let answer;
  const answered = new Promise((resolve) => { answer = resolve; });
  t.after(() => answer());
  const page = await visit(t, stack, { user: "ann" }, { expected: NOT_KNOWN });
  await eventually("the balance", async () => assert.match(await page.userCoins(), /balance 50/));
  await page.tab.route("**/v1/users/user-1/coins", async (route) => {
    await answered;
    // Meanwhile the page may have asked again.
    await route.continue().catch(() => {});
  });
  await page.chooseUser("user-1");
  await eventually("that it is asked for", async () => assert.ok(page.asked(/user-1\/coins$/) > 0));
  assert.equal(await page.userCoins(), "");
  answer();
  await eventually("the own ones", async () => assert.equal(await page.userCoins(), "1 coin · balance 50"));
});

test("who finds a coin is told, once, in whichever tab, and not of what was there before", async (t) => {
  const page = await visit(t, stack, {}, { before: setMe("dee"), expected: NOT_KNOWN });
  await withQuests(page);
  const other = await page.another({ window: "all" });
  for (const each of [page, other]) await eventually("the own coins", async () => assert.deepEqual((await each.quests()).map(({ length }) => length), [4, 4, 4, 4]));
  const notes = await Promise.all([page, other].map(notesOf));
  const told = async () => (await Promise.all(notes.map((of) => of()))).flat();
  await earn(1, [activity("dee", MILESTONE)]);
  for (const each of [page, other]) await eventually("the coin", async () => assert.equal((await each.quests())[0][3], "You have this coin."));
  assert.deepEqual(await told(), ["You found a coin: Amber, worth 50, for “First milestone”."]);

  await page.open({ window: "all" });
  await eventually("the coin", async () => assert.equal((await page.quests())[0][3], "You have this coin."));
  assert.equal(await page.coinNews(), "");
});

const refreshed = async (page) => {
  const asked = page.asked(/\/v1\/quests$/);
  await eventually("four refreshes", async () => assert.ok(page.asked(/\/v1\/quests$/) > asked + 3));
};

/// What is said of progress, by the title of the quest.
const progressOn = async (page) => Object.fromEntries(await Promise.all(LONGER.map(async ({ title }) => [title, await page.progress(title)])));

test("each quest tells how far one is, until the coin is there, and again after a void", async (t) => {
  const month = new Date().toISOString().slice(0, 7);
  await longer.add([activity("kim", MILESTONE)]);
  // Without a coin nothing is asked for that is not there: the browser would report it.
  const page = await visit(t, longer, {}, { before: setMe("kim") });
  await withQuests(page);
  await page.scrollToQuests();
  const shows = (told) => eventually(JSON.stringify(told), async () => assert.deepEqual(await progressOn(page), told));
  const one = {
    trio: [1, 3, "1 of 3 so far · still missing: an activity of the kind program_check_in, an activity in the program wellbeing"],
    path: [1, 2, "1 of 2 so far · still missing: an activity of the kind program_check_in"],
    often: [1, 4, `1 of 4 so far for ${month}`],
  };
  await shows(one);
  assert.deepEqual((await page.quests()).map((lines) => lines.length), [4, 4, 4], "nothing else is said");
  assert.equal(page.asked(/kim\/coins/), 0);
  assert.deepEqual(await violations(page), []);

  const told = await notesOf(page);
  const second = activity("kim", CHECK_IN, "wellbeing");
  await longer.post([second]);
  await shows({ trio: null, path: null, often: [2, 4, `2 of 4 so far for ${month}`] });
  const own = async () => (await page.quests()).slice(0, 2).map((lines) => lines[3]);
  await eventually("the coins", async () => assert.deepEqual(await own(), Array(2).fill("You have this coin.")));
  assert.match((await told()).join(" "), /^You found .*Ruby/);
  await longer.takeOut([second]);
  await shows(one);
});

test("whoever looks for the first time is not asked for again and again, until they have an activity", async (t) => {
  const page = await visit(t, longer, {}, { before: setMe("lea"), expected: NOT_KNOWN });
  await withQuests(page);
  await page.scrollToQuests();
  await refreshed(page);
  assert.equal(page.asked(/lea\/(quests|coins)/), 1);
  await longer.post([activity("lea", CHECK_IN)]);
  await eventually("the progress", async () => assert.deepEqual((await page.progress("often"))?.slice(0, 2), [1, 4]));
});

test("who does not see the quests is told of a coin, though their progress is not asked for again and again", async (t) => {
  await longer.post([activity("mia", MILESTONE)]);
  await eventually("their place", () => longer.user("mia"));
  const page = await visit(t, longer, {}, { before: setMe("mia"), viewport: { width: 360, height: 640 } });
  const progress = () => page.asked(/mia\/quests$/);
  await eventually("the progress", async () => assert.ok(progress() > 0));
  await eventually("that it is not asked for any more", async () => {
    const before = progress();
    await refreshed(page);
    assert.equal(progress(), before);
  });
  const told = await notesOf(page);
  await longer.post([activity("mia", CHECK_IN)]);
  await eventually("the coin", async () => assert.deepEqual(await told(), ["You found a coin: Ruby, worth 9, for “path”."]));
  const before = progress();
  await page.scrollToQuests();
  await eventually("that it is followed while it is seen", async () => assert.ok(progress() > before + 2));
});

test("of a month that is over, one is told how far one got, without a bar", async (t) => {
  const far = { period: "2026-01", reached: 3, needed: 4, in_words: "2026-01: 3 of 4 activities", lacking: [] };
  const page = await visit(t, longer, {}, {
    before: async (tab) => {
      await setMe("nia")(tab);
      await tab.route("**/v1/users/nia/quests", (route) => route.fulfill({ json: { user_id: "nia", balance: 0, freshness: {}, quests: [{ quest_id: "often", version: 1, coins: 0, progress: far }] } }));
    },
    expected: NOT_KNOWN,
  });
  await eventually("the month", async () => assert.match(plain(await page.questText("often")), /At best 3 of 4, for 2026-01\./));
  assert.equal(await page.progress("often"), null);
});

/// A page of eve, whose coins are what `answer` has.
async function pageOfEve(t, answer, options = {}) {
  const page = await visit(t, stack, {}, {
    expected: NOT_KNOWN,
    ...options,
    before: async (tab) => {
      await setMe("eve")(tab);
      const fulfill = (path, document) => tab.route(`**/v1/users/eve/${path}`, (route) => route.fulfill({ json: { user_id: "eve", balance: 0, freshness: {}, ...document() } }));
      const held = () => answer.coins.filter(({ state }) => state !== "revoked").length;
      await fulfill("coins", () => answer);
      await fulfill("quests", () => ({ quests: [{ quest_id: "few", version: 1, coins: held(), progress: null }] }));
    },
  });
  await withQuests(page);
  await page.scrollToQuests();
  const refreshed = async () => {
    const asked = page.asked(/eve\/quests$/);
    await eventually("two more answers", async () => assert.ok(page.asked(/eve\/quests$/) > asked + 1));
  };
  await refreshed();
  return { page, refreshed };
}

const coin = (at, name, more = {}) => ({
  coin_id: `coin-${at}`, quest_id: "few", version: 1, coin: { name, value: 5 }, period: "", found_at: "2026-11-21T09:27:10Z", state: "issued",
  serial: null, evidence: [], evidence_count: 0, ...more,
});

test("a coin is told of when it is found, not again when it is settled, or earned again", async (t) => {
  const answer = { coins: [] };
  const { page, refreshed } = await pageOfEve(t, answer);
  const told = await notesOf(page);
  for (const state of ["provisional", "issued", "revoked", "issued"]) {
    answer.coins = [coin(1, "Crown", { state })];
    await refreshed();
  }
  answer.coins = [coin(1, "Crown"), coin(2, "Amber", { state: "revoked" }), ...[3, 4, 5, 6].map((at) => coin(at, `C${at}`))];
  await refreshed();
  assert.deepEqual(await told(), [
    "You found a coin: Crown, worth 5, for “The first three”. Who is among the first is not settled yet.",
    "You found 4 coins: C3, C4, C5, ….",
  ]);
  assert.equal(await page.tab.locator("#coin-news").getAttribute("role"), "status");
  // The device remembers some of them.
  answer.coins = Array.from({ length: 900 }, (_, at) => coin(`many-${at}`, "Jade"));
  await refreshed();
  const { "podium.coins": kept } = await page.tab.evaluate(() => ({ ...localStorage }));
  assert.equal(JSON.parse(kept).length, 500);
});

for (const [reducedMotion, isMoving] of [["no-preference", true], ["reduce", false]]) {
  test(`the note ${isMoving ? "moves" : "does not move"} where one prefers ${reducedMotion}`, async (t) => {
    const answer = { coins: [] };
    const { page } = await pageOfEve(t, answer, { reducedMotion });
    const animations = await page.tab.evaluateHandle(() => {
      const started = [];
      document.addEventListener("animationstart", ({ target }) => started.push(target.id));
      return started;
    });
    const told = await notesOf(page);
    answer.coins = [coin(1, "Crown")];
    await eventually("the note", async () => assert.equal((await told()).length, 1));
    await page.settle();
    assert.deepEqual([...new Set(await animations.jsonValue())], isMoving ? ["coin-news"] : []);
  });
}

test("a deployment without quests is not asked for them, and loads nothing of them", async (t) => {
  const page = await visit(t, without);
  await eventually("five refreshes", async () => assert.ok(page.asked(/\/v1\/boards\/global\?/) > 5));
  assert.equal(page.asked(/\/v1\/quests/), 0);
  assert.equal(page.asked(/quest.*\.(js|css)|coin/), 0);
  assert.equal(await page.hasQuests(), false);
});

test("the board does not depend on the quests, which come once they can be loaded", async (t) => {
  let isAway = true;
  const page = await visit(t, stack, {}, {
    expected: [/ERR_FAILED/],
    before: (tab) => tab.route(/\/v1\/quests|\/quests\.js/, (route) => (isAway ? route.abort() : route.continue())),
  });
  await eventually("more than one attempt", async () => assert.ok(page.asked(/\/v1\/quests/) > 1));
  assert.match(await page.freshness(), /Live/);
  assert.equal(await page.alarm(), null);
  isAway = false;
  await withQuests(page);
});

for (const width of [320, 360, 768, 1440]) {
  test(`at ${width} px everything fits, light or dark`, async (t) => {
    const page = await visit(t, stack, { user: "ann" }, { viewport: { width, height: 900 }, before: setMe("ann"), reducedMotion: "reduce" });
    await withQuests(page);
    await eventually("the coins", async () => assert.match(await page.userCoins(), /balance/));
    await page.press("Show all 6 quests");
    await page.toggleCoins("balance");
    await page.toggleCoins("1 coin taken back");
    await page.toggleFinders("First milestone");
    await eventually("the finders", async () => assert.ok((await page.finders("First milestone")).isCut));
    await page.tab.locator("#coin-news").evaluate((news, text) => { news.textContent = text; }, `You found ${LONG} ${RTL}`);
    assert.deepEqual(await page.wider(), [], "nothing scrolls sideways");
    for (const colorScheme of ["light", "dark"]) {
      await page.tab.emulateMedia({ colorScheme });
      assert.deepEqual(await violations(page), [], colorScheme);
    }
  });
}

async function violations(page) {
  await page.tab.evaluate(AXE);
  return page.tab.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}
