// People log in at a real provider; the page knows who they are, stays logged in, and says what is wrong if it cannot.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { startProvider } from "../provider.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const POINTS = { ann: 90, bob: 70, cy: 40 };

const provider = await startProvider({ users: { "account-1": { employee: "ann" }, "account-2": { employee: "bob" }, "account-3": {} } });
after(() => provider.stop());

const stack = await testStack({
  activities: activitiesFor(POINTS),
  token: provider.serviceToken,
  login: [...provider.flags, "--oidc-parameter", "prompt=consent", "--user-claim", "employee", "--self-reporting"],
});
provider.allow(stack.url);

const open = (t, view, options) => visit(t, stack, view, { ready: false, others: [provider.issuer], ...options });

async function logIn(page, account) {
  await page.press("Log in");
  await page.tab.getByRole("link", { name: account }).click();
  await page.ready();
}

test("after a login the board is there, and one's own row is known", async (t) => {
  const page = await open(t);
  await logIn(page, "account-1");
  assert.match(await page.markOf("ann"), /\bme\b/);
});
