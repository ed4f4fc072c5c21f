// What the page tells whoever looks at it: the own place, the own team, and what changes while one looks.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { closePosting, visit } from "../visit.js";

const POINTS = { ann: 120, bo: 90, cy: 80, dee: 80, eve: 40, fay: 10 };
const TEAMS = { ann: "red", bo: "blue", cy: "blue", fay: "green" };
const NAMES = { bo: "Bo Fox", cy: "Cy Young" };

const stack = await testStack({ timeZone: "UTC" });
before(async () => {
  await stack.add(activitiesFor(POINTS));
  await stack.describe(Object.fromEntries(Object.keys(POINTS).map((user) =>
    [user, { display_name: NAMES[user], team: TEAMS[user], visibility: user === "eve" ? "anonymous" : "listed" }])));
  await stack.entitle("teams", "blue", { title: "The Blues" });
  await eventually("names and teams", async () => {
    const { entries } = await stack.document("/v1/boards/teams?window=all");
    assert.deepEqual(entries.map(({ team_id, title }) => title ?? team_id), ["The Blues", "red", "green"]);
    assert.ok((await stack.board()).entries.some(({ name }) => name === NAMES.bo));
  });
});

/// The page of someone who is `me`, and perhaps in a team, on this device.
const visitAs = (t, me, view = {}, { team, ...options } = {}) => visit(t, stack, view, {
  ...options,
  before: async (tab) => {
    await tab.addInitScript(([me, team]) => {
      localStorage.setItem("podium.me", me);
      if (team) localStorage.setItem("podium.team", JSON.stringify(team));
    }, [me, team]);
    await options.before?.(tab);
  },
});

const says = (page, wanted) => eventually(`${wanted}`, async () => assert.match(await page.you(), wanted));

test("the bar says the own place, the points to those next to it and the time left, of the board and window", async (t) => {
  const page = await visitAs(t, "cy");
  await says(page, /^You Cy Young Rank 3, tied 11 points to pass Bo Fox · level with dee$/);
  await page.chooseWindow("day");
  await says(page, /^You Cy Young Rank 3, tied 11 points to pass Bo Fox · level with dee (\d+ h( \d+ min)?|\d+ min|Less than 1 min) left today$/);
  await page.chooseBoard("onboarding");
  await says(page, /^You Cy Young Rank 3, tied/);
  assert.equal(page.asked(/program:onboarding\/users\/cy\?window=day&around=1/), 1);
  await page.pressYou();
  await eventually("the own card", async () => assert.match(await page.user() ?? "", /^Cy Young/));
  assert.equal(await page.focused(), "Cy Young");
});

test("someone anonymous beside one has no name, and who leads is ahead of someone", async (t) => {
  const last = await visitAs(t, "fay");
  await says(last, /^You fay Rank 6 31 points to pass the next person$/);
  const first = await visitAs(t, "ann");
  await says(first, /^You ann Rank 1 30 ahead of Bo Fox$/);
  const nobody = await visit(t, stack);
  assert.equal(await nobody.you(), null);
  assert.equal(nobody.asked(/you\.js|users/), 0, "nothing is loaded for it");
});

test("who has no points yet, or is not shown, is told so calmly", async (t) => {
  for (const user of ["nobody", "eve"]) {
    const page = await visitAs(t, user, {}, { expected: [/status of 404/] });
    await says(page, new RegExp(`^You ${user} You have no points yet: 1 puts you on the board, unless it does not show you\\.$`));
    assert.equal(await page.alarm(), null);
  }
});

test("a bar that could not be loaded leads to the own card, and comes with the next refresh", async (t) => {
  const page = await visitAs(t, "cy", {}, {
    expected: [/you\.js/],
    before: (tab) => tab.route(/you\.js/, (route) => route.abort(), { times: 1 }),
  });
  await says(page, /Rank 3/);
});

