import assert from "node:assert/strict";
import { test } from "node:test";
import { delayAfterAnswer, delayAfterFailure } from "../../../dashboard/refresh.js";

test("the next try follows the next snapshot", () => {
  assert.equal(delayAfterAnswer(60, 0), 60_000);
  assert.equal(delayAfterAnswer(60, 1), 66_000);
  assert.equal(delayAfterAnswer(0, 0), 1000);
});

test("failures are followed by longer and longer waits", () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => delayAfterFailure(failures, 0, 0) / 1000);
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  assert.equal(delayAfterFailure(1, 0, 0.5), 1050);
});

test("a server that says when to come again is believed", () => {
  assert.equal(delayAfterFailure(1, 30, 0), 30_000);
  assert.equal(delayAfterFailure(7, 30, 0), 60_000);
});
