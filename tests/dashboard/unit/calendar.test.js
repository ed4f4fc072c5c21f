import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { beginOfSeason, dayAt, endOf, endOfSeason, serverTime, stateOf, timeLeft } from "../../../dashboard/calendar.js";
import { periodOfSeason } from "../../../dashboard/earlier.js";
import { parseView, START, writeView } from "../../../dashboard/view.js";

const plain = (text) => text.replace(/[\u2068\u2069]/g, "");
const AUTUMN = { id: "autumn", title: "Autumn", first_day: "2026-09-01", last_day: "2026-11-30" };

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

test("a season runs from its first day to its last, and is then a period that is over", () => {
  const check = (today, expected) => assert.equal(stateOf(AUTUMN, today), expected, today);
  check("2026-08-31", "toCome");
  check("2026-09-01", "running");
  check("2026-11-30", "running");
  check("2026-12-01", "over");
  const view = { ...START, window: "season", period: periodOfSeason(AUTUMN) };
  assert.deepEqual(parseView(writeView(view)), view);
});

test("a moment has another date in another time zone, by the clock of the server", () => {
  const moment = Date.parse("2026-11-30T23:30:00Z");
  assert.deepEqual(["UTC", "Europe/Berlin", "America/Los_Angeles"].map((zone) => dayAt(moment, zone)), ["2026-11-30", "2026-12-01", "2026-11-30"]);
  const answer = { document: { freshness: { generated_at: "2026-11-30T23:29:00Z", age_seconds: 20 } }, receivedAt: 5_000 };
  assert.equal(serverTime(answer, 45_000), moment);
});

test("the end of a season is told in days, and on its last day in hours", () => {
  const check = (now, expected, zone = "Europe/Berlin") => assert.equal(plain(endOfSeason(AUTUMN, zone, Date.parse(now))), expected, now);
  check("2026-09-01T00:00:00Z", "ends in 90 days · Autumn");
  check("2026-11-28T03:00:00Z", "ends in 2 days · Autumn");
  check("2026-11-28T23:30:00Z", "ends tomorrow · Autumn");
  check("2026-11-30T17:40:00Z", "ends today, 5 h 20 min left · Autumn");
  check("2026-11-30T17:40:00Z", "ends today, 14 h 20 min left · Autumn", "America/Los_Angeles");
});

test("a season is announced in the week before it begins", () => {
  const check = (now, expected) =>
    assert.equal(plain(beginOfSeason({ title: "Winter", first_day: "2026-12-01" }, "Europe/Berlin", Date.parse(now))), expected, now);
  check("2026-11-23T12:00:00Z", "");
  check("2026-11-24T12:00:00Z", "Winter begins on 1 Dec, in 7 days");
  check("2026-11-28T12:00:00Z", "Winter begins on 1 Dec, in 3 days");
  check("2026-11-29T23:00:00Z", "Winter begins on 1 Dec, tomorrow");
});

test("a long title is cut off, and each keeps its direction to itself", () => {
  assert.equal(plain(endOfSeason({ ...AUTUMN, title: "W".repeat(80) }, "UTC", Date.parse("2026-11-28T03:00:00Z"))), `ends in 2 days · ${"W".repeat(24)}…`);
  assert.equal(endOfSeason({ ...AUTUMN, title: "خريف" }, "UTC", Date.parse("2026-11-28T03:00:00Z")), "ends in 2 days · \u2068خريف\u2069");
});
