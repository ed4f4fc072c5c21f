// Opens the page for a test, which fails on unexpected errors and requests.

import assert from "node:assert/strict";
import { after } from "node:test";
import { launch, openWindow } from "./browser.js";

let browser;
after(async () => (await browser)?.close());

/// Changes what the page knows of its deployment.
export const changeConfig = (tab, ...replaced) => tab.route("**/config.js", async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, body: (await response.text()).replace(...replaced) });
});

/// Makes the page one of a deployment where nobody posts.
export const closePosting = (tab) => changeConfig(tab, /posting = .*;/, "posting = null;");

/// Opens a view of the stack's page for the test `t`, by default of all time, with the options of `openWindow`. At its end the test fails if
/// the page sent a request to another machine or logged an error or warning. Messages that match `expected` are
/// allowed: network failures that the test itself causes. `others` are further origins that the page may ask.
export async function visit(t, stack, view = {}, { expected = [], others = [], before, ...options } = {}) {
  const complaints = [];
  let tab;
  t.after(async () => {
    await tab?.unrouteAll({ behavior: "wait" });
    await tab?.context().close();
    const unexpected = complaints.filter((complaint) => !expected.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(unexpected, [], "the page and the browser report no errors");
  });
  browser ??= launch();
  return openWindow(await browser, stack.url, { window: "all", ...view }, {
    ...options,
    before: async (opened) => {
      tab = opened;
      tab.on("console", (message) => {
        if (!["error", "warning"].includes(message.type())) return;
        complaints.push(`${message.text()} (${message.location().url})`);
      });
      tab.on("pageerror", (error) => complaints.push(error.stack ?? error.message));
      tab.on("request", (request) => {
        const { origin, protocol } = new URL(request.url());
        const stays = origin === stack.url || others.includes(origin) || ["blob:", "data:"].includes(protocol);
        if (!stays) complaints.push(`a request to another machine: ${request.url()}`);
      });
      await before?.(tab);
    },
  });
}
