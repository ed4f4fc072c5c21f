// The page shows the API's board, and users can navigate it.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor, recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { shown, WINDOWS } from "../page.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const TIES = { ann: 50, bob: 50, cy: 30, dan: 20, eve: 20, fay: 10 };

const stack = await testStack();

before(async () => {
  const file = process.env.PODIUM_TEST_ACTIVITIES;
  if (file) await stack.import(file);
  await stack.add([...recentActivities(), ...activitiesFor(TIES, { program: "ties" })]);
});

/// The parts of an entry that must match on the page. The change is left out, as page and API may be at different
/// snapshots.
const essence = ({ rank, user, user_id, points, activities }) => `${rank} ${user ?? user_id} ${points} ${activities}`;

async function showsWhatTheApiHas(page, board, options) {
  await eventually(`the API's entries of ${board} ${JSON.stringify(options)}`, async () => {
    const { entries, participants } = await stack.board(board, options);
    const rows = await page.entries();
    assert.deepEqual(rows.map(essence), entries.map(essence));
    for (const entry of rows) {
      const equals = entries.filter(({ rank }) => rank === entry.rank).length;
      // A tie may continue on the next page.
      if (equals > 1) assert.ok(entry.tied, `${entry.user} is tied`);
    }
    const { from = 1 } = options;
    const last = Math.min(from + entries.length - 1, participants);
    const range = `${shown(from)}–${shown(last)} of ${shown(participants)}`;
    if (entries.length > 0) assert.ok((await page.pagesText()).includes(range), await page.pagesText());
  });
}

for (const board of ["global", "program:program-1"]) {
  for (const window of Object.keys(WINDOWS)) {
    test(`the board ${board} of ${WINDOWS[window]} has the API's entries, page for page`, async (t) => {
      const page = await visit(t, stack, { board, window });
      const limit = 100;
      const { participants } = await stack.board(board, { window });
      const pages = Math.min(4, Math.ceil(participants / limit));
      for (let at = 0; at < pages; at += 1) {
        if (at > 0) await page.turn("Next");
        await showsWhatTheApiHas(page, board, { window, limit, from: at * limit + 1 });
      }
    });
  }
}

test("where nobody logs in, the page loads nothing for it", async (t) => {
  const page = await visit(t, stack);
  const modules = [
    "api", "app", "board", "change", "chart", "config", "demand", "element", "format", "freshness", "me", "moves", "periods", "person", "policy",
    "post", "programs", "refresh", "shares", "texts", "view",
  ];
  await eventually("all requests", async () => {
    const paths = page.requests.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).pathname);
    assert.deepEqual([...new Set(paths)].sort(), [
      "/",
      ...modules.map((name) => `/${name}.js`),
      "/chart.css",
      "/moves.css",
      "/post.css",
      "/style.css",
      "/v1/boards",
      "/v1/boards/global",
      "/v1/boards/global/history",
      "/v1/policy",
    ].sort());
  });
  assert.equal(await page.hasButton("Log in"), false);
});

test("equal points share a rank on the podium and in the table", async (t) => {
  const page = await visit(t, stack, { board: "program:ties" });
  await eventually("the ties", async () => {
    const ranks = (await page.entries()).map(({ user, rank, tied }) => `${rank}${tied ? "=" : ""} ${user}`);
    assert.deepEqual(ranks, ["1= ann", "1= bob", "3 cy", "4= dan", "4= eve", "6 fay"]);
    const [first, second, third, ...rest] = await page.podium();
    assert.deepEqual(rest, []);
    for (const [place, user] of [[first, "ann"], [second, "bob"]]) {
      assert.match(place.text, /1/);
      assert.match(place.text, /tied/);
      assert.ok(place.text.includes(user) && place.text.includes("50"), place.text);
    }
    assert.deepEqual([first.top, first.height], [second.top, second.height], "both are at the same height");
    assert.ok(third.text.includes("cy") && !third.text.includes("tied"), third.text);
    assert.ok(third.height < first.height || third.top > first.top, "the third is lower");
  });
});

