import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { learn } from "../../../dashboard/person.js";
import { axisTime, lineOf, linesOf, pathOf, sharesOf, spreadOut, ticksOf } from "../../../dashboard/chart.js";
import { partsOf, partWords } from "../../../dashboard/shares.js";
import { nearest, pointsAt } from "../../../dashboard/reading.js";

const AT = ["2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z"];
const HISTORY = { at: AT, users: ["ann", "bob", "cy", "dee", "eve", "fay"].map((user_id, i) => ({ user_id, points: [i === 0 ? null : 1, 9] })) };
const chosen = (user_id) => ({ entry: { user_id }, history: [{ at: AT[1], points: 4 }] });

test("ticks are round and hold everything", () => {
  const check = (min, max, expected) => assert.deepEqual(ticksOf(min, max), expected);
  check(0, 71_865, [0, 20_000, 40_000, 60_000, 80_000]);
  check(0, 0, [0, 1]);
  check(7, 7, [7, 8]);
  check(990, 1013, [990, 1000, 1010, 1020]);
  check(0, 3, [0, 1, 2, 3]);
  // A tick is at 0 wherever 0 lies between.
  check(-3, 100, [-50, 0, 50, 100]);
  check(-30, 0, [-30, -20, -10, 0]);
  check(-1, 0, [-1, 0]);
  check(-71_865, 1013, [-80_000, -60_000, -40_000, -20_000, 0, 20_000]);
});

test("labels do not lie on each other", () => {
  const check = (heights, expected) => assert.deepEqual(spreadOut(heights, 10, 100), expected);
  check([], []);
  check([50], [50]);
  check([10, 80], [10, 80]);
  check([50, 52, 51], [50, 70, 60]);
  check([99, 100], [90, 100]);
  check([100, 100, 100], [80, 90, 100]);
});

test("lines of the first five, and of the chosen one", () => {
  const names = (user) => linesOf(HISTORY, user).map(({ name }) => name);
  assert.deepEqual(names(null), ["ann", "bob", "cy", "dee", "eve"]);
  assert.deepEqual(names(chosen("bob")), ["ann", "bob", "cy", "dee", "eve"]);
  assert.deepEqual(names(chosen("fay")), ["ann", "bob", "cy", "dee", "eve", "fay"]);
  assert.deepEqual(names(chosen("zoe")), ["ann", "bob", "cy", "dee", "eve", "zoe"]);
  assert.deepEqual(linesOf(HISTORY, null)[0].points, [{ at: Date.parse(AT[0]), points: null }, { at: Date.parse(AT[1]), points: 9 }]);
});

test("a user who is not in the board's history has one of their own", () => {
  const own = { user: "zoe", name: "zoe", points: [{ at: Date.parse(AT[1]), points: 4 }] };
  assert.deepEqual(lineOf(chosen("zoe"), HISTORY), own);
  assert.deepEqual(lineOf(chosen("zoe"), null), own);
  assert.equal(lineOf(chosen("bob"), HISTORY).points.length, 2);
});

test("lines have the names of people whose rows are known, and ids tell those with one name apart", (t) => {
  const rows = [["ann", "Ann Smith"], ["bob", "Ann Smith"], ["cy", "Çiğdem"], ["zoe", "Zoë"]].map(([user_id, name]) => ({ user_id, name }));
  learn({ entries: rows.slice(0, 3), entry: rows[3] });
  t.after(() => learn({ entries: rows.map(({ user_id }) => ({ user_id })) }));
  const lines = linesOf(HISTORY, chosen("zoe"));
  assert.deepEqual(lines.map(({ name }) => name), ["Ann Smith (ann)", "Ann Smith (bob)", "Çiğdem", "dee", "eve", "Zoë"]);
  assert.deepEqual(lines.map(({ user }) => user), ["ann", "bob", "cy", "dee", "eve", "zoe"]);
  assert.deepEqual(pointsAt(lines, Date.parse(AT[1]))[5], { name: "Zoë", points: 4 });
  assert.equal(lineOf(chosen("zoe"), null).name, "Zoë");
});

