// The season as a window of the page: while it runs, once it is over, and before the next one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DAY_MS = 86_400_000;
// What Web Vitals call good. On a busy machine, a long title arrives after the first rows.
const SHIFT_MAX = 0.1;

/// The day so many days from today, as the API names it.
const dayIn = (days) => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
const season = (id, title, first, last) => ({ id, title, first_day: dayIn(first), last_day: dayIn(last) });
const SPRING = season("spring", "Spring", -20, -9);
const SUMMER = season("summer", "Summer of <b>code</b>", -8, -4);
const AUTUMN = season("autumn", "Autumn", -3, 3);
const WINTER = season("winter", "Winter", 4, 60);
const LONG = season("long", "W".repeat(80), -3, 3);
const RTL = season("rtl", "عبدالرحمن ".repeat(8).trim(), -3, 3);
const nameOf = ({ first_day, last_day }) => `${first_day}..${last_day}`;

const start = (...seasons) => testStack({ timeZone: "UTC", seasons });
const running = await start(SPRING, SUMMER, AUTUMN, WINTER);
const between = await start(SUMMER, WINTER);
const long = await start(LONG);
const rtl = await start(RTL);

const during = ({ first_day }, points) =>
  activitiesFor(points, { batch: first_day }).map((activity) => ({ ...activity, occurred_at: `${first_day}T12:00:00Z` }));

before(async () => {
  const summer = during(SUMMER, { bob: 50, ann: 20, cy: 10 });
  await running.add([...summer, ...during(SPRING, { cy: 20 }), ...activitiesFor({ ann: 60, bob: 40, dee: 40 })]);
  await between.add([...summer, ...activitiesFor({ ann: 60 })]);
  for (const stack of [running, between]) stack.archive(nameOf(SUMMER));
  await Promise.all([long, rtl].map((stack) => stack.add(activitiesFor({ ann: 60, bob: 40, dee: 40 }))));
});

const names = async (page) => (await page.entries()).map(({ user }) => user);
const seasonWords = (page) => page.tab.locator("#season").innerText().then((text) => text.replace(/[\u2068\u2069]/g, ""));

test("the season that runs has a tab, and is a window like the others, with its end", async (t) => {
  const page = await visit(t, running, {}, { before: (tab) => tab.addInitScript(() => localStorage.setItem("podium.me", "bob")) });
  await eventually("the tab", async () => assert.deepEqual(await page.tabs(), ["Today", "This week", "This month", "Autumn", "All time"]));
  assert.equal(await page.tab.locator("#season").innerText(), "", "nothing is announced while a season runs");
  await page.chooseSeason("Autumn");
  await eventually("the board", async () => assert.deepEqual((await page.entries()).map(({ rank, user, points }) => `${rank} ${user} ${points}`), ["1 ann 60", "2 bob 40", "2 dee 40"]));
  assert.deepEqual(page.view(), { window: "season" });
  await eventually("its name", async () => assert.match(await page.title(), /^Autumn · All programs/));
  assert.match(await seasonWords(page), /^ends in [23] days · Autumn$/);
  assert.match(await page.windowDates(), /20\d\d, UTC/);
  await eventually("the own place", async () => assert.match(await page.you(), /^You bob Rank 2, tied 21 points to pass ann · level with dee .* left this season$/));
  await eventually("the lines", async () => assert.deepEqual(await page.linesDrawn(), ["ann", "bob", "dee"]));
  await page.find("dee");
  await eventually("the person", async () => assert.match(await page.user() ?? "", /dee/));
  const { name, text } = await page.download("CSV");
  assert.equal(name, `podium-global-season-${AUTUMN.first_day}.csv`);
  assert.match(text, new RegExp(`global,season,${AUTUMN.first_day},${AUTUMN.last_day},UTC,`));

  await page.focusWindow();
  await page.key("ArrowRight");
  await eventually("all time", async () => assert.equal(await page.window(), "all"));
  await page.key("ArrowLeft");
  await eventually("the season", async () => assert.equal(page.view().window, "season"));
});

test("a season that is over is chosen by its title from the list of periods, with its podium", async (t) => {
  const page = await visit(t, running, { window: "season" });
  await page.choosePeriod("Earlier…");
  await eventually("the list", async () => assert.ok((await page.periods()).some((text) => text.includes(SUMMER.title)), `${await page.periods()}`));
  await page.tab.locator("#period").selectOption(nameOf(SUMMER));
  await eventually("the podium", async () => assert.deepEqual((await page.podium()).map(({ text }) => text.split("\n")[0]), ["bob", "ann", "cy"]));
  assert.deepEqual(page.view(), { window: "season", period: nameOf(SUMMER) });
  assert.match(await page.sums(), /closed/);
  await eventually("its title", async () => assert.equal(await seasonWords(page), SUMMER.title));
  assert.ok((await page.title()).startsWith(`${SUMMER.title} · `), await page.title());

  // By its address, in which the window may be missing.
  await page.open({ period: nameOf(SUMMER) });
  await eventually("the title in the list", async () => assert.deepEqual(await page.periods(), ["Now", SUMMER.title, "Earlier…"]));
  await page.choosePeriod("Now");
  await eventually("the season that runs", async () => assert.match(await seasonWords(page), /^ends in .* Autumn$/));
});

