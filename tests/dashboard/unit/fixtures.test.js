import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { linesOf, sharesOf } from "../../../dashboard/chart.js";
import { csvOf } from "../../../dashboard/export.js";
import { judge } from "../../../dashboard/freshness.js";
import { kindsOf, versionAt } from "../../../dashboard/policy.js";
import { fixture } from "../fixtures.js";

test("a history of the API gives lines", () => {
  const lines = linesOf(fixture("history"), fixture("user"));
  const rendered = lines.map(({ name, points }) => `${name} ${points[0].points}..${points.at(-1).points}`);
  assert.deepEqual(rendered, ["bob 50..50", "ann.lee 25..25", "-eve 10..10", "finn 10..10", "cy@example.com 5..5"]);
  const [{ points }] = lines;
  assert.deepEqual([points[0].at, points.at(-1).at], ["2026-11-20T08:00:00Z", "2026-11-21T09:31:00Z"].map(Date.parse));
});

test("a list of boards of the API gives shares", () => {
  const shares = sharesOf(fixture("boards").boards);
  assert.deepEqual(shares.map(({ name, points }) => `${name} ${points}`), ["security 50", "onboarding 45", "wellness 10"]);
  assert.deepEqual(shares.map(({ share }) => Math.round(share * 100)), [48, 43, 10]);
});

test("a board of the API gives rows to keep", () => {
  const [, first, , third, newcomer] = csvOf(fixture("board")).split("\r\n");
  const heading = "global,week,2026-11-16,2026-11-22,Europe/Berlin,3,2026-11-21T09:31:00Z";
  assert.equal(first, `${heading},1,bob,,50,4,1`);
  assert.equal(third, `${heading},3,'-eve,,10,1,-1`);
  assert.equal(newcomer, `${heading},3,finn,,10,1,`);
});

test("the policy of the API gives kinds to post", () => {
  const kinds = kindsOf(versionAt(fixture("policy").versions, Date.now()));
  assert.deepEqual(kinds.map(({ name, words }) => `${name}: ${words}`), ["Learning milestone: 25 points", "Program check in: 5 points", "Task completed: 10 points"]);
});

test("a document of the API says how old it is", () => {
  const answer = { document: fixture("empty"), receivedAt: 1_000 };
  const { state, facts, measures } = judge({ answer, trouble: null, online: true, pace: 60, now: 3_000 });
  assert.deepEqual([state, facts, measures], ["live", "· 12 s ago", "Lag 11.5 s · backlog 0"]);
});
