// The page on every screen: what has to be in sight, in reach and readable, and what must not move.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { fixture } from "../fixtures.js";
import { activitiesOfPeople, describePeople } from "../people.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Half of what counts as good. In a card, a name of several lines may come after its id.
const SHIFT_MAX = 0.05;
const SEARCH_WIDTH_MIN = 160;
const ROWS_IN_SIGHT_MIN = 3;
const TARGET_MIN = 24;
const LONG = "m".repeat(64);
const LONG_PROGRAM = "W".repeat(64);
// The API takes no such id today.
const LONGEST = "W".repeat(128);

const SIZES = {
  "320 px": { width: 320, height: 640 },
  "360 px": { width: 360, height: 640 },
  "768 px": { width: 768, height: 1024 },
  "1440 px": { width: 1440, height: 900 },
  "2560 px": { width: 2560, height: 1440 },
  "1280x720 at 200%": { width: 640, height: 360 },
  "1440x900 at 200%": { width: 720, height: 450 },
};

// With time between snapshots, so that no board is late on a busy machine.
const stack = await testStack({ snapshotEvery: "5s" });
before(() => stack.add([
  ...recentActivities({ count: 600, users: 150, programs: 14 }),
  ...activitiesFor({ [LONG]: 2000, ann: 5 }, { program: LONG_PROGRAM }),
]));
const named = await testStack({ snapshotEvery: "5s" });
before(async () => {
  await named.add(activitiesOfPeople());
  await describePeople(named);
});

/// What is wrong with the page as it is laid out, as texts.
function faults(page, { isChosen }) {
  return page.tab.evaluate(([isChosen, LIMITS]) => {
    const found = [];
    const box = (element) => element.getBoundingClientRect();
    const isIn = ({ top, bottom, left, right }) => top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth + 1;
    const search = box(document.querySelector("#search-text")).width;
    if (search < LIMITS.search) found.push(`the search box is ${search} px wide`);
    const rows = [...document.querySelectorAll("#board tbody tr")].filter((row) => isIn(box(row))).length;
    if (!isChosen && rows < LIMITS.rows) found.push(`${rows} rows are in sight`);
    // Numbers beside a name stay on the page, and beside it.
    const numbers = "#board td:nth-child(3), #podium .points, #programs .points, #neighbours td:last-child, #shares text:not(.name)";
    for (const number of document.querySelectorAll(numbers)) {
      if (!number.checkVisibility({ contentVisibilityAuto: true })) continue;
      const { left, right } = box(number);
      // Programs scroll sideways in a list of their own.
      if (!number.closest("#programs") && (left < 0 || right > innerWidth)) found.push(`${number.textContent} is out of sight`);
      if (number.scrollWidth > number.clientWidth + 1) found.push(`${number.textContent} is cut off`);
      const name = number.parentElement.querySelector(".name");
      if (!name || number.closest("svg, #podium")) continue;
      const other = box(name);
      const overlap = Math.min(right, other.right) - Math.max(left, other.left);
      const level = Math.min(box(number).bottom, other.bottom) - Math.max(box(number).top, other.top);
      if (overlap > 1 && level > 1) found.push(`${number.textContent} lies on ${name.textContent}`);
    }
    for (const label of document.querySelectorAll("svg text")) {
      const { right } = box(label);
      const card = label.closest("figure, section");
      if (label.checkVisibility() && right > box(card).right) found.push(`${label.textContent} leaves its chart`);
    }
    for (const target of document.querySelectorAll("a, button, input, select, summary, [role=option], [role=slider]")) {
      if (!target.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) || target.matches(".skip")) continue;
      const { width, height } = box(target);
      if (width < LIMITS.target || height < LIMITS.target) found.push(`${target.outerHTML.slice(0, 90)} is ${width}x${height}`);
    }
    return found;
  }, [isChosen, { search: SEARCH_WIDTH_MIN, rows: ROWS_IN_SIGHT_MIN, target: TARGET_MIN }]);
}

/// Records how much the layout shifts, from the first paint on.
const watchShifts = (tab) => tab.addInitScript(() => {
  globalThis.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries()) {
      globalThis.shifts.push({ value, moved: sources.map(({ node }) => node?.id || node?.className || node?.nodeName) });
    }
  }).observe({ type: "layout-shift", buffered: true });
});

async function staysPut(page) {
  await page.settle();
  const shifts = await page.tab.evaluate(() => globalThis.shifts);
  const sum = shifts.reduce((total, { value }) => total + value, 0);
  assert.ok(sum < SHIFT_MAX, `the layout shifts by ${sum}: ${JSON.stringify(shifts)}`);
}

async function violations(page) {
  await page.tab.evaluate(AXE);
  return page.tab.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}

const setMe = (tab) => tab.addInitScript(() => localStorage.setItem("podium.me", "user-001"));

for (const [size, viewport] of Object.entries(SIZES)) {
  test(`at ${size} the rows are in sight, nothing is cut off, and nothing moves`, async (t) => {
    const page = await visit(t, stack, { board: `program:${LONG_PROGRAM}` }, {
      viewport,
      reducedMotion: "reduce",
      // Who looks at the page has no points on this board.
      expected: [/status of 404/],
      before: async (tab) => {
        await setMe(tab);
        await watchShifts(tab);
      },
    });
    await staysPut(page);
    for (const view of [{ window: "all" }, { window: "all", user: LONG }]) {
      await page.open(view);
      await staysPut(page);
      assert.deepEqual(await faults(page, { isChosen: "user" in view }), [], JSON.stringify(view));
      assert.deepEqual(await page.wider(), [], "nothing scrolls sideways");
    }
    // look.test.js has the other widths.
    if (![360, 720, 1440].includes(viewport.width)) assert.deepEqual(await violations(page), []);
  });
}

