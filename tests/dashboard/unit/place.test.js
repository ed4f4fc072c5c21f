import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { endOf, placeOf, placeOfTeam, standing, timeLeft } from "../../../dashboard/place.js";

const plain = (text) => text.replace(/[\u2068\u2069]/g, "");
const row = (words) => {
  const [rank, user_id, points] = words.split(" ");
  return { rank: Number(rank), points: Number(points), ...(user_id === "-" ? {} : { user_id, name: user_id === "bo" ? "Bo Fox" : undefined }) };
};

test("a window ends at the first moment of the next day in its time zone, be it of 23, 24 or 25 hours", () => {
  const check = (last_day, time_zone, expected) => assert.equal(new Date(endOf({ last_day, time_zone })).toISOString(), expected, `${last_day} ${time_zone}`);
  check("2026-11-22", "UTC", "2026-11-23T00:00:00.000Z");
  check("2026-11-22", "Europe/Berlin", "2026-11-22T23:00:00.000Z");
  // Summer time ends on the 25th of October and begins on the 29th of March.
  check("2026-10-24", "Europe/Berlin", "2026-10-24T22:00:00.000Z");
  check("2026-10-25", "Europe/Berlin", "2026-10-25T23:00:00.000Z");
  check("2026-03-29", "Europe/Berlin", "2026-03-29T22:00:00.000Z");
  check("2026-12-31", "Pacific/Kiritimati", "2026-12-31T10:00:00.000Z");
  check("2026-12-31", "Pacific/Pago_Pago", "2027-01-01T11:00:00.000Z");
  check("2026-12-31", "Asia/Kolkata", "2026-12-31T18:30:00.000Z");
  // A day that begins at 01:00.
  check("2026-04-23", "Africa/Cairo", "2026-04-23T22:00:00.000Z");
});

test("the time left is in days, hours or minutes, and ends with the window", () => {
  const check = (now, expected, window = { name: "week", last_day: "2026-10-25", time_zone: "Europe/Berlin" }) =>
    assert.equal(timeLeft(window, Date.parse(now)), expected, now);
  check("2026-10-23T18:30:00Z", "2 days 4 h left");
  check("2026-10-24T23:00:00Z", "1 day left");
  // 25 hours, since the clocks go back.
  check("2026-10-24T22:00:00Z", "1 day 1 h left");
  check("2026-10-25T00:00:00Z", "23 h left");
  check("2026-10-25T21:15:00Z", "1 h 45 min left");
  check("2026-10-25T22:15:30Z", "44 min left");
  check("2026-10-25T22:59:30Z", "Less than 1 min left");
  check("2026-10-25T23:00:01Z", "");
  check("2026-10-25T21:15:00Z", "1 h 45 min left", { name: "day", last_day: "2026-10-25", time_zone: "Europe/Berlin" });
  check("2026-10-25T21:15:00Z", "6 days 1 h left", { name: "month", last_day: "2026-10-31", time_zone: "Europe/Berlin" });
  check("2026-10-25T21:15:00Z", "", { name: "all", last_day: null, time_zone: "Europe/Berlin" });
});

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