test("the bar covers neither the last row nor what has the focus", async (t) => {
  for (const viewport of [{ width: 320, height: 640 }, { width: 1440, height: 500 }]) {
    const page = await visitAs(t, "cy", {}, { viewport });
    await says(page, /Rank 3/);
    const { y: top, height } = await page.tab.locator("#you").boundingBox();
    assert.equal(Math.round(top + height), viewport.height, "it is at the foot of the screen");
    assert.ok(height < 64, `${height} px`);
    const covered = await page.tab.evaluate(async () => {
      const bar = document.querySelector("#you");
      const names = [];
      for (const element of document.querySelectorAll("a, button, input, select, summary, [tabindex='0']")) {
        if (element === bar || !element.checkVisibility({ visibilityProperty: true }) || element.matches(".skip")) continue;
        element.focus();
        await new Promise(requestAnimationFrame);
        if (element.getBoundingClientRect().bottom > bar.getBoundingClientRect().top + 1) names.push(element.outerHTML.slice(0, 80));
      }
      scrollTo(0, document.documentElement.scrollHeight);
      const last = document.querySelector("main").getBoundingClientRect().bottom;
      if (last > bar.getBoundingClientRect().top) names.push(`the end of the page, ${last} px`);
      return names;
    });
    assert.deepEqual(covered, [], `${viewport.width} px`);
  }
});

test("the own team is chosen on its board, marked on that of teams, and first among the boards", async (t) => {
  const page = await visit(t, stack, { board: "team:blue" });
  await page.press("This is my team");
  await eventually("the first board", async () => assert.equal((await page.boardNames())[0], "The Blues"));
  assert.deepEqual(await page.remembered(), { "podium.team": JSON.stringify({ board: "team:blue", title: "The Blues" }) });
  await page.open({ board: "teams", window: "all" });
  const marks = () => page.tab.locator("#board tbody tr").evaluateAll((all) => all.map((row) => `${row.querySelector(".name").textContent} ${row.querySelector(".mark").textContent}`));
  await eventually("the mark", async () => assert.deepEqual(await marks(), ["The Blues my team", "red ", "green "]));
  await page.open({ window: "all" });
  assert.equal((await page.boardNames())[0], "The Blues", "a title is known before the team is seen again");
  await page.chooseBoard("The Blues");
  await page.press("This is not my team");
  await eventually("that none is one's own", async () => assert.deepEqual(await page.remembered(), { "podium.team": "null" }));
  await page.chooseBoard("All programs");
  await eventually("the boards", async () => assert.ok(!(await page.boardNames()).includes("The Blues")));
});

test("on the board of teams the bar is about the own team, if one has said which it is", async (t) => {
  const page = await visitAs(t, "cy", { board: "teams" }, { team: { board: "team:blue", title: "Blue" } });
  await says(page, /^You The Blues Rank 1 50 ahead of red$/);
  await page.pressYou();
  await eventually("the team", async () => assert.equal(await page.currentBoard(), "The Blues"));
  const other = await visitAs(t, "dee", { board: "teams" });
  await says(other, /^You dee Rank 3, tied/);
});

/// The first of the boards to choose from.
const startsWith = (page, wanted) => eventually(wanted, async () => assert.equal((await page.boardNames())[0], wanted));

test("one's team is known from the profile, and follows it", async (t) => {
  const page = await visitAs(t, "cy", { board: "teams" });
  await says(page, /^You The Blues Rank 1/);
  await startsWith(page, "The Blues");
  assert.equal(await page.text("#board tbody tr.team .name"), "The Blues");
  await page.chooseBoard("The Blues");
  await eventually("that it is the own one", async () => assert.ok(await page.hasButton("This is not my team")));
  assert.deepEqual(await page.remembered(), { "podium.me": "cy" }, "nothing was chosen");

  const other = await visitAs(t, "dee");
  await startsWith(other, "All programs");
  await stack.describe({ dee: { team: "blue" } });
  await startsWith(other, "The Blues");
  await other.chooseUser("dee");
  await other.press("This is not me");
  await startsWith(other, "All programs");
  await stack.describe({ dee: {} });
});

test("a team without a board is not offered, and is looked for once", async (t) => {
  const page = await visitAs(t, "cy", {}, {
    before: (tab) => tab.route(/team:blue\?limit=1$/, (route) => route.fulfill({ status: 404, json: { code: "team_not_published" } })),
    expected: [/status of 404/],
  });
  const asked = page.asked(/users\/cy\?/);
  await eventually("two more refreshes", async () => assert.ok(page.asked(/users\/cy\?/) > asked + 1));
  assert.equal(page.asked(/team:blue\?limit=1$/), 1);
  assert.equal((await page.boardNames())[0], "All programs");
});

