// External data is shown as text, never as markup.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../eventually.js";
import { fixture } from "../fixtures.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

// The API rejects such ids, so the test puts them into its responses.
const MARKUP = {
  USER: '<img src=x onerror="globalThis.ran=1">',
  OTHER: '"><script>globalThis.ran=1</script>',
  PROGRAM: "<svg onload=globalThis.ran=1>'&quot;</svg>",
  TITLE: "<i onclick=globalThis.ran=1>Task</i>",
  DETAIL: "<b onclick=globalThis.ran=1>There is no such user.</b>",
};
const WORDS = { bob: MARKUP.USER, "ann.lee": MARKUP.OTHER, "program:onboarding": `program:${MARKUP.PROGRAM}` };

/// The API's response to a path, with markup as ids and as the title of a kind.
function answer({ pathname }) {
  if (pathname === "/v1/policy") {
    const { versions: [version], ...rest } = fixture("policy");
    return { ...rest, versions: [{ ...version, titles: { task_completed: MARKUP.TITLE } }] };
  }
  if (pathname === "/v1/boards") return fixture("boards", WORDS);
  if (pathname.endsWith("/history")) return fixture("history", WORDS);
  if (pathname.endsWith("/users")) return fixture("search", WORDS);
  if (pathname.includes("/users/")) return fixture("user", WORDS);
  return fixture("board", WORDS);
}

const stack = await testStack();

async function visitWithMarkup(t, problems = false) {
  return visit(t, stack, {}, {
    expected: [/status of 404/],
    before: (tab) => tab.route("**/v1/**", (route) => {
      const url = new URL(route.request().url());
      if (problems && url.pathname.includes("/users/")) {
        const problem = { title: MARKUP.DETAIL, status: 404, code: "user_not_on_board", detail: MARKUP.DETAIL };
        return route.fulfill({ status: 404, contentType: "application/problem+json", body: JSON.stringify(problem) });
      }
      return route.fulfill({ json: answer(url), headers: { etag: 'W/"1"', "cache-control": "public, max-age=60" } });
    }),
  });
}

async function nothingRan(page) {
  assert.equal(await page.tab.evaluate(() => globalThis.ran), undefined);
  assert.equal(await page.tab.locator("img, script:not([src]), [onload], [onerror], [onclick]").count(), 0);
}

test("ids, names of programs and titles of kinds that look like markup are shown as they are, and nothing runs", async (t) => {
  const page = await visitWithMarkup(t);
  assert.deepEqual((await page.entries()).map(({ user }) => user).slice(0, 2), [MARKUP.USER, MARKUP.OTHER]);
  const [first] = await page.podium();
  assert.ok(first.text.includes(MARKUP.USER), first.text);
  await eventually("the program", async () => {
    assert.ok((await page.boards()).some(({ name }) => name === MARKUP.PROGRAM));
  });
  await eventually("the title", async () => assert.ok((await page.kinds()).includes(MARKUP.TITLE)));
  await page.openTables();
  const words = await page.main();
  for (const text of [MARKUP.USER, MARKUP.OTHER, MARKUP.PROGRAM]) assert.ok(words.includes(text), text);
  await page.type("x");
  await eventually("the suggestions", async () => assert.equal((await page.suggestions()).users.length, 2));
  await nothingRan(page);
  await page.chooseFirst();
  await eventually("the chosen user", async () => assert.equal((await page.neighbours()).length, 4));
  assert.ok((await page.user()).includes(MARKUP.USER));
  await nothingRan(page);
});

test("the words of a problem that look like markup are shown as they are", async (t) => {
  const page = await visitWithMarkup(t, true);
  await page.find("ann");
  await eventually("whom to choose", async () => assert.match(await page.searchNote(), /^Choose/));
  await page.press("Find");
  await eventually("the problem", async () => assert.ok((await page.user())?.includes(MARKUP.DETAIL)));
  await nothingRan(page);
});
