// Launches Chromium and opens the page in it.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { Page } from "./page.js";

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PATIENCE_MS = 90_000;

export async function launch() {
  const executablePath = process.env.PODIUM_TEST_CHROMIUM;
  assert.ok(executablePath, "PODIUM_TEST_CHROMIUM is not set; run scripts/test-dashboard, which sets it");
  return chromium.launch({ executablePath, args: ARGUMENTS, timeout: PATIENCE_MS });
}

/// Opens a view of the page at `url` in a new window without stored data. `before` is called with Playwright's page
/// before the first request; `ready` says whether to wait for a board, and `path` is that of another page.
export async function openWindow(browser, url, view = {}, { before, ready = true, path = "/", ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = new Page(await context.newPage(), url);
  await before?.(page.tab);
  await page.open(view, { ready, path });
  return page;
}
