// What a visit loads of the page's own files stays small, whatever the deployment has.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const DAY_MS = 86_400_000;
const PHONE = { width: 360, height: 640 };
const TABLET = { width: 768, height: 1024 };
const DESK = { width: 1440, height: 900 };
const OPENING_BYTES_MAX = 90_000;
// With the bar of whoever marked their row.
const OWN_BYTES_MAX = 95_000;
// With the charts, which stand beside the board on a wide screen, and what shows the moves of a second board.
const WHOLE_BYTES_MAX = 107_000;

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
};

before(() => Promise.all(Object.values(states).map((stack) => stack.add(recentActivities({ count: 600, users: 150 })))));

/// Opens the page as a public deployment has it, where nobody posts. Its files are counted as they are stored.
async function visitPublic(t, stack, viewport, view = {}, me = null) {
  const page = await visit(t, stack, view, {
    viewport,
    before: async (tab) => {
      if (me !== null) await tab.addInitScript((user) => localStorage.setItem("podium.me", user), me);
      await tab.route("**/config.js", (route) => route.fulfill({
        contentType: "text/javascript",
        body: 'export const login = null;\nexport const readers = "public";\nexport const posting = null;\n',
      }));
    },
  });
  const files = () => [...new Set(page.requests.map((url) => new URL(url)).filter(({ protocol, pathname }) =>
    protocol !== "data:" && !pathname.startsWith("/v1/")).map(({ pathname }) => (pathname === "/" ? "/index.html" : pathname)))];
  const bytes = (without = []) => files().filter((name) => !without.some((each) => name.startsWith(each)))
    .reduce((sum, name) => sum + readFileSync(new URL(`../../../dashboard${name}`, import.meta.url)).length, 0);
  return { page, files, bytes };
}

for (const [state, stack] of Object.entries(states)) {
  const hasSeason = !["no season", "a season that is over"].includes(state);
  for (const viewport of [PHONE, TABLET, DESK]) {
    test(`with ${state}, ${viewport.width} px wide, a visit stays small`, async (t) => {
      const { page, files, bytes } = await visitPublic(t, stack, viewport);
      await eventually("what belongs to the season", async () => {
        for (const name of ["/season.js", "/season.css", "/calendar.js"]) assert.equal(files().includes(name), hasSeason, name);
      });
      if (viewport !== DESK) assert.ok(!files().includes("/chart.js"), "the charts are far");
      // Whether the second board is asked for by now depends on the time that passed. On a wide screen the charts come
      // at once, right after the board: they are bounded below.
      const opening = bytes(["/moves.", ...(viewport === DESK ? ["/chart."] : [])]);
      assert.ok(opening <= OPENING_BYTES_MAX, `${opening} bytes to open a board`);
      await page.scrollThrough();
      await eventually("the charts, and what shows moves", async () => {
        assert.ok((await page.linesDrawn()).length > 0);
        for (const name of ["/chart.css", "/chart.js", "/moves.css", "/moves.js"]) assert.ok(files().includes(name), name);
      });
      const whole = bytes();
      t.diagnostic(`${opening} bytes to open a board, ${whole} of all`);
      assert.ok(whole <= WHOLE_BYTES_MAX, `${whole} bytes in all`);
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
  const opening = bytes(["/moves."]);
  t.diagnostic(`${opening} bytes`);
  assert.ok(opening <= OWN_BYTES_MAX, `${opening} bytes`);
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
