import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { change, clockTime, count, duration, fullTime, number, percent, percents, unit, windowDates } from "../../../dashboard/format.js";

test("numbers", () => {
  assert.equal(number(37_262), "37\u202f262");
  assert.equal(number(1_234_567), "1\u202f234\u202f567");
  assert.equal(number(-37_262), "\u221237\u202f262");
  assert.equal(count(1, "activity", "activities"), "1 activity");
  assert.equal(count(0, "activity", "activities"), "0 activities");
  assert.equal(count(1013, "point"), "1\u202f013 points");
  assert.equal(count(-1, "point"), "\u22121 point");
  assert.equal(count(-2, "point"), "\u22122 points");
  assert.deepEqual([1, 0, -1, -10].map((value) => unit(value, "point")), ["point", "points", "point", "points"]);
});

test("percents sum to 100", () => {
  const check = (parts, expected) => assert.deepEqual(percents(parts), expected);
  check([], []);
  check([0, 0], [0, 0]);
  check([7], [100]);
  check([1, 1, 1], [34, 33, 33]);
  check([125, 125, 50, 50, 25, 25, 4], [31, 31, 13, 12, 6, 6, 1]);
  check([9999, 1], [100, 0]);
});

test("a share of something is never shown as nothing or as the whole", () => {
  const check = (whole, share, expected) => assert.equal(percent(whole, share), expected);
  check(0, 0.001, "<1%");
  check(13, 0.125, "13%");
  check(100, 0.999, ">99%");
  check(100, 1, "100%");
});

test("durations", () => {
  const check = (seconds, expected) => assert.equal(duration(seconds), expected);
  check(0.9, "0 s");
  check(119.9, "119 s");
  check(120, "2 min");
  check(7199, "119 min");
  check(7200, "2 h");
  check(172_800, "2 days");
});

test("the dates of a window", () => {
  const check = (first_day, last_day, expected) => assert.match(windowDates({ first_day, last_day, time_zone: "Europe/Berlin" }).replace(/\s/g, " "), expected);
  check("2026-11-16", "2026-11-22", /^Mon,? 16 .*Sun,? 22 Nov 2026, Europe\/Berlin$/);
  check("2026-11-21", "2026-11-21", /^Sat,? 21 Nov 2026, Europe\/Berlin$/);
  check("2026-11-30", "2026-12-06", /^Mon,? 30 Nov .*Sun,? 6 Dec 2026, Europe\/Berlin$/);
  check("2026-12-28", "2027-01-03", /^Mon,? 28 Dec 2026 .*Sun,? 3 Jan 2027, Europe\/Berlin$/);
  check(null, null, /^Since the first activity, Europe\/Berlin$/);
});

test("numbers and dates are those of the reader's language, and digits are grouped by narrow spaces in each", async (t) => {
  const { languages } = navigator;
  const inLanguages = async (...tags) => {
    Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages: tags } });
    return import(`../../../dashboard/format.js?${tags}`);
  };
  t.after(() => Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages } }));
  const german = await inLanguages("de-AT", "en");
  assert.deepEqual([german.number(-1_234_567.25), german.decimal(1.5), german.percent(43, 0.43)], ["\u22121\u202f234\u202f567,25", "1,5", "43\u00a0%"]);
  assert.match(german.dates({ first_day: "2026-10-25", last_day: "2026-10-25" }), /25\. Okt\. 2026$/);
  const spanish = await inLanguages("es");
  assert.equal(spanish.number(1234), "1\u202f234", "four digits too");
  const hindi = await inLanguages("hi");
  assert.equal(hindi.number(1_234_567), "12\u202f34\u202f567");
  const american = await inLanguages("en-US");
  assert.match(american.fullTime("UTC").format(Date.parse("2026-11-21T23:30:05Z")), /^Nov 21, 2026, 11:30:05\sPM$/);
});

test("a time of the day names the day if it is another one", () => {
  const at = Date.parse("2026-11-21T23:30:05Z");
  assert.equal(clockTime(at, "UTC", at + 1000), "23:30:05");
  assert.equal(clockTime(at, "Europe/Berlin", at), "00:30:05");
  assert.equal(clockTime(at, "UTC", at + 3_600_000), "21 Nov 2026, 23:30:05");
  assert.equal(fullTime("UTC").format(at), "21 Nov 2026, 23:30:05");
});

test("a change has a sign and words", () => {
  const check = (places, sign, words) => assert.deepEqual(change(places), { sign, words });
  check(3, "▲ 3", "up 3 places");
  check(-1, "▼ 1", "down 1 place");
  check(0, "–", "no change");
  check(null, "new", "");
});