test("between seasons there is no tab, and the next one is announced", async (t) => {
  const page = await visit(t, between);
  await eventually("the announcement", async () => assert.match(await seasonWords(page), /^Winter begins on \d+ \w+, in [34] days$/));
  assert.deepEqual(await page.tabs(), ["Today", "This week", "This month", "All time"]);
  await page.focusWindow();
  for (const [key, window] of [["ArrowLeft", "month"], ["ArrowRight", "all"], ["ArrowRight", "day"]]) {
    await page.key(key);
    assert.equal(await page.window(), window, "the keys skip what is not shown");
  }
});

test("the address of a season while none runs says so, and leads to all time and to the seasons that are over", async (t) => {
  const page = await visit(t, between, { window: "season" }, { ready: false, expected: [/status of 404/] });
  await eventually("the reason", async () => assert.match(await page.board(), new RegExp(`No season runs\\. Winter begins on ${WINTER.first_day}\\.`)));
  assert.equal(await page.tab.getByRole("tab", { selected: true }).innerText(), "Season");
  const links = page.tab.locator("#other-boards a");
  await eventually("the links", async () => assert.deepEqual((await links.allInnerTexts()).map((text) => text.replace(/[\u2068\u2069]|, .*/g, "")), ["All time", SUMMER.title]));
  assert.deepEqual(await violations(page), []);
  await links.nth(1).click();
  await eventually("the season that is over", async () => assert.deepEqual(await names(page), ["bob", "ann", "cy"]));
  await page.tab.goBack();
  await links.first().click();
  await page.ready();
  assert.deepEqual(page.view(), { window: "all" });
  assert.deepEqual((await names(page))[0], "ann");
  assert.equal(await links.first().isVisible(), false);
});

test("how points work names the seasons, leads to their boards, and tells how ties are ranked", async (t) => {
  let ties;
  const page = await visit(t, running, {}, {
    before: (tab) => tab.route("**/v1/policy", async (route) => {
      const response = await route.fetch();
      const { tie_break, ...policy } = await response.json();
      await route.fulfill({ response, json: { ...policy, ...(ties && { tie_break: ties }) }, headers: { ...response.headers(), etag: `"${ties}"` } });
    }),
  });
  const dialog = page.tab.getByRole("dialog");
  for (const [rule, words] of [[undefined, /Equal points share a rank/], ["shared", /Equal points share a rank/], ["earlier", /Of equal points, those that were there first rank higher/]]) {
    ties = rule;
    await page.open({ window: "all" });
    await page.press("How points work");
    await eventually(`the rule ${rule}`, async () => assert.match(await dialog.innerText(), words));
  }
  const seasons = await dialog.locator("dl").last().locator("div").evaluateAll((all) =>
    all.map((each) => `${each.children[0].textContent} ${each.textContent.match(/\w+( \w+)?$/)[0]}`));
  assert.deepEqual(seasons, ["Spring over", `${SUMMER.title} over`, "Autumn running", "Winter to come"]);
  assert.match(await dialog.innerText(), /a day, week, month or season does not count/);
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole("link", { name: SUMMER.title }).click();
  await eventually("its board", async () => assert.deepEqual(await names(page), ["bob", "ann", "cy"]));
});

async function violations(page) {
  await page.tab.evaluate(AXE);
  return page.tab.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}

for (const [what, stack, view] of [["of 80 characters", long, "season"], ["from right to left", rtl, "season"], ["of the next season", between, "week"]]) {
  for (const width of [320, 360, 768, 1440]) {
    test(`at ${width} px a title ${what} fits, light or dark, and nothing moves`, async (t) => {
      const page = await visit(t, stack, { window: view }, {
        viewport: { width, height: 900 },
        reducedMotion: "reduce",
        before: (tab) => tab.addInitScript(() => {
          globalThis.shifts = [];
          new PerformanceObserver((list) => {
            for (const { value, sources } of list.getEntries()) {
              globalThis.shifts.push({ value, moved: sources.map(({ node }) => node?.id || node?.className || node?.nodeName) });
            }
          }).observe({ type: "layout-shift", buffered: true });
        }),
      });
      await eventually("the season", async () => assert.match(await seasonWords(page), /(ends|begins) /));
      await page.settle();
      assert.deepEqual(await page.wider(), [], "nothing scrolls sideways");
      const tabs = await page.tab.getByRole("tab").evaluateAll((all) => all.map((tab) => {
        const { left, right } = tab.getBoundingClientRect();
        return { name: tab.textContent, left, right, isCut: tab.scrollWidth > tab.clientWidth };
      }));
      for (const [i, { name, left, right, isCut }] of tabs.entries()) {
        assert.ok(right <= width && right - left >= 24 && left >= (tabs[i - 1]?.right ?? 0), `${name} from ${left} to ${right}`);
        assert.ok(!isCut || name.length > 12, `${name} is cut off`);
      }
      const shifts = await page.tab.evaluate(() => globalThis.shifts);
      const sum = shifts.reduce((total, { value }) => total + value, 0);
      assert.ok(sum < SHIFT_MAX, `the layout shifts by ${sum}: ${JSON.stringify(shifts)}`);
      for (const colorScheme of ["light", "dark"]) {
        await page.tab.emulateMedia({ colorScheme });
        assert.deepEqual(await violations(page), [], colorScheme);
      }
    });
  }
}
