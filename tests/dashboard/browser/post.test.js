// An activity posted on the page reaches the board, whatever its kind is worth; where posting is closed there is no form.

import assert from "node:assert/strict";
import { test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { closePosting, visit } from "../visit.js";

const SCORING = [
  { effective_from: "1970-01-01T00:00:00Z", points: { retired: 5, task_completed: 10 } },
  {
    effective_from: "2020-01-01T00:00:00Z",
    points: {
      greeting: 0,
      review: { given: { max: 50 }, max_per_day: 60 },
      steps: { per: 1000, points: 10, max: 200 },
      task_completed: 10,
      watering: { points: 5, max_per_day: 5 },
    },
    titles: { steps: "Walking", greeting: "Say hello" },
  },
  { effective_from: "2999-01-01T00:00:00Z", points: { planned: 5 } },
];

const stack = await testStack({ activities: activitiesFor({ ann: 20, bob: 10 }) });
const weighed = await testStack({ scoring: SCORING });

const arrives = (page) => eventually("the activity on the board", async () => assert.match(await page.postResult(), /on the board after/));

const has = (user, points, activities) => eventually(`${points} points of ${user}`, async () => {
  const { entry } = await weighed.user(user);
  assert.deepEqual([entry.points, entry.activities], [points, activities]);
});

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
  const page = await visit(t, stack, {}, { before: closePosting });
  assert.equal((await page.entries())[0].rank, 1);
  assert.equal(await page.canPost(), false);
  assert.equal(page.asked(/post\.js|policy/), 0, "nothing is loaded for it");
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
  await arrives(page);
  // Another process of serve may have the snapshot before for a moment.
  await eventually("two activities", async () => assert.equal((await stack.user("dan")).entry.activities, 2));
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

test("the form offers the kinds in force, and says what each is worth and asks for what it needs", async (t) => {
  const page = await visit(t, weighed);
  await eventually("the kinds", async () => {
    assert.deepEqual(await page.kinds(), ["Review", "Say hello", "Task completed", "Walking", "Watering"]);
  });
  for (const [kind, hint, numbers] of [
    ["Review", "0 to 50 points, at most 60 points a day", ["Points 50"]],
    ["Say hello", "0 points", []],
    ["Task completed", "10 points", []],
    ["Walking", "10 points for each 1\u202f000, at most 200", ["Quantity"]],
    ["Watering", "5 points, at most 5 points a day", []],
  ]) {
    await page.chooseKind(kind);
    assert.equal(await page.kindHint(), hint);
    assert.deepEqual(await page.numbers(), numbers, kind);
  }
});

test("a quantity and given points are sent, and arrive as what they are worth", async (t) => {
  const page = await visit(t, weighed, {}, { expected: [/status of 4\d\d/] });
  const activity = { user: "ann", program: "health", kind: "steps" };
  await page.post(activity);
  await eventually("the refusal", async () => assert.equal(await page.wrongField(), "quantity"));
  await page.post({ ...activity, Quantity: "12345" });
  await arrives(page);
  await has("ann", 120, 1);
  await page.post({ ...activity, kind: "review", Points: "51" });
  await eventually("the refusal", async () => assert.equal(await page.wrongField(), "points"));
  await page.post({ ...activity, kind: "review", Points: "40" });
  await arrives(page);
  await has("ann", 160, 2);
});

test("an activity that adds no points arrives as well, and so does one of someone below zero", async (t) => {
  const page = await visit(t, weighed, {}, { expected: [/status of 404/] });
  const activity = { user: "bob", program: "health" };
  for (const [kind, points, activities] of [["greeting", 0, 1], ["watering", 5, 2], ["watering", 5, 3]]) {
    await page.post({ ...activity, kind });
    await arrives(page);
    await has("bob", points, activities);
  }
  await weighed.adjust([{ user_id: "bob", program_id: "health", points: -100, reason: "Watered a neighbour's plants." }]);
  await has("bob", -95, 3);
  await page.post({ ...activity, kind: "task_completed" });
  await arrives(page);
  await has("bob", -85, 4);
});

test("without the policy one types a kind, and the form says so, until the policy is there", async (t) => {
  const page = await visit(t, weighed, {}, {
    expected: [/status of 50\d/, /status of 4\d\d/],
    before: (tab) => tab.route("**/v1/policy", (route) => route.fulfill({ status: 503 })),
  });
  await eventually("what is missing", async () => assert.match(await page.kindHint(), /^The kinds could not be loaded, so type one\./));
  assert.deepEqual(await page.kinds(), []);
  assert.deepEqual(await page.numbers(), ["Quantity", "Points"]);
  await page.post({ user: "cy", program: "health", kind: "steps", Quantity: "2000" });
  await arrives(page);
  await has("cy", 20, 1);

  await page.tab.unroute("**/v1/policy");
  await page.post({ user: "cy", program: "health", kind: "retired", Quantity: "" });
  await eventually("the refusal", async () => {
    assert.match(await page.postResult(), /^Kind is /);
    assert.equal((await page.kinds()).length, 5);
  });
});

test("a kind that is no longer in force is refused, and the form then offers those that are", async (t) => {
  const page = await visit(t, weighed, {}, {
    expected: [/status of 4\d\d/],
    before: (tab) => tab.route("**/v1/policy", (route) => route.fulfill({ json: { versions: SCORING.slice(0, 1).map((version) => ({ ...version, titles: {} })) } }), { times: 1 }),
  });
  await page.post({ user: "dee", program: "health", kind: "retired" });
  await eventually("the refusal", async () => {
    assert.match(await page.postResult(), /^Kind is .*retired/);
    assert.equal(await page.wrongField(), "kind");
  });
  await page.post({ user: "dee", program: "health", kind: "task_completed" });
  await arrives(page);
});

test("how points work is told from the policy, now and to come, and Escape leads back", async (t) => {
  const page = await visit(t, weighed, { user: "ann" }, { expected: [/how\.js/, /status of 404/] });
  await page.tab.route(/how\.js/, (route) => route.abort(), { times: 1 });
  await page.press("How points work");
  await eventually("why not", async () => assert.match(await page.notice(), /A part of this page cannot be loaded\./));
  const sums = await page.sums();
  await weighed.post(activitiesFor({ hal: 10 }, { program: "health", batch: "notice" }));
  await eventually("a newer board", async () => assert.notEqual(await page.sums(), sums));
  assert.match(await page.notice(), /A part of this page cannot be loaded\./, "a newer board leaves it");
  await page.press("How points work");
  const dialog = page.tab.getByRole("dialog", { name: "How points work" });
  assert.equal(await page.notice(), "", "the next press takes it away");
  await eventually("the rules", async () => {
    const told = (await dialog.innerText()).replace(/\s+/g, " ");
    assert.match(told, /Since 1 Jan 2020 review 0 to 50 points, at most 60 points a day Say hello 0 points/i);
    assert.match(told, /Walking 10 points for each 1 000, at most 200/);
    assert.match(told, /From 1 Jan 2999 Planned 5 points/);
    assert.doesNotMatch(told, /retired/i);
    for (const rule of [/at most a day counts for each person and program/, /Equal points share a rank/, /corrected/, /more than 24 h after the end/, /midnight of Europe\/Berlin/]) assert.match(told, rule);
  });
  await page.key("Escape");
  assert.equal(await dialog.isVisible(), false);
  assert.equal(await page.focused(), "How points work");
  assert.notEqual(await page.user(), null, "the card stays");
});