test("a path leaves out what is not known", () => {
  const path = (...points) => pathOf(points.map((each, at) => ({ at, points: each })), (x) => x, (y) => y);
  assert.equal(path(1, 2), "M0.0 1.0h.1L1.0 2.0");
  assert.equal(path(null, 2, null, 3), "M1.0 2.0h.1M3.0 3.0h.1");
});

const boardsOf = (all, ...points) => [all, ...points].map((each, i) => ({ board: i === 0 ? "global" : `program:p${i}`, points: each }));

test("shares are of all positive points", () => {
  const check = (points, expected) =>
    assert.deepEqual(sharesOf(boardsOf(...points)).map((part) => `${part.name} ${part.share} ${partWords(part)}`), expected);
  check([0], []);
  check([0, 0], []);
  check([4, 3, 1], ["p1 0.75 3 · 75%", "p2 0.25 1 · 25%"]);
  check([100, 50, 40], ["p1 0.5 50 · 50%", "p2 0.4 40 · 40%", "others 0.1 10 · 10%"]);
  // Points below zero take no share from anyone.
  check([-6, 3, 1, -10], ["p1 0.75 3 · 75%", "p2 0.25 1 · 25%"]);
  check([0, 10, -10], ["p1 1 10 · 100%"]);
  check([-15, -5, -10], []);
  // The programs without a board have more than all together.
  check([10, -10], ["others 1 20 · 100%"]);
  check([10, 20], ["p1 1 20 · 100%"]);
  const ten = sharesOf(boardsOf(95, ...Array(10).fill(10), -5));
  assert.equal(ten.length, 9);
  assert.deepEqual(ten.at(-1), { name: "others", points: 20, share: 0.2, whole: 20 });
});

test("percents of all programs sum to 100, those without a board included, and what is not positive has none", () => {
  const check = (points, expected) => assert.deepEqual(partsOf(boardsOf(...points)).map(partWords), expected);
  check([0, 0, 0], ["0", "0", "0"]);
  check([3, 1, 1, 1], ["1 · 34%", "1 · 33%", "1 · 33%", "0"]);
  check([100, 50, 40], ["50 · 50%", "40 · 40%", "10 · 10%"]);
  // The boards of programs may be ahead of the sum.
  check([9, 5, 5], ["5 · 50%", "5 · 50%", "\u22121"]);
  check([1000, 999, 1], ["999 · >99%", "1 · <1%", "0"]);
  check([-2030, 10, 0, -2040], ["10 · 100%", "0", "\u22122\u202f040", "0"]);
  check([-20, -20], ["\u221220", "0"]);
});

test("the points at a moment are the last known ones", () => {
  const lines = linesOf(HISTORY, null).slice(0, 2);
  const check = (at, expected) => assert.deepEqual(pointsAt(lines, Date.parse(at)), [{ name: "ann", points: expected[0] }, { name: "bob", points: expected[1] }]);
  check(AT[0], [null, 1]);
  check("2026-11-21T10:00:59Z", [null, 1]);
  check(AT[1], [9, 9]);
});

test("a pointer reads the nearest moment", () => {
  const check = (wanted, expected) => assert.equal(nearest([10, 20, 40], wanted), expected);
  check(-5, 0);
  check(14, 0);
  check(16, 1);
  check(31, 2);
  check(99, 2);
});

test("the time axis is as fine as its length asks for", () => {
  const at = Date.parse("2026-11-21T09:05:07Z");
  const check = (hours, expected) => assert.equal(axisTime(hours * 3_600_000, "Europe/Berlin").format(at), expected);
  check(0.1, "10:05:07");
  check(24, "10:05");
  check(24 * 7, "21 Nov");
  check(24 * 365, "Nov 2026");
});
