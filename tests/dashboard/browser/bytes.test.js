// What a visit transfers stays small, whatever the deployment has.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { closePosting, visit } from "../visit.js";

const DAY_MS = 86_400_000;
const PHONE = { width: 360, height: 640 };
const TABLET = { width: 768, height: 1024 };
const DESK = { width: 1440, height: 900 };
// Of the page's files and of the API's documents, each once, as they are compressed.
const BYTES_MAX = 90_000;
const QUESTS = [{
  id: "first", version: 1, title: "The first task", coin: { name: "Amber", value: 10 }, per: "once",
  rule: { count: { of: { kind: "task_completed" }, at_least: 1 } },
}];

const dayIn = (days) => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
const season = (id, first, last) => ({ id, title: id, first_day: dayIn(first), last_day: dayIn(last) });
const start = (...seasons) => testStack({ timeZone: "UTC", seasons });
const PAST = season("spring", -20, -9);

const states = {
  "no season": await testStack({}),
  "a running season": await start(PAST, season("autumn", -3, 3)),
  "a season that ends today": await start(season("autumn", -3, 0)),
  "a season that is over": await start(PAST),
  "a season to come": await start(PAST, season("winter", 4, 60)),
  "quests and a running season": await testStack({ timeZone: "UTC", seasons: [season("autumn", -3, 3)], quests: QUESTS }),
};

before(() => Promise.all(Object.values(states).map((stack) => stack.add(recentActivities({ count: 600, users: 150 })))));

/// Opens the page as a public deployment has it, where nobody posts.
async function visitPublic(t, stack, viewport, view = {}, me = null) {
  const sizes = new Map();
  const page = await visit(t, stack, view, {
    viewport,
    before: async (tab) => {
      tab.on("requestfinished", (request) => {
        const { protocol, pathname } = new URL(request.url());
        if (protocol !== "data:" && !sizes.has(pathname)) sizes.set(pathname, request.sizes());
      });
      if (me !== null) await tab.addInitScript((user) => localStorage.setItem("podium.me", user), me);
      await closePosting(tab);
    },
  });
  const files = () => [...sizes.keys()];
  const bytes = async () => (await Promise.all(sizes.values())).reduce((sum, { responseBodySize }) => sum + responseBodySize, 0);
  return { page, files, bytes };
}

for (const [state, stack] of Object.entries(states)) {
  const hasSeason = !["no season", "a season that is over"].includes(state);
  const hasQuests = state.startsWith("quests");
  for (const viewport of [PHONE, TABLET, DESK]) {
    test(`with ${state}, ${viewport.width} px wide, a visit stays small`, async (t) => {
      const { page, files, bytes } = await visitPublic(t, stack, viewport);
      await eventually("what belongs to the season", async () => {
        for (const name of ["/season.js", "/season.css", "/calendar.js"]) assert.equal(files().includes(name), hasSeason, name);
      });
      await eventually("the quests", async () => assert.equal(files().includes("/quests.js"), hasQuests));
      if (viewport !== DESK) assert.ok(!files().includes("/chart.js"), "the charts are far");
      const opening = await bytes();
      await page.scrollThrough();
      await eventually("the charts, and what shows moves", async () => {
        assert.ok((await page.linesDrawn()).length > 0);
        for (const name of ["/chart.css", "/chart.js", "/moves.css", "/moves.js"]) assert.ok(files().includes(name), name);
      });
      const whole = await bytes();
      t.diagnostic(`${opening} bytes to open a board, ${whole} of all`);
      assert.ok(whole > 10_000, "something is measured");
      assert.ok(whole <= BYTES_MAX, `${whole} bytes in all`);
    });
  }
}

test("the bar of whoever marked their row adds little", async (t) => {
  const stack = states["a running season"];
  const { user_id } = (await stack.board()).entries[0];
  const { page, files, bytes } = await visitPublic(t, stack, PHONE, {}, user_id);
  await eventually("the bar", async () => {
    assert.ok((await page.you())?.includes(user_id));
    for (const name of ["/season.js", "/season.css", "/you.css", "/place.js"]) assert.ok(files().includes(name), name);
  });
  const all = await bytes();
  t.diagnostic(`${all} bytes`);
  assert.ok(all <= BYTES_MAX, `${all} bytes`);
});

test("charts that cannot be loaded leave the board, and are tried again with the next one", async (t) => {
  const page = await visit(t, states["no season"], {}, {
    viewport: DESK,
    expected: [/chart\.js/],
    before: (tab) => tab.route(/chart\.js/, (route) => route.abort(), { times: 1 }),
  });
  assert.equal((await page.entries()).length, 100);
  await eventually("the charts", async () => assert.ok((await page.linesDrawn()).length > 0));
  assert.ok(page.asked(/chart\.js/) > 1);
});

test("a link leads to the charts, which are loaded then", async (t) => {
  const page = await visit(t, states["no season"], {}, { viewport: PHONE });
  assert.deepEqual(await page.linesDrawn(), []);
  await page.tab.getByRole("link", { name: "Charts", exact: true }).click();
  await eventually("the charts in sight", async () => {
    assert.ok((await page.linesDrawn()).length > 0);
    const { top, bottom } = await page.tab.locator("figure#race svg").evaluate((chart) => chart.getBoundingClientRect().toJSON());
    assert.ok(top >= 0 && bottom <= PHONE.height, `${top} to ${bottom}`);
  });
});