test("a team that was chosen on this device stays, and so does that none was", async (t) => {
  // They have no place on this board, so the browser reports a 404.
  const page = await visitAs(t, "cy", { board: "team:red" }, { expected: [/status of 404/] });
  await startsWith(page, "The Blues");
  await page.press("This is my team");
  await startsWith(page, "red");
  const asked = page.asked(/users\/cy\?/);
  await eventually("two more refreshes", async () => assert.ok(page.asked(/users\/cy\?/) > asked + 1));
  assert.ok(!(await page.boardNames()).includes("The Blues"));
  await page.press("This is not my team");
  await eventually("that none is one's own", async () => assert.ok(await page.hasButton("This is my team")));
  await page.open();
  const again = page.asked(/users\/cy\?/);
  await eventually("two more refreshes", async () => assert.ok(page.asked(/users\/cy\?/) > again + 1));
  assert.equal((await page.boardNames())[0], "All programs");
});

/// Records what is animated and announced from now on.
const watchMoves = (page) => page.tab.evaluate(() => {
  globalThis.seen = { glided: new Set(), gained: new Set(), announced: new Set() };
  globalThis.shifts = [];
  const shifted = ({ value, sources }) => globalThis.shifts.push({ value, moved: sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? node?.textContent) });
  new PerformanceObserver((list) => list.getEntries().forEach(shifted)).observe({ type: "layout-shift" });
  const look = () => {
    for (const { effect } of document.getAnimations()) if (effect.target.matches("#board tr")) globalThis.seen.glided.add(effect.target.dataset.user);
    for (const cell of document.querySelectorAll("[data-gain]")) globalThis.seen.gained.add(`${cell.closest("tr").dataset.user} ${cell.dataset.gain}`);
    globalThis.seen.announced.add(document.querySelector("#news").textContent);
    requestAnimationFrame(look);
  };
  look();
});

const seen = (page) => page.tab.evaluate(() => ({
  shifts: globalThis.shifts,
  ...Object.fromEntries(Object.entries(globalThis.seen).map(([what, all]) => [what, [...all].filter(Boolean).sort()])),
}));

test("a newer snapshot shows who moved, gained and leads now, and moves nothing else; those who want less motion see none of it", async (t) => {
  const program = "moving";
  await stack.add(activitiesFor({ ann: 60, bo: 50, dee: 20, fay: 10 }, { program }));
  const view = { board: `program:${program}` };
  const options = { before: closePosting };
  const [page, still] = [await visit(t, stack, view, options), await visit(t, stack, view, { ...options, reducedMotion: "reduce" })];
  for (const each of [page, still]) {
    await eventually("the names", async () => assert.deepEqual((await each.entries()).map(({ user }) => user), ["ann", "Bo Fox", "dee", "fay"]));
    // What is loaded later makes room for itself.
    await eventually("the rest of the page", async () => {
      assert.ok((await each.linesDrawn()).length > 0 && (await each.text("#shares")).includes("%") && (await each.boardNames()).includes(program));
    });
    await each.settle();
    await watchMoves(each);
  }
  await stack.add(activitiesFor({ bo: 25 }, { program, batch: "moves" }));
  await eventually("the new order", async () => assert.equal((await page.entries())[0].user, "Bo Fox"));
  // The next snapshot would end what is shown.
  await page.hide();
  await eventually("what changed", async () => {
    const { shifts, ...changes } = await seen(page);
    assert.deepEqual(changes, { glided: ["ann", "bo"], gained: ["bo +25"], announced: ["Bo Fox leads now"] });
    assert.deepEqual(shifts, []);
  });
  await eventually("its end", async () => assert.deepEqual(await page.tab.evaluate(() => [document.querySelectorAll("[data-gain], [data-leader]").length, document.querySelector("#news").textContent]), [0, ""]));
  await page.unhide();
  await eventually("the new order", async () => assert.equal((await still.entries())[0].user, "Bo Fox"));
  assert.deepEqual(await seen(still), { shifts: [], glided: [], gained: [], announced: [] });

  // Another view is no change, though the page has the earlier answer.
  await watchMoves(page);
  await page.chooseBoard("All programs");
  await eventually("all programs", async () => assert.match(await page.title(), /All programs/));
  await stack.add(activitiesFor({ ann: 30 }, { program, batch: "away" }));
  await page.tab.goBack();
  await eventually("the order by now", async () => assert.equal((await page.entries())[0].user, "ann"));
  await page.settle();
  const { glided, gained, announced } = await seen(page);
  assert.deepEqual([glided.filter((user) => user === "bo"), gained.filter((each) => each === "bo +25"), announced], [[], [], []]);
});