test("the podium has the first three, and keeps them while one pages through the rest", async (t) => {
  const page = await visit(t, stack, { rows: 25 });
  const { entries } = await stack.board("global", { limit: 3 });
  const leads = () => eventually("the first three", async () => {
    const podium = await page.podium();
    assert.equal(podium.length, 3);
    for (const [at, { user_id, points }] of entries.entries()) {
      const { text } = podium[at];
      assert.ok(text.includes(user_id) && text.includes(shown(points)), `${user_id}: ${text}`);
    }
  });
  await leads();
  await page.turn("Next");
  await showsWhatTheApiHas(page, "global", { limit: 25, from: 26 });
  await leads();
});

test("a window is chosen by mouse and by arrow keys, and says its dates and their zone", async (t) => {
  const page = await visit(t, stack);
  const shows = async (window) => {
    const { window: { first_day, last_day, time_zone } } = await stack.board("global", { window, limit: 1 });
    await eventually(`the dates of ${window}`, async () => {
      assert.equal(await page.window(), window);
      const dates = await page.windowDates();
      assert.ok(dates.includes(time_zone), dates);
      const days = [first_day, last_day].filter(Boolean);
      for (const day of days) assert.ok(dates.includes(`${Number(day.slice(8))}`), `${dates}: ${day}`);
      if (last_day) assert.ok(dates.includes(last_day.slice(0, 4)), dates);
      assert.ok((await page.title()).startsWith(WINDOWS[window]), await page.title());
    });
    await showsWhatTheApiHas(page, "global", { window });
  };
  await shows("all");
  for (const window of ["day", "week", "month", "all"]) {
    await page.chooseWindow(window);
    await shows(window);
  }
  await page.focusWindow();
  const keys = [["ArrowLeft", "month"], ["ArrowLeft", "week"], ["Home", "day"], ["ArrowRight", "week"], ["End", "all"]];
  for (const [key, window] of keys) {
    await page.key(key);
    await shows(window);
  }
});

test("programs are listed with their points and shares, and one is chosen", async (t) => {
  const page = await visit(t, stack, { window: "week" });
  const [global, ...programs] = (await stack.document("/v1/boards?window=week")).boards;
  const names = { global: "All programs" };
  await eventually("the programs", async () => {
    const listed = await page.boards();
    assert.deepEqual(
      listed.map(({ name, points }) => [name, points]),
      [global, ...programs].map(({ board, points }) => [names[board] ?? board.replace("program:", ""), points]),
    );
    for (const { name, points, share } of listed.slice(1)) {
      if (points <= 0) {
        assert.ok(Number.isNaN(share), `${name} has no part of the points, but ${share} %`);
        continue;
      }
      const exact = 100 * points / programs.reduce((sum, program) => sum + Math.max(0, program.points), 0);
      assert.ok(Math.abs(share - exact) <= 1, `${name}: ${share} % for ${exact} %`);
    }
    assert.equal(await page.currentBoard(), "All programs");
  });
  await page.chooseBoard("program-2");
  await eventually("the program", async () => {
    assert.equal(await page.currentBoard(), "program-2");
    assert.equal(await page.title(), "This week · program-2 · Podium");
  });
  await showsWhatTheApiHas(page, "program:program-2", { window: "week" });
});

test("one pages to the next, last, previous and first rows, as many at once as one likes", async (t) => {
  const page = await visit(t, stack, { rows: 25 });
  const { participants } = await stack.board("global");
  const last = Math.floor((participants - 1) / 25) * 25 + 1;
  const turns = [["Next", 26], ["Next", 51], ["Last", last], ["Previous", last - 25], ["First", 1]];
  for (const [turn, from] of turns) {
    await page.turn(turn);
    await showsWhatTheApiHas(page, "global", { limit: 25, from });
    assert.equal(page.view().from, from === 1 ? undefined : String(from));
    assert.deepEqual(await page.turns(), [from > 1, from > 1, from < last, from < last]);
  }
  for (const rows of [1000, 100, 25]) {
    await page.chooseRows(rows);
    await showsWhatTheApiHas(page, "global", { limit: rows });
  }
});

test("a row that rises keeps the focus", async (t) => {
  const add = (points, batch) => stack.add(activitiesFor(points, { program: "rising", batch }));
  await add({ gil: 30, hal: 20, ida: 10 }, "first");
  const page = await visit(t, stack, { board: "program:rising" });
  await page.focusUser("ida");
  await add({ ida: 30 }, "second");
  await showsWhatTheApiHas(page, "program:rising", {});
  assert.equal((await page.entries())[0].user, "ida");
  assert.equal(await page.focusedUser(), "ida");
});

