// The page says how old the board is, and never presents an old one as new.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { startProxy } from "../proxy.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const POINTS = { ann: 90, bob: 70, cy: 40 };
/// A board is stale when more than 10,000 activities are waiting.
const BACKLOG = 10_500;
const UNREACHABLE = [/net::ERR_(CONNECTION|EMPTY_RESPONSE|INTERNET_DISCONNECTED|SOCKET)/, /status of 50\d/];

const stack = await testStack({ activities: activitiesFor(POINTS), dataDir: true });
/// Publishes one snapshot at the start, so the page has no reason for further requests.
const still = await testStack({ snapshotEvery: "1h" });
const proxy = await startProxy(still.url);
after(() => proxy.close());
const young = await testStack({ without: ["snapshot"] });

const entriesOf = ({ entries }) => entries.map(({ rank, user_id, points }) => `${rank} ${user_id} ${points}`);
const shownBy = async (page) => (await page.entries()).map(({ rank, user, points }) => `${rank} ${user} ${points}`);

async function showsTheBoard(page) {
  await eventually("the board as it is now", async () => {
    assert.deepEqual(await shownBy(page), entriesOf(await stack.board()));
    assert.equal(await page.alarm(), null);
    assert.equal(await page.isMarkedAsOld(), false);
  });
}

async function showsAsOld(page, entries, alarm) {
  await eventually(`the banner ${alarm}`, async () => assert.match(await page.alarm() ?? "", alarm));
  assert.equal(await page.isMarkedAsOld(), true);
  assert.deepEqual(await shownBy(page), entries, "the last board stays on the page");
}

/// Nothing is published meanwhile, so the page's age lies between the server's before and after.
async function saysTheAge(page, secondsInACache = 0) {
  const ofTheServer = async () => (await still.document("/v1/status")).freshness.age_seconds;
  await eventually("the server's age", async () => {
    const before = await ofTheServer();
    const age = await page.age() - secondsInACache;
    const later = await ofTheServer();
    assert.ok(before - 2 <= age && age <= later + 2, `${age} from ${before} to ${later}`);
  });
}

test("the age ticks without a request", async (t) => {
  const page = await visit(t, still);
  const first = await page.age();
  const { length } = page.requests;
  for (const later of [1, 2, 3]) {
    await eventually(`${later} s later`, async () => assert.ok(await page.age() >= first + later));
  }
  assert.equal(page.requests.length, length);
});

test("the line says whether the board is live and how old; lag and backlog are told by a press", async (t) => {
  const page = await visit(t, still);
  assert.match(await page.freshness(), /^Live · \d+ (s|min) ago$/);
  await page.tab.locator("#freshness summary").press("Enter");
  await eventually("the measures", async () => assert.match(await page.freshness(), /^Live · \d+ (s|min) ago\s+Lag (not measured yet|\d+\.\d s) · backlog \d+$/));
});

test("the age is the server's, whatever the clock of the device says", async (t) => {
  const page = await visit(t, still, {}, {
    before: (tab) => tab.addInitScript(() => {
      const now = Date.now;
      Date.now = () => now() - 86_400_000;
    }),
  });
  await saysTheAge(page);
});

test("seconds in a cache on the way count as age", async (t) => {
  const page = await visit(t, still, {}, {
    before: (tab) => tab.route("**/v1/**", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), age: "40" } });
    }),
  });
  await saysTheAge(page, 40);
});

test("a newer board is shown by itself", async (t) => {
  const page = await visit(t, stack);
  await showsTheBoard(page);
  await stack.add(activitiesFor({ dan: 100 }));
  await showsTheBoard(page);
  assert.equal((await page.entries())[0].user, "dan");
});

test("a hidden tab asks for nothing, and asks at once when it is seen again", async (t) => {
  const page = await visit(t, stack);
  await page.hide();
  const { generation } = await stack.board();
  const quiet = await eventually("no request under way", async () => {
    const { length } = page.requests;
    assert.ok((await stack.board()).generation > generation);
    return length;
  });
  const since = (await stack.board()).generation;
  await eventually("a few snapshots", async () => assert.ok((await stack.board()).generation >= since + 4));
  assert.equal(page.requests.length, quiet);
  await page.unhide();
  await showsTheBoard(page);

  // This board does not change, so only becoming visible causes a request.
  const other = await visit(t, still);
  const before = other.requests.length;
  await other.hide();
  await other.unhide();
  await eventually("a request", async () => assert.ok(other.requests.length > before));
});

