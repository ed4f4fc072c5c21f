// What is said of quests and coins.

import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { ageOf, coinsOf, detailsOf, findersPath, newsOf, ownOf, stateOf } from "../../../dashboard/coins.js";
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
  assert.equal(findersPath("first", 10), "/v1/quests/first/coins?limit=10");
  assert.equal(findersPath("a/b", 10, "2026-11-21T09:27:10Z.1"), "/v1/quests/~YS9i/coins?limit=10&cursor=2026-11-21T09%3A27%3A10Z.1");
});
