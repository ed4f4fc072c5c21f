// The page is accessible, fits every screen, and does not shift while it is read.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { startProvider } from "../provider.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const NARROW = { width: 320, height: 640 };

// Twelve users, and one with the longest allowed id.
const PEOPLE = Array.from({ length: 12 }, (_, at) => [`person-${at + 1}`, 500 - 30 * at]);
const LONG = "m".repeat(64);
const POINTS = { ...Object.fromEntries(PEOPLE), [LONG]: 290 };

const TEAMS = { "person-1": "red", "person-2": "red", "person-3": "blue", [LONG]: "t".repeat(128) };

const stack = await testStack({ activities: activitiesFor(POINTS) });
before(() => stack.describe(Object.fromEntries(Object.entries(TEAMS).map(([user, team]) => [user, { team }]))));
const empty = await testStack();
const provider = await startProvider({ users: { [LONG]: {} } });
after(() => provider.stop());
const closed = await testStack({ login: [...provider.flags, "--self-reporting"] });
provider.allow(closed.url);

/// Makes the API report stale boards.
const staleAnswers = (tab) => tab.route("**/v1/boards**", async (route) => {
  const response = await route.fetch();
  const json = await response.json();
  Object.assign(json.freshness, {
    stale: true, stale_reasons: ["age", "lag", "backlog"], age_seconds: 4000, lag_seconds: 250.5, backlog: 12_345,
  });
  await route.fulfill({ response, json });
});

const STATES = {
  "a board": { visit: (t, options) => visit(t, stack, {}, options) },
  "a chosen user": {
    visit: async (t, options) => {
      const page = await visit(t, stack, { user: "person-3" }, options);
      await eventually("the neighbours", async () => assert.equal((await page.neighbours()).length, 6));
      return page;
    },
  },
  "the board of teams": {
    visit: async (t, options) => {
      await eventually("the teams", () => stack.document("/v1/boards/teams"));
      const page = await visit(t, stack, { board: "teams" }, options);
      await eventually("the teams", async () => assert.match(await page.board(), /3 teams/));
      return page;
    },
  },
  "a board that is out of date": {
    visit: async (t, options) => {
      const page = await visit(t, stack, {}, { ...options, before: staleAnswers });
      await eventually("the banner", async () => assert.match(await page.alarm() ?? "", /^This board is out of date/));
      return page;
    },
  },
  "an empty board": {
    visit: async (t, options) => {
      const page = await visit(t, empty, {}, options);
      assert.match(await page.board(), /No one has points here yet/);
      return page;
    },
  },
  "an invitation to log in": {
    visit: async (t, options) => {
      const page = await visit(t, closed, {}, { ...options, ready: false, others: [provider.issuer] });
      await page.press("Log in");
      await page.chooseAccount("no");
      await eventually("the refusal", async () => assert.match(await page.loginSays(), /^The login provider refused/));
      assert.match(await page.invitation(), /^Log in to see the boards/);
      return page;
    },
  },
  "a login with a long id": {
    visit: async (t, options) => {
      // Who logs in has no points.
      const page = await visit(t, closed, {}, { ...options, ready: false, others: [provider.issuer], expected: [/status of 404/] });
      await page.logIn(LONG);
      assert.equal(await page.account(), `Logged in as ${LONG}`);
      return page;
    },
  },
};

for (const [state, { visit: open }] of Object.entries(STATES)) {
  test(`${state} has no fault in accessibility that axe finds, light or dark, narrow or wide`, async (t) => {
    // Without this, axe could measure a colour in mid-transition.
    const page = await open(t, { reducedMotion: "reduce" });
    await page.openTables();
    await page.tab.evaluate(AXE);
    for (const colorScheme of ["light", "dark"]) {
      await page.tab.emulateMedia({ colorScheme });
      for (const width of [360, 1440]) {
        await page.tab.setViewportSize({ width, height: 900 });
        await page.settle();
        const violations = await page.tab.evaluate(async () => {
          const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
          return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
        });
        assert.deepEqual(violations, [], `${colorScheme}, ${width} px`);
      }
    }
  });

  test(`${state} fits on a screen of 320 px`, async (t) => {
    const page = await open(t, { viewport: NARROW });
    await page.settle();
    assert.deepEqual(await page.wider(), [], "nothing is wider than the screen");
  });
}

