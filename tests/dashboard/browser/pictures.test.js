// The list of programs and the charts show the API's numbers, and each chart also has a data table.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { shown, value } from "../page.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const stack = await testStack();

before(async () => {
  await stack.add([...recentActivities({ programs: 14 }), ...activitiesFor({ lena: 500, mia: 480 }, { program: "level" })]);
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
    assert.deepEqual(last, now.map(shown));
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
    const points = rows.map(([, cell]) => value(cell));
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

test("points over time begin at 0, and are read by pointer and by keyboard", async (t) => {
  const level = await visit(t, stack, { board: "program:level" });
  await eventually("an axis", async () => assert.deepEqual((await level.axis()).slice(0, 2), [0, 200]));
  const page = await visit(t, stack, { user: "user-100" });
  await eventually("the lines", async () => assert.equal((await page.linesDrawn()).length, 6));
  assert.equal(await page.reading(), null);
  const now = async () => {
    const { users } = await stack.document("/v1/boards/global/history?window=all");
    return [...users.slice(0, 5).map(({ user_id, points }) => [user_id, shown(points.at(-1))]), ["user-100", shown((await stack.user("user-100")).entry.points)]];
  };
  const reads = async (values) => eventually("the points", async () => {
    const [[time], ...lines] = await page.reading();
    assert.match(time, /\d\d:\d\d:\d\d/);
    assert.deepEqual(lines, values);
    assert.equal(await page.plotText(), `${time}: ${values.map((value) => value.join(" ")).join(", ")}`);
  });
  const isDrawnAgain = async (batch) => {
    const drawn = await page.tab.locator("#race [role=slider]").elementHandle();
    await stack.add(activitiesFor({ "user-001": 5 }, { program: "program-1", batch }));
    await eventually("the chart drawn again", async () => assert.equal(await drawn.evaluate((plot) => plot.isConnected), false));
  };
  await page.hoverPlot(0.9);
  await reads(await now());
  await isDrawnAgain("below-the-pointer");
  await page.tab.mouse.move(0, 0);
  await eventually("no reading", async () => assert.equal(await page.reading(), null));
  await page.key("Tab");
  await page.focusPlot();
  await page.key("Home");
  // A new snapshot may draw the chart again just now.
  let first;
  await eventually("the first point", async () => ([[first]] = await page.reading()));
  await page.key("End");
  await reads(await now());
  assert.notEqual((await page.reading())[0][0], first);
  await page.key("Escape");
  assert.equal(await page.reading(), null);
  assert.notEqual(await page.user(), null, "the card stays");
  await isDrawnAgain("closed");
  assert.equal(await page.reading(), null, "what was closed stays closed");
});

test("percents of all programs sum to 100, in the list and in the chart", async (t) => {
  const page = await visit(t, stack);
  await page.openTables();
  await eventually("the percents", async () => {
    const sum = (shares) => shares.reduce((total, share) => total + share, 0);
    assert.equal(sum((await page.boards()).slice(1).map(({ share }) => share)), 100);
    const { rows } = await page.numbersOf("shares");
    assert.equal(sum(rows.map(([, , share]) => Number.parseInt(share, 10))), 100);
  });
});
