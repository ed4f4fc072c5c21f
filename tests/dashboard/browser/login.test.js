// People log in at a real provider. The page knows who they are, keeps the login alive, and says in words what is
// wrong if it cannot. No token gets where it outlives the tab.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { startProvider } from "../provider.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const POINTS = { ann: 90, bob: 70, cy: 40 };
const HOUR_SECONDS = 3600;
/// Short, but the API accepts a token for a minute longer.
const SHORT_SECONDS = 3;

const provider = await startProvider({
  users: { "account-1": { employee: "ann" }, "account-2": { employee: "bob" }, "account-3": {} },
});
after(() => provider.stop());

// With this provider, a refresh token needs consent.
const flags = [...provider.flags, "--oidc-parameter", "prompt=consent", "--user-claim", "employee", "--self-reporting"];
const token = provider.serviceToken;
const [closed, open, none] = await Promise.all([
  testStack({ token, login: flags, activities: activitiesFor(POINTS) }),
  testStack({ token, login: [...flags, "--readers", "public"], activities: activitiesFor(POINTS) }),
  testStack(),
]);
provider.allow(closed.url);
provider.allow(open.url);

beforeEach(() => Object.assign(provider, { lifetime: HOUR_SECONDS, refreshes: true, isDown: false }));

const enter = (t, stack, view, options) =>
  visit(t, stack, view, { ready: stack === open, others: [provider.issuer], ...options });

const says = (page, words) => eventually(`the words ${words}`, async () => assert.match(await page.loginSays(), words));

/// Counts the requests to the provider from now on.
function watchProvider() {
  const { length } = provider.requests;
  return (pattern) => provider.requests.slice(length).filter((request) => pattern.test(request)).length;
}

test("a page without login loads nothing of it", async (t) => {
  const asked = watchProvider();
  const page = await visit(t, none);
  const paths = page.requests.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).pathname);
  const modules = [
    "api", "app", "board", "chart", "config", "element", "export", "format", "freshness", "post", "programs", "refresh",
    "search", "user", "view",
  ];
  assert.deepEqual([...new Set(paths)].sort(), [
    "/",
    ...modules.map((name) => `/${name}.js`),
    "/style.css",
    "/v1/boards",
    "/v1/boards/global",
    "/v1/boards/global/history",
  ].sort());
  assert.equal(await page.hasButton("Log in"), false);
  assert.equal(asked(/./), 0);
});

test("whoever is not logged in is invited, and nothing is asked for", async (t) => {
  const asked = watchProvider();
  const page = await enter(t, closed);
  await eventually("the invitation", async () => assert.match(await page.invitation() ?? "", /^Log in to see the boards/));
  await page.hide();
  await page.unhide();
  await page.settle();
  assert.equal(page.asked(/\/v1\/|vendor/), 0);
  assert.equal(asked(/./), 0);
});

test("a login leads back to the view, with one's own row, and no token gets where it outlives the tab", async (t) => {
  const logged = [];
  const view = { window: "month", board: "program:onboarding", user: "bob" };
  const page = await enter(t, closed, view, { before: (tab) => tab.on("console", (message) => logged.push(message.text())) });
  await page.logIn("account-1");
  assert.deepEqual(page.view(), view);
  assert.equal(await page.account(), "Logged in as ann");
  assert.match(await page.markOf("ann"), /\bme\b/);
  assert.equal(await page.hasButton("This is me"), false);
  assert.equal(await page.invitation(), null);
  await page.press("My rank");
  await eventually("my rank", async () => assert.match(await page.user(), /^ann/));

  const asked = watchProvider();
  await page.tab.reload();
  await page.ready();
  assert.equal(await page.account(), "Logged in as ann");
  assert.match(await page.markOf("ann"), /\bme\b/);
  assert.equal(asked(/./), 0, "a login outlives a reload");

  const { access, refresh, id } = JSON.parse((await page.kept())["podium.tokens"]);
  for (const secret of [access, refresh, id]) {
    assert.ok(secret.length > 20);
    for (const text of [...page.requests, ...await page.history(), ...logged]) assert.ok(!text.includes(secret), text);
  }
  const addresses = [...await page.history(), ...page.requests.filter((url) => url.includes("/v1/"))];
  assert.deepEqual(addresses.filter((url) => url.startsWith(closed.url) && /code=|state=/.test(url)), []);
  const nothing = { local: {}, databases: [], caches: [], cookie: "" };
  const { cookies, ...others } = await page.outlives();
  assert.deepEqual(others, nothing);
  // The provider's cookies are of the same host, as a browser ignores ports.
  assert.ok(cookies.every(({ name, value }) => /^_(interaction|session)/.test(name) && ![access, refresh, id].includes(value)));

  // Another tab logs in by itself. The provider knows its user already.
  const other = await page.another();
  await eventually("the invitation", async () => assert.notEqual(await other.invitation(), null));
  await other.press("Log in");
  await other.ready();
  assert.equal(await other.account(), "Logged in as ann");
  assert.notEqual(JSON.parse((await other.kept())["podium.tokens"]).refresh, refresh);
});

test("a login is renewed before it ends, without leaving the page", async (t) => {
  provider.lifetime = SHORT_SECONDS;
  const page = await enter(t, closed);
  await page.logIn("account-1");
  let left = 0;
  page.tab.on("framenavigated", () => { left += 1; });
  const tokens = new Set();
  page.tab.on("request", (request) => tokens.add(request.headers().authorization));
  const asked = watchProvider();
  await eventually("three tokens", async () => assert.ok([...tokens].filter(Boolean).length >= 3));
  assert.ok(asked(/^POST \/token$/) >= 2);
  assert.equal(left, 0);
  assert.equal(await page.alarm(), null);
  assert.equal(await page.account(), "Logged in as ann");
});

test("without a refresh token the page asks the provider once and comes back to its view", async (t) => {
  Object.assign(provider, { lifetime: SHORT_SECONDS, refreshes: false });
  const page = await enter(t, closed, { window: "day" });
  await page.logIn("account-2");
  provider.lifetime = HOUR_SECONDS;
  const asked = watchProvider();
  await eventually("a new login", async () => {
    assert.equal(asked(/^POST \/token$/), 1);
    assert.equal(await page.account(), "Logged in as bob");
  });
  await page.ready();
  assert.equal(asked(/prompt=none/), 1);
  assert.deepEqual(page.view(), { window: "day" });
});

test("a provider whose logins end at once is not asked over and over", async (t) => {
  Object.assign(provider, { lifetime: SHORT_SECONDS, refreshes: false });
  const page = await enter(t, closed);
  await page.logIn("account-1");
  const asked = watchProvider();
  await says(page, /^Your login has ended\. Log in again\.$/);
  assert.equal(asked(/prompt=none/), 1);
  assert.match(await page.invitation(), /^Log in/);
});

test("a login that the provider has ended is said to have ended", async (t) => {
  Object.assign(provider, { lifetime: SHORT_SECONDS, refreshes: false });
  const page = await enter(t, closed);
  await page.logIn("account-1");
  await page.tab.context().clearCookies();
  await says(page, /^Your login has ended\. Log in again\.$/);
  provider.lifetime = HOUR_SECONDS;
  await page.logIn("account-2");
  assert.equal(await page.account(), "Logged in as bob");
});
