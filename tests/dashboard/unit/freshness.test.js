import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { ageSeconds, judge } from "../../../dashboard/freshness.js";

const RECEIVED = 5000;

function answer(freshness = {}) {
  const document = {
    window: { time_zone: "Europe/Berlin" },
    freshness: {
      generated_at: "2026-11-21T09:05:32Z", age_seconds: 12, lag_seconds: 0.8, backlog: 0, stale: false, stale_reasons: [],
      ...freshness,
    },
  };
  return { document, receivedAt: RECEIVED };
}

function said(change, seconds = 0) {
  return judge({ answer: answer(), trouble: null, online: true, pace: 60, now: RECEIVED + seconds * 1000, ...change });
}

test("the age is that of the server, counted on", () => {
  assert.equal(ageSeconds(answer(), RECEIVED), 12);
  assert.equal(ageSeconds(answer(), RECEIVED + 23_000), 35);
});

test("all is well", () => {
  assert.deepEqual(said({}, 23), { state: "live", alarm: "", facts: "· 35 s ago", measures: "Lag 0.8 s · backlog 0", asOf: "" });
  const { measures } = said({ answer: answer({ lag_seconds: null, backlog: 1234 }) });
  assert.equal(measures, "Lag not measured yet · backlog 1\u202f234");
});

test("nothing is known yet", () => {
  const loading = (seconds) => said({ answer: null, asked: RECEIVED }, seconds);
  assert.deepEqual(loading(0), { state: "loading", alarm: "", facts: "", measures: "", asOf: "" });
  assert.equal(loading(8).facts, "The server has not answered for 8 s. Still waiting.");
  assert.deepEqual(said({ answer: null }, 8), { state: "none", alarm: "", facts: "", measures: "", asOf: "" });
});

test("a stale board says why", () => {
  const check = (freshness, why) => {
    const { state, alarm, asOf } = said({ answer: answer({ stale: true, ...freshness }) });
    assert.equal(alarm, `This board is out of date: ${why}.`);
    assert.equal(state, "late");
    assert.equal(asOf, "as of 10:05:32");
  };
  check({ stale_reasons: ["age"], age_seconds: 420 }, "it was last updated at least 6 min ago");
  check({ stale_reasons: ["lag"], lag_seconds: 185.2 }, "activities take at least 100 s to be counted");
  check({ stale_reasons: ["lag"], lag_seconds: null }, "activities take at least 0 s to be counted");
  check({ stale_reasons: ["backlog"], backlog: 12_345 }, "at least 10\u202f000 activities are waiting to be counted");
  check({ stale_reasons: ["backlog"], backlog: 1 }, "at least 1 activity is waiting to be counted");
  check({ stale_reasons: ["lag", "backlog"], lag_seconds: 90, backlog: 2 },
    "activities take at least 90 s to be counted; at least 2 activities are waiting to be counted");
  check({ stale_reasons: ["moon"] }, "moon");
  assert.equal(said({ answer: answer({ stale: true }) }).state, "late", "even without a reason");
});

test("a board that grows old by itself is out of date", () => {
  assert.equal(said({}, 178).state, "live");
  assert.equal(said({}, 179).alarm, "This board is out of date: it was last updated at least 100 s ago.");
  assert.equal(said({ pace: 2 }, 5).state, "late");
});

test("the alarm does not change with every second", () => {
  const alarms = new Set(Array.from({ length: 3600 }, (_, second) => said({}, 200 + second).alarm));
  assert.ok(alarms.size <= 12, [...alarms].join("\n"));
});

test("what cannot be reached comes first", () => {
  const trouble = "The server cannot be reached.";
  const alarm = "Cannot load the latest board. The server cannot be reached. This page keeps trying.";
  assert.equal(said({ trouble }).alarm, `${alarm} This board is from 10:05:32.`);
  assert.equal(said({ trouble }).state, "stuck");
  assert.match(said({ trouble }, 600).alarm, /^Cannot load the latest board\. .* This board is from .* It is out of date: /);
  assert.match(said({ trouble, online: false }).alarm, /^You are offline\. This board is from 10:05:32\.$/);
  assert.equal(said({ trouble, answer: null }).alarm, alarm);
  assert.equal(said({ trouble, answer: null }).asOf, "");
});

test("a board of yesterday says so", () => {
  assert.equal(said({}, 86_400).asOf, "as of 21 Nov 2026, 10:05:32");
});
