// Finding a user, and one's own rank.

import assert from "node:assert/strict";
import { test } from "node:test";
import { recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const stack = await testStack({ activities: recentActivities() });

const essence = ({ rank, user, user_id, points }) => `${rank} ${user ?? user_id} ${points}`;

/// The section of the chosen user shows what the API returns.
async function tells(page, user, options = {}) {
  await eventually(`${user} as the API has them`, async () => {
    const { entry, above, below, percentile } = await stack.user(user, { ...options, around: 3 });
    const told = await page.user();
    assert.ok(told?.includes(user), `${user} is chosen: ${told}`);
    for (const number of [entry.rank, entry.points, entry.activities]) {
      assert.ok(told.includes(number.toLocaleString("en")), `${number} in ${told}`);
    }
    assert.match(told, percentile === 100 ? /everyone/ : new RegExp(`\\b${Math.floor(percentile)} ?%`));
    const neighbours = (await page.neighbours()).map(essence);
    assert.deepEqual(neighbours, [...above, entry, ...below].map(essence));
  });
}

test("typing suggests whose ids contain the text, best first", async (t) => {
  const page = await visit(t, stack);
  await page.type("er-01");
  await eventually("the suggestions", async () => {
    const { entries } = await stack.document("/v1/boards/global/users?window=all&search=er-01&limit=10");
    assert.equal(entries.length, 10);
    assert.deepEqual((await page.suggestions()).users, entries.map(({ user_id }) => user_id));
  });
});

test("a suggestion is chosen by the keyboard alone", async (t) => {
  const page = await visit(t, stack);
  await page.type("user-02");
  const { users } = await eventually("the suggestions", async () => {
    const suggestions = await page.suggestions();
    // Suggestions for the first characters do not count: those for the whole text replace them.
    assert.equal(suggestions.users.filter((user) => user.includes("user-02")).length, 10);
    return suggestions;
  });
  const reached = async (key, user) => {
    await page.key(key);
    await eventually(`${key} reaches ${user}`, async () => assert.equal((await page.suggestions()).reached, user));
  };
  await reached("ArrowDown", users[0]);
  await reached("ArrowDown", users[1]);
  await reached("ArrowUp", users[0]);
  await page.key("Escape");
  await eventually("no suggestions", async () => assert.deepEqual((await page.suggestions()).users, []));
  await page.type("user-02");
  await eventually("the same suggestions", async () => assert.deepEqual((await page.suggestions()).users, users));
  await reached("ArrowDown", users[0]);
  await page.key("Enter");
  await tells(page, users[0]);
  assert.equal(page.view().user, users[0]);
});

test("a text that nobody's id contains says so, and asks no more than the last of what was typed", async (t) => {
  const page = await visit(t, stack);
  await page.type("nobody-at-all");
  await eventually("the search", async () => assert.ok(page.asked(/search=nobody-at-all/) > 0));
  assert.ok(page.asked(/search=/) <= 3, "it waits until typing stops");
  assert.deepEqual((await page.suggestions()).users, []);
});

test("an id is found whole, and told with its neighbours as the API has them", async (t) => {
  const page = await visit(t, stack, { window: "week" });
  await page.find("user-007");
  await tells(page, "user-007", { window: "week" });
  await page.press("Close");
  await eventually("no user is chosen", async () => assert.equal(await page.user(), null));
  assert.equal(page.view().user, undefined);
});

test("one on the board is chosen by name, on the board of a program as well", async (t) => {
  const page = await visit(t, stack, { board: "program:program-3" });
  const [, second] = await page.entries();
  await page.chooseUser(second.user);
  await tells(page, second.user, { board: "program:program-3" });
});

test("an id that is on no board is said to be unknown", async (t) => {
  const page = await visit(t, stack, {}, { expected: [/status of 404/] });
  await page.find("user-unknown");
  const { status, body } = await stack.get("/v1/boards/global/users/user-unknown?window=all&around=3");
  assert.equal(status, 404);
  await eventually("the reason", async () => {
    const told = await page.user();
    assert.ok(told?.includes(body.detail), told);
  });
});

test("a text that can be no id is refused in words", async (t) => {
  const page = await visit(t, stack);
  const asked = page.asked(/person/);
  await page.find("no such person!");
  assert.match(await page.refusal(), /letters.*digits/i);
  assert.equal(page.asked(/users\/no/), asked);
});

test("who I am is remembered over a reload, and known to this device only", async (t) => {
  const page = await visit(t, stack, { user: "user-003" });
  await tells(page, "user-003");
  await page.press("This is me");
  await eventually("my row", async () => assert.match(await page.markOf("user-003"), /\bme\b/));
  assert.ok(await page.hasButton("My rank"));
  await page.open({});
  await eventually("my row", async () => assert.match(await page.markOf("user-003"), /\bme\b/));
  assert.equal(await page.user(), null);
  assert.deepEqual(await page.remembered(), { "podium.me": "user-003" });

  // Later visits do not send the id until "My rank" is pressed.
  const earlier = page.requests.length;
  await page.tab.reload();
  await page.ready();
  assert.ok(await page.hasButton("My rank"));
  const mentions = () => page.requests.slice(earlier).filter((url) => url.includes("user-003"));
  assert.deepEqual(mentions(), []);
  await page.press("My rank");
  await tells(page, "user-003");
  assert.ok(mentions().length > 0);

  await page.press("This is not me");
  await eventually("I am forgotten", async () => assert.doesNotMatch(await page.markOf("user-003"), /\bme\b/));
  assert.equal(await page.hasButton("My rank"), false);
  assert.deepEqual(await page.remembered(), {});
});
