// Finding a user, and one's own rank.

import assert from "node:assert/strict";
import { test } from "node:test";
import { recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { shown } from "../page.js";
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
      assert.ok(told.includes(shown(number)), `${number} in ${told}`);
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

test("a text that nobody's name or id contains says so, and asks no more than the last of what was typed", async (t) => {
  const page = await visit(t, stack);
  await page.type("nobody-at-all");
  await eventually("the search", async () => assert.ok(page.asked(/search=nobody-at-all/) > 0));
  assert.ok(page.asked(/search=/) <= 3, "it waits until typing stops");
  await eventually("the answer", async () => assert.match(await page.searchNote(), /^No name or id on this board contains “nobody-at-all”\. Press Find if it is a whole id\.$/));
  assert.deepEqual((await page.suggestions()).users, []);
  await page.key("Escape");
  assert.equal(await page.searchNote(), "");
});

test("blanks around a pasted id do no harm", async (t) => {
  const page = await visit(t, stack);
  await page.find(" user-007\u00a0 ");
  await tells(page, "user-007");
  assert.equal(page.view().user, "user-007");
});

test("a click anywhere in a row chooses its user, and Escape closes the card and returns to the row", async (t) => {
  const page = await visit(t, stack);
  await page.clickRow("user-004");
  await tells(page, "user-004");
  await page.key("Escape");
  await eventually("the row", async () => assert.equal(await page.focusedUser(), "user-004"));
  assert.equal(await page.user(), null);
});

test("the card leaves the list free where there is room beside it", async (t) => {
  const page = await visit(t, stack, { user: "user-004" });
  await page.scrollTo(1500);
  const [card, panel] = await Promise.all(["#user", "#panel"].map((id) => page.tab.locator(id).boundingBox()));
  assert.ok(card.x >= panel.x + panel.width, "it is beside the list");
  assert.ok(card.y >= 0 && card.y + card.height <= 900, "it is in sight");
});

test("users and programs that differ only in capitals are told, and lead there", async (t) => {
  // The API's answers, with the ids in other case that it names.
  const page = await visit(t, stack, { user: "USER-007" }, {
    expected: [/status of 404/],
    before: (tab) => tab.route("**/v1/boards/*/users/*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...await response.json(), other_case: route.request().url().includes("USER-007") ? ["user-007", "User-007"] : ["USER-007"] } });
    }),
  });
  const other = (name) => page.tab.locator("#user-problem").getByRole("button", { name, exact: true });
  await eventually("both", async () => assert.deepEqual([await other("user-007").count(), await other("User-007").count()], [1, 1]));
  await other("user-007").click();
  await tells(page, "user-007");
  assert.equal(await other("USER-007").count(), 1);

  const lost = await visit(t, stack, { board: "program:PROGRAM-1" }, {
    ready: false,
    expected: [/status of 404/],
    before: (tab) => tab.route("**/v1/boards/program:PROGRAM-1?*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...await response.json(), other_case: ["program:program-1"] } });
    }),
  });
  await lost.tab.locator("#message").getByRole("link", { name: "program-1", exact: true }).click();
  await eventually("the program", async () => assert.equal(await lost.currentBoard(), "program-1"));
  await eventually("its freshness", async () => assert.match(await lost.freshness(), / ago/));
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

test("a text that can be no id is searched for only, and one that is too long is refused in words", async (t) => {
  const page = await visit(t, stack);
  await page.find("no such <person>!");
  await eventually("the answer", async () => assert.equal(await page.searchNote(), "No name or id on this board contains “no such <person>!”."));
  assert.equal(await page.user(), null);
  assert.equal(page.asked(/\/users\//), 0);
  await page.key("Escape");
  assert.equal(await page.searchNote(), "");
  const asked = page.asked(/search=/);
  await page.find("é".repeat(129));
  assert.match(await page.refusal(), /1 to 128 characters of a name or id/);
  assert.equal(page.asked(/search=/), asked);
});

test("a part of ids leads to a choice, and is taken as a whole id when it is sought again", async (t) => {
  const page = await visit(t, stack, {}, { expected: [/status of 404/] });
  const words = "Choose a person, or press Find again if “user-01” is a whole id.";
  await page.find("user-01");
  await eventually("the choice", async () => {
    assert.equal(await page.searchNote(), words);
    assert.equal((await page.suggestions()).users.length, 10);
  });
  assert.equal(await page.user(), null);
  await page.key("ArrowDown");
  const { reached } = await page.suggestions();
  await page.key("Enter");
  await tells(page, reached);

  await page.find("user-01");
  await eventually("the choice", async () => assert.equal(await page.searchNote(), words));
  await page.press("Find");
  await eventually("that there is none", async () => assert.match(await page.user(), /^user-01\b[^]*neither points nor activities/));
  assert.equal(page.view().user, "user-01");
});

test("a whole id is found while the search does not work", async (t) => {
  const page = await visit(t, stack, {}, {
    expected: [/status of 503/],
    before: (tab) => tab.route("**/users?*", (route) => route.fulfill({ status: 503, json: {} })),
  });
  await page.find("no such person!");
  await eventually("why not", async () => assert.equal(await page.searchNote(), "The search does not work now."));
  await page.find("user-007");
  await tells(page, "user-007");
});

test("a search that could not be loaded says so, and is loaded by the next try", async (t) => {
  const page = await visit(t, stack, {}, { expected: [/search\.js/] });
  await page.tab.route(/search\.js/, (route) => route.abort(), { times: 1 });
  await page.type("user-007");
  await eventually("why not", async () => assert.equal(await page.searchNote(), "A part of this page cannot be loaded."));
  await page.find("user-007");
  await tells(page, "user-007");
});

test("a person's points by program are asked for by a press, and each leads to its board", async (t) => {
  const page = await visit(t, stack, { user: "user-150", window: "month" }, { expected: [/status of 404/, /by_program\.js/] });
  assert.equal(page.asked(/users\/user-150.*around=0/), 0);
  await page.tab.route(/by_program\.js/, (route) => route.abort(), { times: 1 });
  const summary = page.tab.locator("#user summary");
  const rows = () => page.tab.locator("#user details li").evaluateAll((all) => all.map(({ innerText }) => innerText.replace(/\s+/g, " ")));
  await summary.click();
  await eventually("why not", async () => assert.match(await page.user(), /A part of this page cannot be loaded\./));
  await summary.click();
  await summary.click();
  const expected = [];
  for (const { board } of (await stack.document("/v1/boards?window=month")).boards.slice(1)) {
    const { status, body } = await stack.get(`/v1/boards/${board}/users/user-150?window=month&around=0`);
    if (status === 200) expected.push([board.replace("program:", ""), body.entry.points]);
  }
  expected.sort(([a, ours], [b, theirs]) => theirs - ours || (a < b ? -1 : 1));
  await eventually("the points", async () => assert.deepEqual(await rows(), expected.map(([name, points]) => `${name} ${shown(points)}`)));
  const [name] = expected[0];
  await page.tab.locator("#user details").getByRole("link", { name, exact: true }).click();
  await eventually("its board", async () => assert.equal(await page.currentBoard(), name));
  assert.equal(page.view().user, "user-150");
  await page.press("Close");
});

test("who I am is remembered over a reload, on this device only, and told to nobody but the API", async (t) => {
  const page = await visit(t, stack, { user: "user-003" });
  await tells(page, "user-003");
  assert.equal(await page.you(), null);
  await page.press("This is me");
  await eventually("my row", async () => assert.match(await page.markOf("user-003"), /\bme\b/));
  await page.open({ window: "all" });
  await eventually("my row", async () => assert.match(await page.markOf("user-003"), /\bme\b/));
  assert.equal(await page.user(), null);
  assert.deepEqual(await page.remembered(), { "podium.me": "user-003" });
  await eventually("my bar", async () => assert.match(await page.you(), /^You user-003 Rank \d/));
  assert.equal(page.view().user, undefined, "a link to this page does not say who shared it");
  await page.pressYou();
  await tells(page, "user-003");

  await page.press("This is not me");
  await eventually("I am forgotten", async () => assert.doesNotMatch(await page.markOf("user-003"), /\bme\b/));
  assert.equal(await page.you(), null);
  assert.deepEqual(await page.remembered(), {});
});
