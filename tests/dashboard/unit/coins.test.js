// What is said of quests and coins.

import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { ageOf, coinsOf, detailsOf, findersPath, newsOf, ownOf, progressOf, stateOf, weekOf } from "../../../dashboard/coins.js";
import { learnTitle } from "../../../dashboard/view.js";

const NOW = Date.parse("2026-11-28T12:00:00Z");
const QUEST = {
  quest_id: "q", version: 2, per: "once", starts_at: null, ends_at: null, supply: null, issued: 0, provisional: 0, state: "open",
};
const COIN = {
  coin_id: "coin-1", quest_id: "q", version: 2, coin: { name: "Amber", value: 1050 }, period: "", found_at: "2026-11-28T11:00:05.000000001Z",
  state: "issued", serial: null,
};

test("a quest is to come, open or over, for a time and with what is left", () => {
  const check = (quest, expected) => assert.equal(stateOf({ ...QUEST, ...quest }, NOW, "UTC"), expected);
  check({}, "Open · found 0 times");
  check({ issued: 1200 }, "Open · found 1\u202f200 times");
  check({ starts_at: "2026-11-28T12:00:00Z", issued: 1 }, "Open · found 1 time");
  check({ starts_at: "2026-11-28T12:00:01Z" }, "Begins on 28 Nov 2026, 12:00:01 · found 0 times");
  check({ ends_at: "2026-12-01T00:00:00Z" }, "Open · until 1 Dec 2026, 00:00:00 · found 0 times");
  check({ ends_at: "2026-11-28T12:00:00Z", state: "over" }, "Over · since 28 Nov 2026, 12:00:00 · found 0 times");
  check({ supply: 10, issued: 0, provisional: 7 }, "Open · 3 of 10 left");
  check({ supply: 10, issued: 0, provisional: 12 }, "Open · all 10 found");
  check({ supply: 10, issued: 10, state: "over" }, "Over · all 10 found");
  check({ supply: 10, issued: 10, state: "over", ends_at: "2026-12-01T00:00:00Z" }, "Over · until 1 Dec 2026, 00:00:00 · all 10 found");
});

test("a person has a coin, has not yet, or missed it", () => {
  const check = (quest, coins, expected) => {
    const asked = { ...QUEST, ...quest };
    assert.equal(ownOf(asked, coinsOf(asked, coins.map((coin) => ({ ...COIN, ...coin })))), expected);
  };
  check({}, [], "You do not have this coin yet.");
  check({ state: "over" }, [], "You do not have this coin.");
  check({}, [{}], "You have this coin.");
  check({}, [{ serial: 3 }], "You have this coin: number 3.");
  check({}, [{ state: "provisional" }], "You found this coin. Who is among the first is not settled yet.");
  check({}, [{ state: "revoked" }], "You do not have this coin yet.");
  check({}, [{ version: 1 }, { quest_id: "other" }], "You do not have this coin yet.");
  check({ per: "week" }, [{ period: "2026-W46" }, { period: "2026-W47" }], "You have 2 of these, the last for 2026-W47.");
  check({ per: "month" }, [{ period: "2026-11" }, { period: "2026-10" }], "You have 2 of these, the last for 2026-11.");
  learnTitle("program:sales", "Sales academy");
  check({ per: "program" }, [{ period: "wellbeing" }, { period: "sales" }], "You have 2 of these, the last for Sales academy.");
});

