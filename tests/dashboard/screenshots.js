// Writes screenshots of the page to target/screenshots, for manual review. Run scripts/test-dashboard first, which
// installs the dependencies: PODIUM_TEST_CHROMIUM=$(scripts/install-tool chromium) node tests/dashboard/screenshots.js

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { activitiesFor, recentActivities } from "./activities.js";
import { launch, openWindow } from "./browser.js";
import { eventually } from "./eventually.js";
import { startStack } from "./stack.js";

const dayBefore = (days) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
const WIDTHS = [320, 360, 768, 1440, 2560];
const VIEWS = {
  board: {},
  user: { user: "user-007", rows: 25 },
  ties: { board: "program:ties" },
  unknown: { board: "program:none" },
  teams: { board: "teams" },
  team: { board: "team:red" },
  period: { window: "day", period: dayBefore(3) },
};
const TIES = { ann: 50, bob: 50, cy: 30, dan: 20, eve: 20, fay: 10 };
/// By the number of the user; one team has a single member.
const TEAMS = ["red", "blue", "sales/north", "first"];
const TITLES = { red: "The Reds", first: "一番", blue: "الفريق الأزرق", "sales/north": "Sales in the north, ".repeat(4).slice(0, 80) };
const setMe = (tab) => tab.addInitScript(() => localStorage.setItem("podium.me", "user-009"));
const place = resolve(import.meta.dirname, "../../target/screenshots");

mkdirSync(place, { recursive: true });
const stack = await startStack();
const browser = await launch();
try {
  await stack.add([...recentActivities(), ...activitiesFor(TIES, { program: "ties" })]);
  const members = Array.from({ length: 40 }, (_, at) => [`user-${String(at).padStart(3, "0")}`, { team: TEAMS[at % 3] }]);
  await stack.describe({ ...Object.fromEntries(members), "user-040": { team: TEAMS[3] } });
  for (const [team, title] of Object.entries(TITLES)) await stack.entitle("teams", team, { title });
  await eventually("the teams", async () => {
    const { entries } = await stack.document("/v1/boards/teams?window=all");
    assert.equal(entries.filter(({ title }) => title !== undefined).length, Object.keys(TITLES).length);
  });
  stack.archive(VIEWS.period.period);
  for (const [name, view] of Object.entries(VIEWS)) {
    for (const width of WIDTHS) {
      for (const colorScheme of ["light", "dark"]) {
        const options = { viewport: { width, height: 900 }, colorScheme, ready: name !== "unknown", before: setMe };
        const page = await openWindow(browser, stack.url, view, options);
        await page.tab.waitForLoadState("networkidle");
        await page.tab.screenshot({ path: join(place, `${name}-${width}-${colorScheme}.png`) });
        await page.tab.context().close();
      }
    }
  }
} finally {
  await browser.close();
  await stack.stop();
}
console.log(`The screenshots are in ${place}.`);
