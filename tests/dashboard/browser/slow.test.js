// However slowly the API answers, each control does what it says or is disabled.

import assert from "node:assert/strict";
import { test } from "node:test";
import { recentActivities } from "../activities.js";
import { eventually } from "../eventually.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const stack = await testStack({ activities: recentActivities({ count: 600, users: 150 }) });

/// Opens the page with a clock of its own. Its requests are held until `pass` has let time pass.
async function visitSlowly(t, view) {
  const held = [];
  const release = () => held.splice(0).forEach((resolve) => resolve());
  let isOver = false;
  t.after(() => {
    isOver = true;
    release();
  });
  const page = await visit(t, stack, view, {
    ready: false,
    before: async (tab) => {
      await tab.clock.install();
      await tab.route("**/v1/**", async (route) => {
        if (!isOver) await new Promise((resolve) => held.push(resolve));
        // The page may no longer want the answer.
        await route.continue().catch(() => {});
      });
    },
  });
  /// Lets the time pass, and then all requests until the page has its answers.
  const pass = async (milliseconds) => {
    await eventually("a request", async () => assert.ok(held.length > 0));
    await page.tab.clock.runFor(milliseconds);
    await eventually("the answers", async () => {
      release();
      assert.equal(await page.isBusy(), false);
    });
  };
  return { page, pass, release };
}

async function showsRows(page, board, from, limit) {
  const { entries } = await stack.board(board, { from, limit });
  assert.deepEqual((await page.entries()).map(({ user }) => user), entries.map(({ user_id }) => user_id));
}

for (const delay of [200, 2000, 20_000]) {
  test(`with answers after ${delay / 1000} s no press is lost`, async (t) => {
    const { page, pass, release } = await visitSlowly(t, {});
    assert.match(await page.freshness(), /^.?\s?Loading/);
    assert.equal(await page.hasPages(), false, "there is nothing to turn yet");
    await pass(delay);
    await showsRows(page, "global", 1, 100);

    await page.chooseRows(25);
    await page.turn("Next");
    await page.turn("Next");
    assert.equal(page.view().from, "51");
    await pass(delay);
    await showsRows(page, "global", 51, 25);
    assert.deepEqual(await page.turns(), [true, true, true, true]);

    // The rows of another board are not known.
    await page.chooseBoard("program-1");
    assert.equal(await page.currentBoard(), "program-1");
    assert.deepEqual(await page.turns(), [false, false, false, false]);
    await page.find("user-003");
    assert.equal(await page.searchNote(), "Searching…");
    await pass(delay);
    // The card is asked for once the search has found whose it is.
    await eventually("the card", async () => {
      release();
      assert.match(await page.user() ?? "", /user-003/);
      assert.equal(await page.isBusy(), false);
    });
    await showsRows(page, "program:program-1", 1, 25);
    assert.deepEqual(await page.turns(), [false, false, true, true]);
    assert.match(await page.user(), /user-003/);

    await page.chooseWindow("day");
    await page.chooseWindow("all");
    await page.press("Close");
    assert.equal(await page.user(), null);
    assert.equal(await page.window(), "all");
  });
}

test("what takes long is explained, and the answer is still taken", async (t) => {
  const { page, pass } = await visitSlowly(t, {});
  await page.tab.clock.runFor(8000);
  assert.match(await page.freshness(), /Loading\s+The server has not answered for \d+ s\. Still waiting\./);
  await pass(12_000);
  await showsRows(page, "global", 1, 100);
});
