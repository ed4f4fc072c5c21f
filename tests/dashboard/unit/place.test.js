import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { placeOf, placeOfTeam, standing } from "../../../dashboard/place.js";

const plain = (text) => text.replace(/[\u2068\u2069]/g, "");
const row = (words) => {
  const [rank, user_id, points] = words.split(" ");
  return { rank: Number(rank), points: Number(points), ...(user_id === "-" ? {} : { user_id, name: user_id === "bo" ? "Bo Fox" : undefined }) };
};

test("equal points share a rank, so one point more than those above is needed to pass them", () => {
  const check = (above, own, below, ...expected) => {
    const { rank, gaps } = placeOf({ entry: row(own), above: above.map(row), below: below.map(row) });
    assert.deepEqual([rank, plain(gaps)], expected);
  };
  check(["1 bo 50"], "2 ann 40", ["3 cy 37"], "Rank 2", "11 points to pass Bo Fox · 3 ahead of cy");
  check(["1 bo 50"], "1 ann 50", ["3 cy 37"], "Rank 1, tied", "1 point to pass Bo Fox · 13 ahead of cy");
  check(["1 bo 50"], "2 ann 40", ["2 cy 40"], "Rank 2, tied", "11 points to pass Bo Fox · level with cy");
  check([], "1 ann 1250", ["2 bo 0"], "Rank 1", "1\u202f250 ahead of Bo Fox");
  check(["1 - 50"], "2 ann -10", ["3 - -20"], "Rank 2", "61 points to pass the next person · 10 ahead of the person behind");
  check([], "1 ann 5", [], "Rank 1", "");
  // Where ties are broken by time.
  check(["1 bo 50"], "2 ann 50", ["3 cy 50"], "Rank 2", "1 point to pass Bo Fox · level with cy");
});

test("a long name is cut between letters, and keeps its direction to itself", () => {
  const { gaps } = placeOf({ entry: row("2 ann 4"), above: [{ user_id: "x", name: "e\u0301".repeat(80), points: 5, rank: 1 }], below: [] });
  assert.equal(gaps, `2 points to pass \u2068${"e\u0301".repeat(24)}…\u2069`);
});

test("teams are behind and ahead by their scores, which may have decimals", () => {
  const teams = [["red", 20.25], ["blue", 17.5], ["green", 17.5]].map(([team_id, score], at) => ({ team_id, score, rank: Math.min(2, at + 1) }));
  const check = (at, ...expected) => {
    const { rank, gaps } = placeOfTeam(teams, at);
    assert.deepEqual([rank, plain(gaps)], expected);
  };
  check(0, "Rank 1", "2.75 ahead of blue");
  check(1, "Rank 2, tied", "2.75 behind red · level with green");
  check(2, "Rank 2, tied", "level with blue");
});

test("the standing is never better than it is", () => {
  const check = (percentile, participants, expected) => assert.equal(standing(percentile, participants), expected);
  check(100, 1, "The only person on this board.");
  check(100, 1013, "At least as many points as everyone else.");
  check(99.97, 1013, "At least as many points as 99% of 1\u202f013 people.");
  check(93.4, 30, "At least as many points as 93% of 30 people.");
});
