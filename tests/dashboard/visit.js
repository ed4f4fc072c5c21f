// Opens the page in a real browser, and fails a test in which anything goes wrong on the way.

import assert from "node:assert/strict";
import { after } from "node:test";
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

let launching;
after(async () => (await launching)?.close());

function browser() {
  if (!launching) {
    const executablePath = process.env.PODIUM_TEST_CHROMIUM;
    assert.ok(executablePath, "PODIUM_TEST_CHROMIUM names no Chromium; scripts/test-dashboard finds one");
    launching = chromium.launch({
      executablePath,
      args: ARGUMENTS,
      timeout: PATIENCE_MS,
    });
  }
  return launching;
}

/// Opens a browser window of its own for the test `t`, and shows a view of the stack's page in it. At the
/// test's end it must hold that nothing was asked of another machine, and that neither the page nor the browser
/// complained, but for what matches `expected`: the failures of the network that the test itself causes.
///
/// `before` is called with Playwright's page before the first request.
export async function visit(t, stack, view = {}, { expected = [], before, ready = true, ...options } = {}) {
  const context = await (await browser()).newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints = [];
  const watch = (tab) => {
    tab.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      complaints.push(`${message.text()} (${message.location().url})`);
    });
    tab.on("pageerror", (error) => complaints.push(error.stack ?? error.message));
    tab.on("request", (request) => {
      const url = new URL(request.url());
      const stays = url.origin === stack.url || ["blob:", "data:"].includes(url.protocol);
      if (!stays) complaints.push(`a request leaves the machine: ${url}`);
    });
  };
  context.on("page", watch);
  t.after(async () => {
    for (const tab of context.pages()) await tab.unrouteAll({ behavior: "wait" });
    await context.close();
    const unexpected = complaints.filter((complaint) => !expected.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(unexpected, [], "neither the page nor the browser complains");
  });
  const tab = await context.newPage();
  await before?.(tab);
  const page = new Page(tab, stack.url);
  await page.open(view, { ready });
  return page;
}