test("a refresh to a newer generation keeps the place, and the row that has the focus", async (t) => {
  const page = await visit(t, stack, { rows: 25, from: 51 });
  await showsWhatTheApiHas(page, "global", { limit: 25, from: 51 });
  const { user } = (await page.entries())[10];
  await page.focusUser(user);
  const scrolled = await page.scrollTo(300);
  await stack.add(activitiesFor({ newcomer: 5 }, { program: "ties", batch: "place" }));
  await eventually("the new participant", async () => {
    const { participants } = await stack.board("global");
    assert.ok((await page.pagesText()).includes(`of ${shown(participants)}`));
  });
  await showsWhatTheApiHas(page, "global", { limit: 25, from: 51 });
  assert.equal(await page.focusedUser(), user);
  assert.equal(await page.scrollTop(), scrolled);
  assert.equal(page.view().from, "51");
});

test("bars are parts of the leader's points, on later pages too", async (t) => {
  const page = await visit(t, stack, { rows: 25, from: 26 });
  const [leader] = (await stack.board("global", { limit: 1 })).entries;
  await eventually("the bars", async () => {
    const { user, points } = (await page.entries())[0];
    const part = await page.bar(user);
    assert.ok(Math.abs(part - points / leader.points) < 0.01, `${user}: ${part}`);
  });
});

test("the selected program is in sight in the list, however narrow", async (t) => {
  const boards = (await stack.document("/v1/boards?window=all")).boards;
  const { board } = boards.at(-1);
  const page = await visit(t, stack, { board }, { viewport: { width: 360, height: 640 } });
  await eventually("the program in sight", async () => {
    const { left, right } = await page.tab.locator("[aria-current=page]").evaluate((link) => link.getBoundingClientRect());
    assert.ok(left >= 0 && right <= 361, `${left} to ${right}`);
  });
});

test("points below zero are shown as such everywhere, take no share, and zeros are ties like any", async (t) => {
  const program = "below";
  const reason = "Counted by mistake.";
  await stack.add(activitiesFor({ ann: 30, bob: 10, cy: 10, dee: 10 }, { program }));
  await stack.adjust([["bob", -10], ["cy", -10], ["dee", -1260], ["eve", -40]].map(([user_id, points]) => ({ user_id, program_id: program, points, reason })));
  const page = await visit(t, stack, { board: `program:${program}`, user: "dee" });
  await eventually("the points", async () => {
    const rows = (await page.entries()).map(({ rank, tied, user, points, activities }) => `${rank}${tied ? "=" : ""} ${user} ${points} ${activities}`);
    assert.deepEqual(rows, ["1 ann 30 3", "2= bob 0 1", "2= cy 0 1", "4 eve -40 0", "5 dee -1250 1"]);
  });
  await showsWhatTheApiHas(page, `program:${program}`, {});
  assert.match(await page.sums(), /^5 people · \u22121\u202f260 points · 6 activities$/);
  assert.match((await page.podium())[1].text, /^bob\s+0 points\s+Rank\s+2\s+tied$/);
  assert.ok((await page.bar("dee")) < 0 && (await page.bar("ann")) === 1);
  await eventually("the list of programs", async () => {
    assert.deepEqual((await page.boards()).find(({ name }) => name === program), { name: program, points: -1260, share: Number.NaN });
  });
  await eventually("the user", async () => {
    assert.ok((await page.user()).includes(shown(-1250)));
    assert.deepEqual((await page.neighbours()).map(({ user, points }) => `${user} ${points}`).slice(-2), ["eve -40", "dee -1250"]);
  });
  await page.openTables();
  await eventually("an axis on both sides of 0", async () => {
    const axis = await page.axis();
    assert.ok(axis[0] <= -1250 && axis.includes(0) && axis.at(-1) >= 30, `${axis}`);
    assert.ok(await page.hasZeroLine());
    const { heads, rows } = await page.numbersOf("race");
    assert.equal(rows.at(-1)[heads.indexOf("dee")], shown(-1250));
  });
  assert.match((await page.download("CSV")).text, /,5,dee,,-1250,1,/);
});
