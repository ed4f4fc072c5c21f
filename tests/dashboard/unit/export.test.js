import assert from "node:assert/strict";
import { test } from "node:test";
import { cell, csvOf, fileName, jsonOf } from "../../../dashboard/export.js";

const WEEK = { name: "week", first_day: "2026-11-16", last_day: "2026-11-22", time_zone: "Europe/Berlin" };
const ALL = { name: "all", first_day: null, last_day: null, time_zone: "Europe/Berlin" };
const BOARD = {
  board: "program:onboarding", window: WEEK, generation: 7, participants: 2, points: 75, activities: 6, listed: 2, from: 1,
  entries: [
    { rank: 1, user_id: "-ann", points: 50, activities: 5, change: -2 },
    { rank: 2, user_id: "bob", points: 25, activities: 1, change: null },
  ],
  next_cursor: null,
  freshness: { generated_at: "2026-11-21T10:00:00Z", age_seconds: 3 },
};

test("cells", () => {
  const check = (value, expected) => assert.equal(cell(value), expected);
  check("ann", "ann");
  check(null, "");
  check(-2, "-2");
  for (const first of "=+-@") check(`${first}1+1`, `'${first}1+1`);
  check("a,b", '"a,b"');
  check('a"b', '"a""b"');
  check("a\r\nb", '"a\r\nb"');
  check('=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`);
});

test("a board as CSV", () => {
  const heading = "program:onboarding,week,2026-11-16,2026-11-22,Europe/Berlin,7,2026-11-21T10:00:00Z";
  assert.equal(csvOf(BOARD), [
    "board,window,first_day,last_day,time_zone,generation,generated_at,rank,user_id,points,activities,change",
    `${heading},1,'-ann,50,5,-2`,
    `${heading},2,bob,25,1,`,
    "",
  ].join("\r\n"));
});

test("a board as JSON", () => {
  assert.deepEqual(JSON.parse(jsonOf(BOARD)), {
    board: "program:onboarding", window: WEEK, generation: 7, generated_at: "2026-11-21T10:00:00Z",
    participants: 2, from: 1, entries: BOARD.entries,
  });
});

test("file names", () => {
  assert.equal(fileName(BOARD, "csv"), "podium-onboarding-week-2026-11-16.csv");
  assert.equal(fileName({ ...BOARD, board: "global", window: ALL }, "json"), "podium-global-all-2026-11-21.json");
});
