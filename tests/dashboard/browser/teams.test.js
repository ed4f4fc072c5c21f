// Teams are ranked, and the members of each.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const POINTS = { ann: 40, bob: 20, cy: 50, dee: 10, eve: 5 };
const TEAMS = { ann: "red", bob: "red", cy: "blue", dee: "sales/north", idle: "blue" };

const stack = await testStack({ snapshotEvery: "2s" });
before(async () => {
  await stack.add(activitiesFor(POINTS));
  await stack.describe(Object.fromEntries(Object.entries(TEAMS).map(([user, team]) =>
    [user, { team, display_name: user === "ann" ? "Ann Lee" : null }])));
  await stack.entitle("teams", "blue", { title: "الفريق الأزرق" });
  await stack.entitle("programs", "onboarding", { title: "First days" });
  await eventually("the titles", async () => {
    assert.equal((await stack.document("/v1/boards/teams?window=all")).entries[1].title, "الفريق الأزرق");
  });
});

/// The rows of the table as they are shown, with tabs between the cells.
const rows = (page) => page.tab.locator("#board tbody tr").evaluateAll((all) =>
  all.map(({ cells }) => [...cells].map(({ innerText }) => innerText.trim().replace(/\s+/g, " ")).join("|")));

const heads = (page) => page.tab.locator("#board th").allTextContents();

test("teams are a board of their own, and each leads to its members", async (t) => {
  const page = await visit(t, stack);
  await page.chooseBoard("Teams");
  await eventually("the teams", async () => {
    assert.deepEqual(await rows(page), ["1|red|60|2|60", "2|الفريق الأزرق blue|50|2|50", "3|sales/north|10|1|10"]);
  });
  assert.deepEqual(await heads(page), ["Rank", "Team", "Score", "Members", "Points"]);
  assert.match(await page.sums(), /^3 teams · 120 points · by sum$/);
  assert.match(await page.title(), /Teams/);
  assert.equal(await page.currentBoard(), "Teams");
  assert.equal(await page.tab.locator("#race").isVisible(), false, "teams have no lines");

  await page.tab.locator("#board tbody .name").getByText("الفريق الأزرق").click();
  await eventually("the members", async () => assert.deepEqual((await page.entries()).map(({ user }) => user), ["cy"]));
  assert.deepEqual(await heads(page), ["Rank", "Name", "Points", "Activities", "Change"]);
  assert.equal(await page.text("#board-name"), "الفريق الأزرق");
  assert.equal(await page.currentBoard(), "الفريق الأزرق");
  assert.match(await page.title(), /الفريق الأزرق/);
  assert.equal(await page.tab.locator("#race").isVisible(), true);

  await page.tab.goBack();
  await eventually("the teams again", async () => assert.equal((await rows(page)).length, 3));
  assert.equal(await page.currentBoard(), "Teams");
});

test("a link opens the board of a team, with the place of a member", async (t) => {
  const page = await visit(t, stack, { board: "team:sales/north", user: "dee" });
  await eventually("the member", async () => assert.match(await page.user(), /^dee/));
  assert.deepEqual((await page.entries()).map(({ user }) => user), ["dee"]);
  await page.chooseBoard("Teams");
  await eventually("the teams", async () => assert.equal((await rows(page)).length, 3));
  assert.equal(await page.tab.locator("#user").isVisible(), false, "nobody is on the board of teams");
});

test("a person who is found from the teams is shown on the board of everyone", async (t) => {
  const page = await visit(t, stack, { board: "teams" });
  await page.find("ann");
  await eventually("the person", async () => assert.match(await page.user(), /^Ann Lee/));
  assert.equal(await page.currentBoard(), "All programs");
});

test("programs are called by their titles", async (t) => {
  const page = await visit(t, stack, { board: "program:onboarding" });
  await eventually("the title", async () => assert.equal(await page.text("#board-name"), "First days"));
  assert.equal(await page.currentBoard(), "First days");
  assert.match(await page.title(), /First days/);
});

test("the teams can be downloaded", async (t) => {
  const page = await visit(t, stack, { board: "teams" });
  const { name, text } = await page.download("CSV");
  assert.match(name, /^podium-teams-all-/);
  assert.match(text, /,1,red,,60,60,2\r\n/);
});