test("progress says how far one is and what is missing, and of a period that is over how far one got", () => {
  const check = (quest, progress, expected) => assert.deepEqual(
    progressOf({ ...QUEST, ...quest }, progress && { period: "", reached: 1, needed: 3, in_words: "", lacking: [], ...progress }, NOW, "UTC"), expected);
  const goesOn = (words) => ({ goesOn: true, words });
  check({}, undefined, null);
  check({}, null, null);
  check({ state: "over" }, {}, null);
  check({}, { reached: 1200, needed: 5000 }, goesOn("1\u202f200 of 5\u202f000 so far"));
  check({}, { lacking: ["an activity", "an activity of the kind b"] }, goesOn("1 of 3 so far · still missing: \u2068an activity\u2069, \u2068an activity of the kind b\u2069"));
  check({}, { lacking: ["an activity of the kind b"] }, goesOn("1 of 3 so far · still missing: \u2068an activity of the kind b\u2069, 1 more"));
  check({}, { reached: 2, needed: 7, lacking: ["a", "b", "c", "d", "e"] }, goesOn("2 of 7 so far · still missing: \u2068a\u2069, \u2068b\u2069, \u2068c\u2069, 2 more"));
  check({ per: "program" }, { period: "2020" }, goesOn("1 of 3 so far for \u20682020\u2069"));
  for (const [per, now, over] of [["day", "2026-11-28", "2026-11-27"], ["week", "2026-W48", "2026-W47"], ["month", "2026-11", "2026-10"]]) {
    check({ per }, { period: now, lacking: ["a", "b"] }, goesOn(`1 of 3 so far for \u2068${now}\u2069 · still missing: \u2068a\u2069, \u2068b\u2069`));
    check({ per }, { period: over, lacking: ["a", "b"] }, { goesOn: false, words: `At best 1 of 3, for \u2068${over}\u2069.` });
  }
});

test("a day is in the ISO week of its Thursday", () => {
  const weeks = { "2021-01-03": "2020-W53", "2021-01-04": "2021-W01", "2024-12-30": "2025-W01", "2026-01-01": "2026-W01", "2026-11-28": "2026-W48", "2026-11-30": "2026-W49", "2027-01-03": "2026-W53" };
  for (const [day, week] of Object.entries(weeks)) assert.equal(weekOf(day), week, day);
});

test("a coin says what it is for, when it was found, and its number", () => {
  const check = (coin, expected) => assert.equal(detailsOf({ ...COIN, ...coin }, "UTC", NOW), expected);
  check({}, "11:00:05");
  check({ found_at: "2026-11-27T11:00:05Z", serial: 7, period: "2026-11" }, "2026-11 · 27 Nov 2026, 11:00:05 · number 7");
  check({ state: "provisional" }, "11:00:05 · not settled yet");
});

test("news of coins name at most three of them, each isolated from the words around it", () => {
  const named = (...names) => names.map((name) => ({ ...COIN, coin: { name, value: 5 } }));
  const check = (coins, expected) => assert.equal(newsOf(coins, new Map([["q", "T".repeat(80)]])), expected);
  check(named("Amber"), `You found a coin: \u2068Amber\u2069, worth 5, for “\u2068${"T".repeat(24)}…\u2069”.`);
  check(named("A", "B"), "You found 2 coins: \u2068A\u2069, \u2068B\u2069.");
  check(named("A", "B", "C", "D"), "You found 4 coins: \u2068A\u2069, \u2068B\u2069, \u2068C\u2069, ….");
  check([{ ...COIN, quest_id: "gone", state: "provisional" }],
    "You found a coin: \u2068Amber\u2069, worth 1\u202f050, for “\u2068gone\u2069”. Who is among the first is not settled yet.");
});

test("what is said of coins is as old as it is", () => {
  const freshness = { generated_at: "2026-11-28T10:42:31Z", stale: false };
  assert.equal(ageOf(freshness, "UTC"), "As of 10:42:31.");
  assert.equal(ageOf({ ...freshness, stale: true }, "UTC"), "As of 10:42:31. Coins found since then may be missing.");
});

test("the address of finders holds for every id", () => {
  assert.equal(findersPath("first", "latest", 10), "/v1/quests/first/coins?order=latest&limit=10");
  assert.equal(findersPath("a/b", "found", 1), "/v1/quests/~YS9i/coins?order=found&limit=1");
});
