// Writes screenshots of the page to target/screenshots, for manual review. Run scripts/test-dashboard first, which
// installs the dependencies: PODIUM_TEST_CHROMIUM=$(scripts/install-tool chromium) node tests/dashboard/screenshots.js

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { activitiesFor, recentActivities } from "./activities.js";
import { launch, openWindow } from "./browser.js";
import { startStack } from "./stack.js";

const WIDTHS = [320, 360, 768, 1440, 2560];
const VIEWS = {
  board: {},
  user: { user: "user-007", rows: 25 },
  ties: { board: "program:ties" },
  unknown: { board: "program:none" },
};
const TIES = { ann: 50, bob: 50, cy: 30, dan: 20, eve: 20, fay: 10 };
const place = resolve(import.meta.dirname, "../../target/screenshots");

mkdirSync(place, { recursive: true });
const stack = await startStack();
const browser = await launch();
try {
  await stack.add([...recentActivities(), ...activitiesFor(TIES, { program: "ties" })]);
  for (const [name, view] of Object.entries(VIEWS)) {
    for (const width of WIDTHS) {
      for (const colorScheme of ["light", "dark"]) {
        const options = { viewport: { width, height: 900 }, colorScheme, ready: name !== "unknown" };
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
