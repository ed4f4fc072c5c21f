// The list of programs and the charts show the API's numbers, and each chart also has a data table.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const stack = await testStack();

before(async () => {
  await stack.add(recentActivities({ programs: 14 }));
  await stack.add(activitiesFor({ "user-000": 500, "user-100": 20 }));
});

test("points over time are those of the first five and of the chosen user", async (t) => {
  const page = await visit(t, stack, { user: "user-100" });
  await page.openTables();
  await eventually("the lines", async () => {
    const { users } = await stack.document("/v1/boards/global/history?window=all");
    const first = users.slice(0, 5);
    const user = await stack.user("user-100");
    const { heads, rows } = await page.numbersOf("race");
    assert.deepEqual(heads.slice(1), [...first.map(({ user_id }) => user_id), "user-100"]);
    const last = heads.slice(1).map((_, at) => rows.map((row) => row[at + 1]).findLast((points) => points !== "–"));
    const now = [...first.map(({ points }) => points.at(-1)), user.entry.points];
    assert.deepEqual(last, now.map((points) => points.toLocaleString("en")));
    assert.ok(rows.length > 1 && rows.every(([at]) => /\d\d:\d\d/.test(at)));
    assert.deepEqual(await page.linesDrawn(), heads.slice(1), "each line is labelled");
  });
});

test("shares of programs are those of the window, and the smallest are put together", async (t) => {
  const page = await visit(t, stack, { window: "day" });
  await page.openTables();
  await eventually("the shares", async () => {
    const [, ...programs] = (await stack.document("/v1/boards?window=day")).boards;
    const listed = programs.filter(({ points }) => points > 0);
    const { rows } = await page.numbersOf("shares");
    assert.ok(rows.length <= 9);
    const points = rows.map(([, cell]) => Number(cell.replaceAll(",", "")));
    const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
    assert.equal(sum(points), sum(listed.map((program) => program.points)));
    const names = rows.slice(0, -1).map(([name]) => name);
    assert.deepEqual(names, listed.slice(0, names.length).map(({ board }) => board.replace("program:", "")));
    if (listed.length > rows.length) assert.match(rows.at(-1)[0], /others/);
  });
});

test("among many programs one filters for a name", async (t) => {
  const page = await visit(t, stack);
  const names = async () => (await page.boards()).map(({ name }) => name);
  const all = (await stack.document("/v1/boards?window=all")).boards.length;
  await eventually("all programs", async () => assert.equal((await names()).length, all));
  // Filtering must work without a refresh.
  await page.hide();
  await page.filterPrograms("PROGRAM-1");
  const expected = ["program-1", "program-10", "program-11", "program-12", "program-13"];
  await eventually("those of the name", async () => {
    assert.deepEqual((await names()).filter((name) => name !== "All programs").sort(), expected);
  });
  await page.filterPrograms("");
  await eventually("all programs", async () => assert.equal((await names()).length, all));
});
