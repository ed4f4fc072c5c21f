// The page's URL holds the view, so that it can be shared and restored.

import assert from "node:assert/strict";
import { test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const stack = await testStack({ activities: recentActivities() });

/// What a user sees of a view.
async function seen(page) {
  return {
    board: await page.currentBoard(),
    window: await page.window(),
    title: await page.title(),
    entries: (await page.entries()).map(({ rank, user, points }) => `${rank} ${user} ${points}`),
    neighbours: await page.user() === null ? [] : (await page.neighbours()).map(({ user }) => user),
  };
}

async function sees(page, expected) {
  await eventually("the same view", async () => assert.deepEqual(await seen(page), expected));
}

async function seesUser(page, user) {
  await eventually(`${user} is chosen`, async () => assert.ok((await page.user())?.includes(user)));
}

test("the address of a view, opened by someone else, shows the same view", async (t) => {
  const page = await visit(t, stack);
  await page.chooseBoard("program-1");
  await page.chooseWindow("month");
  await page.chooseRows(25);
  await page.turn("Next");
  const user = await eventually("the second page", async () => {
    const [first] = await page.entries();
    assert.ok(first.rank > 1);
    return first.user;
  });
  await page.chooseUser(user);
  await seesUser(page, user);
  assert.deepEqual(page.view(), { board: "program:program-1", window: "month", from: "26", rows: "25", user });
  const view = await seen(page);
  const other = await visit(t, stack, page.view());
  await sees(other, view);
});

test("back and forward restore each view", async (t) => {
  const page = await visit(t, stack);
  const views = [];
  const steps = [
    async () => {},
    () => page.chooseBoard("program-4"),
    () => page.chooseWindow("month"),
    async () => page.chooseUser((await page.entries())[2].user),
    () => page.chooseRows(25),
    () => page.turn("Next"),
  ];
  for (const step of steps) {
    await step();
    await page.ready();
    views.push(await seen(page));
  }
  assert.equal(new Set(views.map((view) => JSON.stringify(view))).size, views.length, "each view is another one");
  for (const view of views.slice(0, -1).reverse()) {
    await page.tab.goBack();
    await sees(page, view);
  }
  for (const view of views.slice(1)) {
    await page.tab.goForward();
    await sees(page, view);
  }
});

test("a view's address leaves out what is usual", async (t) => {
  const page = await visit(t, stack, { window: "day", rows: 25 });
  await page.chooseWindow("week");
  await page.chooseRows(100);
  await eventually("the usual view", async () => assert.deepEqual(page.view(), {}));
});

test("an address that makes no sense shows the usual view, without a complaint", async (t) => {
  const usual = await visit(t, stack, { window: "week" });
  const view = await seen(usual);
  const odd = { board: "<b>", window: "century", from: "-3", rows: "7", user: "", colour: "red" };
  const page = await visit(t, stack, odd);
  await sees(page, view);
  assert.equal(await page.alarm(), null);
});

test("ids of other systems are found, shown and shared as they are", async (t) => {
  const ids = ["auth0|5f7c", "us-east-1:12ab", "guest_corp#EXT#@tenant", "jane.o'neil+hr@corp.example", "owner/repo", "%2e%2e&user=a"];
  const program = "course-v1:Org+Course/Run#1";
  await stack.add(activitiesFor(Object.fromEntries(ids.map((id, at) => [id, 10 * (ids.length - at)])), { program }));
  const page = await visit(t, stack);
  await page.chooseBoard(program);
  await eventually("the board", async () => assert.deepEqual((await page.entries()).map(({ user }) => user), ids));
  for (const id of ids) {
    await page.find(id);
    // The neighbours of the one before include this one.
    await eventually("the view", async () => assert.deepEqual(page.view(), { board: `program:${program}`, window: "all", user: id }));
    await seesUser(page, id);
    await eventually("the neighbours", async () => assert.ok((await page.neighbours()).some(({ user }) => user === id)));
  }
  const other = await visit(t, stack, page.view());
  await sees(other, await seen(page));
});
