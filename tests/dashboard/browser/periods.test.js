// Boards of periods that are over.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const DAY_MS = 86_400_000;
const stack = await testStack({ timeZone: "UTC" });

/// The day so many days ago, as the API names it.
const dayBefore = (days) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);
const then = dayBefore(3);

before(async () => {
  const occurred_at = `${then}T12:00:00Z`;
  const past = activitiesFor({ ann: 20, bob: 50, cy: 10, dee: 5 }, { batch: "past" }).map((activity) => ({ ...activity, occurred_at }));
  await stack.add([...past, ...activitiesFor({ ann: 30 }, { batch: "now" })]);
  await stack.describe({ bob: { display_name: "Bob Fox" }, cy: { visibility: "anonymous" } });
  stack.archive(then);
  await stack.shows(({ entries }) => entries.some(({ name }) => name === "Bob Fox"));
});

/// A day as the page's browser writes it.
const labelOf = (page, day) => page.tab.evaluate((day) =>
  new Date(day).toLocaleDateString("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" }), day);

test("a day that is over is chosen from a list, with its podium, and left again", async (t) => {
  const page = await visit(t, stack, { window: "day" });
  const label = await labelOf(page, then);
  assert.deepEqual(await page.periods(), ["Now", "Earlier…"]);
  await page.choosePeriod("Earlier…");
  await eventually("the list", async () => assert.ok((await page.periods()).includes(label)));
  assert.deepEqual((await page.entries()).map(({ user }) => user), ["ann"], "the board stays until a day is chosen");
  await page.choosePeriod(label);
  await eventually("the board", async () => {
    assert.deepEqual((await page.entries()).map(({ rank, user, points }) => `${rank} ${user} ${points}`),
      ["1 Bob Fox 50", "2 ann 20", "3 Anonymous 10", "4 dee 5"]);
  });
  assert.deepEqual((await page.podium()).map(({ text }) => text.split("\n")[0]), ["Bob Fox", "ann", "Anonymous"]);
  assert.match(await page.sums(), /^4 people · 85 points · 9 activities · closed · late ones included$/);
  assert.equal(await page.windowDates(), `${label}, UTC`);
  assert.match(await page.title(), new RegExp(`^${then} · `));
  assert.equal(await page.tab.locator("#race").isVisible(), false, "only the current periods have lines");
  const points = await page.tab.locator("#programs .points").allTextContents();
  assert.ok(points.every((text) => text === ""), "points of today would mislead");
  assert.equal(new URL(page.tab.url()).searchParams.get("period"), then);

  // Another board, a person, and a link: all of the same day.
  await page.chooseBoard("onboarding");
  await eventually("the program", async () => assert.match(await page.sums(), /^4 people · 85 points/));
  await page.tab.reload();
  await page.ready();
  await page.chooseUser("ann");
  await eventually("the person", async () => assert.match(await page.user(), /20/));
  await eventually("the chosen day", async () => assert.equal(await page.tab.locator("#period").inputValue(), then));

  await page.chooseWindow("week");
  await eventually("this week", async () => assert.doesNotMatch(await page.sums(), /closed/));
  assert.equal(new URL(page.tab.url()).searchParams.get("period"), null);
  assert.equal(await page.tab.locator("#race").isVisible(), true);
});

test("a period of which there is no board says so, and leads back", async (t) => {
  const page = await visit(t, stack, { window: "day", period: "2020-02-29" }, { ready: false, expected: [/404/] });
  await eventually("the reason", async () => assert.match(await page.board(), /No board global of 2020-02-29 is kept/));
  await page.choosePeriod("Now");
  await eventually("today", async () => assert.deepEqual((await page.entries()).map(({ user }) => user), ["ann"]));
});

test("a list that cannot be loaded leaves the board, and can be asked for again", async (t) => {
  const page = await visit(t, stack, { window: "week" }, { expected: [/ERR_FAILED/] });
  await page.tab.route(/periods\?/, (route) => route.abort(), { times: 1 });
  await page.choosePeriod("Earlier…");
  await eventually("the reason", async () => assert.match(await page.notice(), /The server cannot be reached/));
  await page.choosePeriod("Earlier…");
  await eventually("the list", async () => assert.ok(!(await page.periods()).includes("Earlier…")));
});

test("all time has no periods", async (t) => {
  const page = await visit(t, stack);
  assert.equal(await page.tab.locator("#period").isVisible(), false);
});
