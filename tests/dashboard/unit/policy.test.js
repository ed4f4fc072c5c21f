import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { kindsOf, versionAt, versionsFrom } from "../../../dashboard/policy.js";

const kindOf = (worth) => kindsOf({ points: { run: worth }, titles: {} })[0];

test("the version in force is the latest that has begun", () => {
  const versions = ["1970-01-01T00:00:00Z", "2026-11-21T09:00:00+01:00", "2026-11-22T00:00:00Z"].map((effective_from) => ({ effective_from }));
  const check = (now, expected) => assert.equal(versions.indexOf(versionAt(versions, Date.parse(now))), expected, now);
  check("2026-11-21T07:59:59Z", 0);
  check("2026-11-21T08:00:00Z", 1);
  check("2026-11-21T23:59:59Z", 1);
  check("2030-01-01T00:00:00Z", 2);
  check("1969-01-01T00:00:00Z", 0);
});

test("the version in force matters and those to come, and the first one has always been there", () => {
  const versions = ["1970-01-01", "2026-11-21", "2026-12-01"].map((day) => ({ effective_from: `${day}T00:00:00Z` }));
  const check = (now, ...expected) => assert.deepEqual(
    versionsFrom(versions, Date.parse(now)).map(({ version, begin, isToCome }) => [version.effective_from.slice(0, 10), begin !== null, isToCome]), expected);
  check("2026-11-20T00:00:00Z", ["1970-01-01", false, false], ["2026-11-21", true, true], ["2026-12-01", true, true]);
  check("2026-11-22T00:00:00Z", ["2026-11-21", true, false], ["2026-12-01", true, true]);
  check("2026-12-22T00:00:00Z", ["2026-12-01", true, false]);
});

test("a kind says what it is worth", () => {
  const check = (worth, expected) => assert.equal(kindOf(worth).words, expected);
  check(10, "10 points");
  check(1, "1 point");
  check(0, "0 points");
  check({ points: 10, max_per_day: 50 }, "10 points, at most 50 points a day");
  check({ per: 1000, points: 10 }, "10 points for each 1\u202f000");
  check({ per: 1000, points: 10, max: 200 }, "10 points for each 1\u202f000, at most 200");
  check({ per: 1, points: 1, max: 0, max_per_day: 1 }, "1 point for each 1, at most 0, at most 1 point a day");
  check({ given: { max: 50 } }, "0 to 50 points");
  check({ given: { max: 1 }, max_per_day: 5000 }, "0 to 1 point, at most 5\u202f000 points a day");
});

test("a kind names the field that it needs besides", () => {
  const check = (worth, needs, max) => assert.deepEqual([kindOf(worth).needs, kindOf(worth).max], [needs, max]);
  check(10, null, undefined);
  check({ points: 10, max_per_day: 50 }, null, undefined);
  check({ per: 1000, points: 10, max: 200 }, "quantity", undefined);
  check({ given: { max: 0 } }, "points", 0);
});

test("kinds have their titles, or else their readable ids, and are sorted by them", () => {
  const ids = ["task_completed", "steps", "code-review", "constructor", "__proto__"];
  const points = JSON.parse(`{${ids.map((id) => `"${id}":1`).join(",")}}`);
  const kinds = kindsOf({ points, titles: { steps: "Étapes <b>", "code-review": "Reviews" } });
  assert.deepEqual(kinds.map(({ kind, name }) => `${kind}: ${name}`), [
    "__proto__:  proto ", "constructor: Constructor", "steps: Étapes <b>", "code-review: Reviews", "task_completed: Task completed",
  ]);
});
