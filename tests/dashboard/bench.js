// Measures the page with 100,000 users on the board: how long it blocks the browser, how soon the first board
// appears, and what a refresh costs. scripts/bench-dashboard runs it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { eventually } from "./eventually.js";
import { launch, openWindow } from "./browser.js";
import { startStack } from "./stack.js";

const USERS = 100_000;
const LISTED_BY_MERIT = 2000;
const PROGRAMS = 8;
const KINDS = ["task_completed", "program_check_in", "learning_milestone"];
const ROWS = 1000;
const REFRESHES = 5;
const LONGEST_TASK_MS_AIM = 100;
const PAGE_BYTES_AIM = 90_000;
const PAGE = resolve(import.meta.dirname, "../../dashboard");

/// Ids as random as real ones, so that they do not compress better.
const idOf = (user) => `u-${createHash("sha256").update(String(user)).digest("hex").slice(0, 12)}`;

/// One activity for each user, and more for users near the top. Many users are tied.
function* lines() {
  for (let user = 0; user < USERS; user += 1) {
    const count = 1 + Math.max(0, Math.floor(20 * (1 - user / LISTED_BY_MERIT)));
    for (let at = 0; at < count; at += 1) {
      const activity = { activity_id: `a-${at}`, user_id: idOf(user), program_id: `program-${user % PROGRAMS}` };
      yield `${JSON.stringify({ ...activity, kind: KINDS[(user + at) % KINDS.length] })}\n`;
    }
  }
}

/// New activities of some users on the page, so that a refresh has changes to show.
const changes = (round) => Array.from({ length: 20 }, (_, at) => ({
  activity_id: `round-${round}`,
  user_id: idOf(at * 30),
  program_id: "program-0",
  kind: "task_completed",
}));

/// Files that only a page with login or a form to post loads, that are loaded on demand, or of the admin page,
/// besides those in directories.
const OPTIONAL = [
  "account.js", "admin.html", "by_program.js", "calendar.js", "card.css", "card.js", "card_coins.js", "change.js",
  "chart.css", "chart.js", "coin_news.js", "coins.js", "earlier.js", "export.js", "how.css", "how.js", "login.css",
  "login.js", "moves.css", "moves.js", "other_boards.css", "other_boards.js", "place.js", "policy.js", "post.css",
  "post.js", "quests.css", "quests.js", "reading.css", "reading.js", "search.css", "search.js", "season.css",
  "season.js", "token.js", "you.css", "you.js",
];

async function bytesOfPage() {
  const files = await readdir(PAGE, { withFileTypes: true });
  const loaded = files.filter((file) => file.isFile() && !OPTIONAL.includes(file.name));
  const sizes = loaded.map((file) => stat(join(PAGE, file.name)));
  return (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0);
}

const figure = (what, value) => console.log(`${what.padEnd(44)} ${value}`);
const number = (value) => Math.round(value).toLocaleString("en");

/// Records the page's long tasks and when its first row appears.
function watchTasks(tab) {
  return tab.addInitScript(() => {
    globalThis.tasks = [];
    new PerformanceObserver((list) => {
      globalThis.tasks.push(...list.getEntries().map(({ duration }) => duration));
    }).observe({ type: "longtask", buffered: true });
    const look = () => {
      if (document.querySelector("tr[data-user]")) globalThis.firstBoard = performance.now();
      else requestAnimationFrame(look);
    };
    look();
  });
}

/// Collects the page's API requests from now on, with their sizes.
function watchRequests(tab) {
  const requests = [];
  tab.on("requestfinished", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/v1/")) requests.push({ pathname, sizes: request.sizes() });
  });
  return requests;
}

async function measure(stack, browser) {
  let requests;
  const page = await openWindow(browser, stack.url, { rows: ROWS }, {
    before: async (tab) => {
      requests = watchRequests(tab);
      await watchTasks(tab);
    },
  });
  const tasks = () => page.tab.evaluate(() => globalThis.tasks);
  const longest = (durations) => `${number(Math.max(0, ...durations))} ms`;
  const report = (what, durations) => {
    const most = durations.length > 0 ? `, the longest ${longest(durations)}` : "";
    figure(`long tasks: ${what}`, `${durations.length}${most}`);
  };
  const during = async (what, act) => {
    const { length } = await tasks();
    await act();
    await page.settle();
    report(what, (await tasks()).slice(length));
  };

  figure("users on the board, rows on the page", `${number(USERS)}, ${number(ROWS)}`);
  figure("time to the first board", `${number(await page.tab.evaluate(() => globalThis.firstBoard))} ms`);
  report("load", await tasks());
  await during("scroll to the end and back", () => page.scrollThrough());
  await during("type a search", async () => {
    await page.type("u-1");
    await eventually("suggestions", async () => assert.equal((await page.suggestions()).users.length, 10));
  });
  await during("choose a user", async () => {
    const user = idOf(USERS / 2);
    await page.find(user);
    await eventually("the user", async () => {
      assert.ok((await page.user())?.includes(user));
      assert.ok((await page.neighbours()).some((each) => each.user === user));
    });
  });
  const begin = requests.length;
  await during(`${REFRESHES} refreshes`, async () => {
    for (let round = 0; round < REFRESHES; round += 1) {
      const points = await page.sums();
      await stack.post(changes(round));
      await eventually("a refresh", async () => assert.notEqual(await page.sums(), points));
    }
  });
  const refreshes = requests.slice(begin);
  const rounds = refreshes.filter(({ pathname }) => pathname === "/v1/boards/global").length;
  figure("longest task", `${longest(await tasks())} (aim: below ${LONGEST_TASK_MS_AIM})`);
  figure("bytes of the page's files", `${number(await bytesOfPage())} (aim: below ${number(PAGE_BYTES_AIM)})`);
  figure("requests a refresh", (refreshes.length / rounds).toFixed(1));
  const sizes = await Promise.all(refreshes.map((request) => request.sizes));
  const bytes = sizes.map(({ responseHeadersSize, responseBodySize }) => responseHeadersSize + responseBodySize);
  figure("bytes a refresh, on the wire", number(bytes.reduce((sum, each) => sum + each, 0) / rounds));
}

const directory = await mkdtemp(join(tmpdir(), "podium-bench-"));
const stack = await startStack({ snapshotEvery: "5s" });
const browser = await launch();
try {
  const file = join(directory, "activities.jsonl.gz");
  await pipeline(lines, createGzip({ level: 1 }), createWriteStream(file));
  await stack.import(file);
  await stack.counted();
  await measure(stack, browser);
} finally {
  await browser.close();
  await stack.stop();
  await rm(directory, { recursive: true, force: true });
}