for (const [size, viewport] of Object.entries(SIZES)) {
  test(`at ${size} names of every script and length fit, light or dark, and nothing moves`, async (t) => {
    const page = await visit(t, named, {}, {
      viewport,
      reducedMotion: "reduce",
      before: async (tab) => {
        await tab.addInitScript(() => localStorage.setItem("podium.me", "latin80"));
        await watchShifts(tab);
      },
    });
    for (const view of [{ window: "all" }, { window: "all", user: "latin80" }, { window: "all", user: "arabic80" }]) {
      await page.open(view);
      await staysPut(page);
      assert.deepEqual(await faults(page, { isChosen: "user" in view }), [], JSON.stringify(view));
      assert.deepEqual(await page.wider(), [], "nothing scrolls sideways");
    }
    await page.tab.locator("#user summary").click();
    await page.tab.locator("#freshness summary").click();
    await eventually("the bar and the points by program", async () => {
      assert.match(await page.you(), /Rank \d/);
      assert.ok(await page.tab.locator("#user details li").count() > 0);
    });
    assert.deepEqual(await page.wider(), [], "nothing scrolls sideways");
    for (const colorScheme of ["light", "dark"]) {
      await page.tab.emulateMedia({ colorScheme });
      assert.deepEqual(await violations(page), [], colorScheme);
    }
    await page.press("How points work");
    await eventually("how points work", async () => assert.ok(await page.tab.getByRole("dialog").isVisible()));
    assert.deepEqual(await page.wider(), [], "nothing scrolls sideways");
    assert.deepEqual(await violations(page), []);
  });
}

test("ids of 128 characters push no number out of sight", async (t) => {
  const words = { bob: LONGEST, "ann.lee": LONGEST.toLowerCase(), "program:onboarding": `program:${LONGEST}` };
  const documents = [[/\/history/, "history"], [/\/users\//, "user"], [/\/users\?/, "search"], [/\/boards\?/, "boards"], [/\/policy$/, "policy"], [/./, "board"]];
  const page = await visit(t, stack, { user: LONGEST, board: `program:${LONGEST}` }, {
    before: (tab) => tab.route("**/v1/**", (route) => {
      const [, name] = documents.find(([pattern]) => pattern.test(route.request().url()));
      return route.fulfill({ json: fixture(name, words), headers: { etag: 'W/"1"', "cache-control": "max-age=60" } });
    }),
  });
  for (const viewport of Object.values(SIZES)) {
    await page.tab.setViewportSize(viewport);
    await page.settle();
    assert.deepEqual(await faults(page, { isChosen: true }), [], JSON.stringify(viewport));
    assert.deepEqual(await page.wider(), [], JSON.stringify(viewport));
  }
  // The whole name is a tooltip.
  assert.deepEqual(await page.tab.locator(`#board [title="${LONGEST}"]`).count(), 1);
});

test("in forced colours the selection, the podium and the lines differ from what is around them", async (t) => {
  const page = await visit(t, stack, { user: "user-001" }, { forcedColors: "active", before: setMe });
  const seen = await page.tab.evaluate(() => {
    const style = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
    return {
      tab: style("[aria-selected=true]", "backgroundColor") !== style("[role=tab][aria-selected=false]", "backgroundColor"),
      board: style("#programs [aria-current]", "backgroundColor") !== style("#programs a:not([aria-current])", "backgroundColor"),
      podium: style("#podium .step", "borderTopStyle") === "solid",
      row: style("#board .chosen", "outlineStyle") === "solid",
      line: style("#race path.line-1", "stroke") !== style("#race", "backgroundColor"),
    };
  });
  assert.deepEqual(seen, { tab: true, board: true, podium: true, row: true, line: true });
  assert.deepEqual(await violations(page), []);
});

test("on paper there are the heading once and every row, and nothing lies on them", async (t) => {
  const page = await visit(t, stack, { user: "user-001" }, { before: setMe, colorScheme: "dark" });
  const rows = (await page.entries()).length;
  assert.ok(rows > 90, `${rows}`);
  await page.tab.emulateMedia({ media: "print", colorScheme: "dark" });
  const { shown, laid, overlapping, ground } = await page.tab.evaluate(() => {
    const visible = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
    const rows = visible("#board tbody tr");
    const tops = [...visible("#user"), ...rows, ...visible("#range")].map((each) => each.getBoundingClientRect());
    return {
      shown: visible("button:not(.name):not([role=tab]), input, select, nav a").map(({ outerHTML }) => outerHTML),
      laid: rows.filter((row) => row.getBoundingClientRect().height > 10).length,
      overlapping: tops.filter(({ top }, i) => i > 0 && top < tops[i - 1].bottom - 1).length,
      ground: [...document.querySelectorAll("#user, #panel, #pages")].map((each) => getComputedStyle(each).position),
    };
  });
  assert.deepEqual(shown, [], "no controls");
  assert.equal(laid, rows);
  assert.equal(overlapping, 0);
  assert.deepEqual(ground, ["static", "static", "static"]);
  const pdf = (await page.tab.pdf({ format: "A4" })).toString("latin1");
  const pages = pdf.match(/\/Type\s*\/Page\b/g).length;
  assert.ok(pages <= 4, `${pages} pages`);
});