test("a board that has not changed is asked for by its ETag, and is not sent again", async (t) => {
  const page = await visit(t, proxy);
  const answersFor = (start) =>
    proxy.answers.filter(({ path }) => path.startsWith(start)).map(({ status }) => status);
  const documents = ["/v1/boards/global?", "/v1/boards?", "/v1/boards/global/history?"];
  for (const expected of [[200], [200, 304], [200, 304, 304]]) {
    await eventually(`the answers ${expected}`, async () => {
      for (const path of documents) assert.deepEqual(answersFor(path), expected, path);
    });
    await page.hide();
    await page.unhide();
  }
});

test("with the API away the last board stays and is marked as old, until the API is back", async (t) => {
  const page = await visit(t, stack, {}, { expected: UNREACHABLE });
  await showsTheBoard(page);
  const entries = await shownBy(page);
  await stack.kill();
  await showsAsOld(page, entries, /^Cannot load the latest board/);
  await stack.start();
  await showsTheBoard(page);
  await stack.add(activitiesFor({ eve: 110 }));
  await showsTheBoard(page);
});

test("an answer of the platform that is no document does no harm", async (t) => {
  const page = await visit(t, stack, {}, { expected: UNREACHABLE });
  await showsTheBoard(page);
  const entries = await shownBy(page);
  await page.tab.route("**/v1/**", (route) => route.fulfill({ status: 502, body: "<html>Bad Gateway</html>" }));
  await showsAsOld(page, entries, /^Cannot load the latest board/);
  await page.tab.unroute("**/v1/**");
  await showsTheBoard(page);
});

test("one who is offline is told so", async (t) => {
  const page = await visit(t, stack, {}, { expected: UNREACHABLE });
  await showsTheBoard(page);
  const entries = await shownBy(page);
  await page.tab.context().setOffline(true);
  await showsAsOld(page, entries, /^You are offline\. This board is from \d\d:\d\d:\d\d\./);
  await page.tab.context().setOffline(false);
  await showsTheBoard(page);
});

test("a board that is no longer renewed is found to be old by the page alone", async (t) => {
  // Repeats the first response for each path, like a broken cache. It always claims to be fresh.
  const page = await visit(t, stack, {}, {
    before: async (tab) => {
      const kept = new Map();
      await tab.route("**/v1/**", async (route) => {
        const { pathname, search } = new URL(route.request().url());
        const path = pathname + search;
        if (!kept.has(path)) kept.set(path, await route.fetch());
        await route.fulfill({ response: kept.get(path) });
      });
    },
  });
  await eventually("the banner", async () => assert.match(await page.alarm() ?? "", /^This board is out of date/));
  assert.equal(await page.isMarkedAsOld(), true);
});

test("with the aggregator stopped the board is said to be out of date, until all is counted", async (t) => {
  const page = await visit(t, stack);
  await showsTheBoard(page);
  const entries = await shownBy(page);
  stack.stopFunction("aggregator");
  const waiting = Array.from({ length: BACKLOG }, (_, at) => ({
    activity_id: `waiting-${at}`,
    user_id: `user-${at % 50}`,
    program_id: "wellness",
    kind: "task_completed",
  }));
  await stack.post(waiting);
  await showsAsOld(page, entries, /^This board is out of date.*activities are waiting/s);
  const { freshness } = await stack.document("/v1/status");
  assert.deepEqual(freshness.stale_reasons, ["backlog"]);
  stack.bringBack("aggregator");
  await stack.counted();
  await showsTheBoard(page);
});

test("before the first snapshot the page says so, and shows the board as soon as there is one", async (t) => {
  const page = await visit(t, young, {}, { ready: false, expected: [/status of 503/] });
  const { status, body } = await young.get("/v1/boards/global");
  assert.equal(status, 503);
  assert.equal(body.code, "nothing_published");
  await eventually("why there is no board", async () => assert.ok((await page.board()).includes(body.detail)));
  young.bringBack("snapshot");
  await page.ready();
  await eventually("an empty board", async () => assert.match(await page.board(), /No one has points here yet/));
});
