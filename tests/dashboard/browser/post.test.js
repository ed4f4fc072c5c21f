// An activity posted on the page reaches the board; where posting is closed there is no form.

import assert from "node:assert/strict";
import { test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const stack = await testStack({ activities: activitiesFor({ ann: 20, bob: 10 }) });

test("an activity that is posted on the page arrives on the board, without a reload", async (t) => {
  const page = await visit(t, stack);
  await page.post({ user: "bob", program: "onboarding", kind: "learning_milestone" });
  await eventually("the activity to be accepted", async () => assert.match(await page.postResult(), /accepted/));
  await eventually("the activity on the board", async () => {
    assert.match(await page.postResult(), /on the board after \d+(\.\d)? s/);
    const shown = (await page.entries()).map(({ rank, user, points }) => `${rank} ${user} ${points}`);
    assert.deepEqual(shown, ["1 bob 35", "2 ann 20"]);
  });
});

test("someone who posts for the first time is on the board as well", async (t) => {
  // The API answers 404 for a user without points.
  const page = await visit(t, stack, {}, { expected: [/status of 404.*users\/cy/s] });
  await page.post({ user: "cy", program: "wellness", kind: "program_check_in" });
  await eventually("the activity on the board", async () => {
    assert.match(await page.postResult(), /on the board after/);
    assert.ok((await page.entries()).some(({ user, points }) => user === "cy" && points === 5));
  });
});

for (const [what, activity, field] of [
  ["a user", { user: "no one!", program: "onboarding" }, "user"],
  ["a program", { user: "ann", program: "" }, "program"],
]) {
  test(`an activity without ${what} that may be is refused, and the field is named`, async (t) => {
    const page = await visit(t, stack, {}, { expected: [/status of 4\d\d/] });
    await page.post({ ...activity, kind: "task_completed" });
    await eventually("the refusal", async () => {
      assert.match(await page.postResult(), new RegExp(`^${field}_id: `));
      assert.equal(await page.wrongField(), field);
    });
    assert.doesNotMatch(await page.postResult(), /accepted/);
  });
}

test("in a deployment, where posting is closed, there is no form", async (t) => {
  const page = await visit(t, stack, {}, {
    before: (tab) => tab.route("**/config.js", (route) =>
      route.fulfill({ contentType: "text/javascript", body: 'export const api = ""; export const ingest = null;' })),
  });
  assert.equal((await page.entries())[0].rank, 1);
  assert.equal(await page.canPost(), false);
});
