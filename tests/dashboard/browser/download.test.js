// The shown board can be downloaded.

import assert from "node:assert/strict";
import { test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

// Includes ids that a spreadsheet would read as formulas.
const POINTS = { "-2.5": 90, "@SUM": 70, ann: 50, "bob-1@example.org": 50, _x: 10 };

const stack = await testStack({ activities: activitiesFor(POINTS) });

/// The cells of an RFC 4180 text.
function parseCsv(text) {
  assert.ok(text.endsWith("\r\n"), "each line ends in CR LF");
  return text.slice(0, -2).split("\r\n").map((line) => {
    const cells = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)];
    return cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
  });
}

test("the CSV has the entries that are shown, and no cell that a spreadsheet would take for a formula", async (t) => {
  const page = await visit(t, stack, { board: "program:onboarding", window: "week" });
  const { name, text } = await page.download("CSV");
  const { window, entries } = await stack.board("program:onboarding", { window: "week" });
  assert.equal(name, `podium-onboarding-week-${window.first_day}.csv`);
  const [heads, ...rows] = parseCsv(text);
  const column = (head) => heads.findIndex((cell) => cell.toLowerCase().replace(/[^a-z]/g, "") === head);
  const read = rows.map((row) => ["rank", "userid", "points", "activities"].map((head) => row[column(head)]));
  const defused = (id) => /^[=+@-]/.test(id) ? `'${id}` : id;
  assert.deepEqual(read, entries.map(({ rank, user_id, points, activities }) =>
    [rank, defused(user_id), points, activities].map(String)));
  for (const cell of [heads, ...rows].flat()) {
    assert.doesNotMatch(cell, /^[=+@\t\r-]./, "only a lone minus may look like the start of a formula");
  }
});

test("a download has all rows of the board, whatever page is shown, and says so", async (t) => {
  await stack.add(activitiesFor(Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`00${at}`, 5])), { program: "wellness" }));
  const page = await visit(t, stack, { board: "program:wellness", rows: 25, from: 26 });
  const { name, text } = await page.download("CSV");
  const { entries } = await stack.board("program:wellness");
  const [heads, ...rows] = parseCsv(text);
  assert.deepEqual(rows.map((row) => row[heads.indexOf("user_id")]), entries.map(({ user_id }) => `'${user_id}`));
  assert.ok((await page.pagesText()).includes(`${name} has all 40 listed rows.`));
});

test("the JSON has what is shown, with its board, window and generation", async (t) => {
  const page = await visit(t, stack, { board: "program:onboarding", window: "month" });
  const { name, text } = await page.download("JSON");
  const { board, window, entries, generation } = await stack.board("program:onboarding", { window: "month" });
  assert.equal(name, `podium-onboarding-month-${window.first_day}.json`);
  const document = JSON.parse(text);
  assert.equal(document.board, board);
  assert.deepEqual(document.window, window);
  assert.ok(document.generation <= generation);
  assert.ok(!Number.isNaN(Date.parse(document.generated_at ?? document.freshness?.generated_at)));
  const essence = ({ rank, user_id, points, activities }) => ({ rank, user_id, points, activities });
  assert.deepEqual(document.entries.map(essence), entries.map(essence));
});

test("numbers and dates are those of the browser's language, and downloads are the same in every language", async (t) => {
  const [english, german] = [await visit(t, stack, { window: "day" }), await visit(t, stack, { window: "day" }, { locale: "de-DE" })];
  const { window } = await stack.board("global", { window: "day" });
  const written = (page, locale) => page.tab.evaluate(([day, locale]) =>
    new Date(day).toLocaleDateString(locale, { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" }), [window.first_day, locale]);
  for (const [page, locale] of [[english, "en-GB"], [german, "de-DE"]]) {
    assert.ok((await page.windowDates()).includes(await written(page, locale)), await page.windowDates());
  }
  assert.match(await english.text("#shares"), /\d%/);
  assert.match(await german.text("#shares"), /\d\u00a0%/);
  const [ours, theirs] = [await english.download("CSV"), await german.download("CSV")];
  const rows = ({ text }) => parseCsv(text).map((cells) => cells.filter((_, at) => ![5, 6].includes(at)));
  assert.equal(ours.name, theirs.name);
  assert.deepEqual(rows(theirs), rows(ours), "but for generation and time");
});

test("a download that could not be begun can be begun again", async (t) => {
  const page = await visit(t, stack, {}, { expected: [/export\.js/] });
  await page.tab.route(/export\.js/, (route) => route.abort(), { times: 1 });
  await page.press("Download as CSV");
  await eventually("the failure", async () => assert.match(await page.pagesText(), /The download failed\. A part of this page cannot be loaded\. Try again\./));
  const { name } = await page.download("CSV");
  assert.match(name, /^podium-global-all-/);
});
