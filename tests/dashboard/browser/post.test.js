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
      assert.match(await page.postResult(), new RegExp(`^${field} `, "i"));
      assert.equal(await page.wrongField(), field);
    });
    assert.doesNotMatch(await page.postResult(), /accepted/);
  });
}

test("in a deployment, where posting is closed, there is no form", async (t) => {
  const page = await visit(t, stack, {}, {
    before: (tab) => tab.route("**/config.js", (route) =>
      route.fulfill({ contentType: "text/javascript", body: 'export const login = null; export const readers = "public"; export const posting = null;' })),
  });
  assert.equal((await page.entries())[0].rank, 1);
  assert.equal(await page.canPost(), false);
});

test("an activity whose answer is lost counts once, however often one presses", async (t) => {
  const page = await visit(t, stack, {}, { expected: [/net::ERR_FAILED/, /status of 404/] });
  let lost = 0;
  await page.tab.route("**/v1/activities", async (route) => {
    if (lost === 2) return route.continue();
    lost += 1;
    await route.fetch();
    await route.abort();
  });
  const activity = { user: "dan", program: "onboarding", kind: "task_completed" };
  for (const answer of [/may have arrived/, /may have arrived/, /had arrived before\. It counts once/]) {
    await page.post(activity);
    await eventually(`the answer ${answer}`, async () => assert.match(await page.postResult(), answer));
  }
  // The same fields are another activity once the answer is known.
  await page.post(activity);
  await eventually("the next one", async () => assert.match(await page.postResult(), /on the board after/));
  assert.equal((await stack.user("dan")).entry.activities, 2);
});

test("a conflict is told, and the next press sends another id", async (t) => {
  const page = await visit(t, stack, {}, { expected: [/status of 409/, /status of 404/] });
  const ids = [];
  await page.tab.route("**/v1/activities", async (route) => {
    ids.push(route.request().postDataJSON().activity_id);
    const problem = { title: "Conflict", status: 409, code: "conflict", detail: "No.", fields: ["program_id", "kind"] };
    await route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify(problem) });
  });
  for (const presses of [1, 2]) {
    await page.post({ user: "ann", program: "onboarding", kind: "task_completed" });
    await eventually("the conflict", async () => {
      assert.equal(ids.length, presses);
      assert.equal(await page.postResult(), "Another activity has this id (program_id, kind). Yours was not counted. Press Post again: it gets a new id.");
    });
  }
  assert.notEqual(ids[0], ids[1]);
});
