// A visit to the page by a test, which fails if anything goes wrong on the way.

import assert from "node:assert/strict";
import { after } from "node:test";
import { launch, openWindow } from "./browser.js";

let browser;
after(async () => (await browser)?.close());

/// Opens a view of the stack's page for the test `t`, with the options of `openWindow`. At the test's end it must
/// hold that nothing was asked of another machine, and that neither the page nor the browser complained, but for
/// what matches `expected`: the failures of the network that the test itself causes.
export async function visit(t, stack, view = {}, { expected = [], before, ...options } = {}) {
  const complaints = [];
  let tab;
  t.after(async () => {
    await tab?.unrouteAll({ behavior: "wait" });
    await tab?.context().close();
    const unexpected = complaints.filter((complaint) => !expected.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(unexpected, [], "neither the page nor the browser complains");
  });
  browser ??= launch();
  return openWindow(await browser, stack.url, view, {
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
        const stays = origin === stack.url || ["blob:", "data:"].includes(protocol);
        if (!stays) complaints.push(`a request leaves the machine: ${request.url()}`);
      });
      await before?.(tab);
    },
  });
}