/// Records layout shifts from now on.
async function watchShifts(page) {
  await page.settle();
  await page.tab.evaluate(() => {
    globalThis.shifts = [];
    const note = ({ value, hadRecentInput, sources }) => {
      if (hadRecentInput) return;
      const moved = sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? node?.textContent);
      globalThis.shifts.push({ value, moved });
    };
    globalThis.observer = new PerformanceObserver((list) => list.getEntries().forEach(note));
    globalThis.observer.observe({ type: "layout-shift" });
  });
}

async function noShifts(page) {
  await page.settle();
  assert.deepEqual(await page.tab.evaluate(() => globalThis.shifts), []);
}

test("a refresh shifts nothing, be there other points, another order or someone new", async (t) => {
  const page = await visit(t, stack, { user: "person-3" });
  await eventually("the neighbours", async () => assert.equal((await page.neighbours()).length, 6));
  await watchShifts(page);
  const changes = [{ "person-5": 5 }, { "person-9": 100 }, { "someone-new": 275 }, { "person-1": 2000 }];
  for (const [at, change] of changes.entries()) {
    await stack.add(activitiesFor(change, { batch: `shift-${at}` }));
    const [user] = Object.keys(change);
    const { entry } = await stack.user(user);
    await eventually(`${user} with ${entry.points} points`, async () => {
      const shown = (await page.entries()).find((each) => each.user === user);
      assert.deepEqual([shown?.rank, shown?.points], [entry.rank, entry.points]);
    });
    await noShifts(page);
  }
});

test("a board that becomes old moves next to nothing", async (t) => {
  for (const width of [360, 1440]) {
    const page = await visit(t, stack, {}, { viewport: { width, height: 900 } });
    await watchShifts(page);
    await staleAnswers(page.tab);
    await eventually("the banner", async () => assert.match(await page.alarm() ?? "", /^This board is out of date/));
    await page.settle();
    const shifts = await page.tab.evaluate(() => globalThis.shifts);
    const sum = shifts.reduce((total, { value }) => total + value, 0);
    assert.ok(sum < 0.02, `at ${width} px by ${sum}: ${JSON.stringify(shifts)}`);
  }
});

test("for those who want less motion nothing is animated", async (t) => {
  const page = await visit(t, stack, {}, {
    reducedMotion: "reduce",
    before: (tab) => tab.addInitScript(() => {
      globalThis.animated = new Set();
      const look = () => {
        for (const { effect } of document.getAnimations()) {
          if (effect.getComputedTiming().duration > 1) globalThis.animated.add(effect.target.outerHTML.slice(0, 120));
        }
        requestAnimationFrame(look);
      };
      look();
    }),
  });
  await page.chooseUser("person-4");
  await page.chooseWindow("day");
  await page.chooseBoard("onboarding");
  await eventually("the window", async () => assert.match(await page.title(), /^Today · onboarding/));
  await stack.add(activitiesFor({ "person-12": 700 }, { batch: "motion" }));
  await eventually("another order", async () => {
    assert.ok((await page.entries()).find(({ user }) => user === "person-12").rank < 4);
  });
  await page.press("Close");
  assert.deepEqual(await page.tab.evaluate(() => [...globalThis.animated]), []);
  assert.equal(await page.tab.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), "auto");
});

test("the keyboard reaches the login, and shows where it is", async (t) => {
  const page = await visit(t, closed, {}, { ready: false, others: [provider.issuer], expected: [/status of 404/] });
  await eventually("the invitation", async () => assert.notEqual(await page.invitation(), null));
  await page.key("Tab");
  assert.equal(await page.focused(), "Log in");
  assert.ok(await page.seesFocus());
  await page.key("Enter");
  await page.chooseAccount(LONG);
  await page.ready();
  await page.focusButton("Log out");
  assert.ok(await page.seesFocus());
});

test("the keyboard skips to the board, and shows where it is", async (t) => {
  const page = await visit(t, stack);
  await page.key("Tab");
  assert.equal(await page.focused(), "Skip to the board");
  assert.ok(await page.seesFocus());
  await page.key("Enter");
  await eventually("the focus in the board", async () => {
    await page.key("Tab");
    assert.notEqual(await page.focusedUser(), null);
  });
  assert.ok(await page.seesFocus());
});
