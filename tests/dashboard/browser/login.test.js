// People log in at a real provider. The page knows who they are, keeps the login alive, and says in words what is
// wrong if it cannot. No token gets where it outlives the tab.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { startProvider } from "../provider.js";
import { testStack } from "../test_stack.js";
import { changeConfig, visit } from "../visit.js";

const POINTS = { ann: 90, bob: 70, cy: 40 };
const HOUR_SECONDS = 3600;
const SHORT_SECONDS = 2;

const provider = await startProvider({
  users: { "account-1": { employee: "ann" }, "account-2": { employee: "bob" }, "account-3": {}, "account-4": { employee: "cy" } },
});
after(() => provider.stop());

// With this provider, a refresh token needs consent.
const flags = [...provider.flags, "--oidc-parameter", "prompt=consent", "--user-claim", "employee", "--self-reporting"];
const token = provider.serviceToken;
const [closed, open] = await Promise.all([
  testStack({ token, login: flags, snapshotEvery: "2s", activities: activitiesFor(POINTS) }),
  testStack({ token, login: [...flags, "--readers", "public"], snapshotEvery: "2s", activities: activitiesFor(POINTS) }),
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

test("whoever is not logged in is invited, and nothing is asked for, even with a login that began elsewhere", async (t) => {
  const asked = watchProvider();
  const page = await enter(t, closed);
  await eventually("the invitation", async () => assert.match(await page.invitation() ?? "", /^Log in to see the boards/));
  await page.hide();
  await page.unhide();
  await page.settle();

  await page.tab.goto(`${closed.url}/?code=stolen&state=forged`);
  await says(page, /^This login did not begin in this tab, so it was not used\. Log in again\.$/);
  assert.equal(page.tab.url(), `${closed.url}/`);
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
  await eventually("the own row", async () => assert.match(await page.markOf("ann"), /\bme\b/));
  assert.equal(await page.hasButton("This is me"), false);
  assert.equal(await page.invitation(), null);
  await page.pressYou();
  await eventually("my rank", async () => assert.match(await page.user(), /^ann/));

  const asked = watchProvider();
  await page.tab.reload();
  await page.ready();
  assert.equal(await page.account(), "Logged in as ann");
  await eventually("the own row", async () => assert.match(await page.markOf("ann"), /\bme\b/));
  assert.equal(asked(/./), 0, "a login outlives a reload");

  const { access, refresh } = JSON.parse((await page.kept())["podium.tokens"]);
  for (const secret of [access, refresh]) {
    assert.ok(secret.length > 20);
    for (const text of [...page.requests, ...await page.history(), ...logged]) assert.ok(!text.includes(secret), text);
  }
  const addresses = [...await page.history(), ...page.requests.filter((url) => url.includes("/v1/"))];
  assert.deepEqual(addresses.filter((url) => url.startsWith(closed.url) && /code=|state=/.test(url)), []);
  const nothing = { local: {}, databases: [], caches: [], cookie: "" };
  const { cookies, ...others } = await page.outlives();
  assert.deepEqual(others, nothing);
  // The provider's cookies are of the same host, as a browser ignores ports.
  assert.ok(cookies.every(({ name, value }) => /^_(interaction|session)/.test(name) && ![access, refresh].includes(value)));

  // Another tab logs in by itself. The provider knows its user already.
  const other = await page.another();
  await eventually("the invitation", async () => assert.notEqual(await other.invitation(), null));
  await other.press("Log in");
  await other.ready();
  assert.equal(await other.account(), "Logged in as ann");
  assert.notEqual(JSON.parse((await other.kept())["podium.tokens"]).refresh, refresh);
});

test("a login is renewed when its token ends, without leaving the page", async (t) => {
  provider.lifetime = SHORT_SECONDS;
  const page = await enter(t, closed);
  await page.logIn("account-1");
  let left = 0;
  page.tab.on("framenavigated", () => { left += 1; });
  const tokens = new Set();
  page.tab.on("request", (request) => tokens.add(request.headers().authorization));
  await eventually("three tokens", async () => assert.ok([...tokens].filter(Boolean).length >= 3));
  assert.equal(left, 0);
  assert.equal(await page.alarm(), null);
  assert.equal(await page.account(), "Logged in as ann");
});

test("without a refresh token the page asks the provider once and comes back to its view", async (t) => {
  Object.assign(provider, { lifetime: 50, refreshes: false });
  const page = await enter(t, closed, { window: "day" });
  await page.logIn("account-2");
  const asked = watchProvider();
  await page.type("b");
  await page.passTime(50);
  await eventually("what it waits for", async () => assert.match(await page.alarm() ?? "", /Your login has expired\. It is renewed when you look at this page and do not type\./));
  assert.equal(asked(/./), 0);
  await page.type("");
  await page.unhide();
  await eventually("a new login", async () => {
    assert.equal(asked(/^POST \/token$/), 1);
    assert.equal(await page.account(), "Logged in as bob");
  });
  await page.ready();
  assert.deepEqual(page.view(), { window: "day" });

  // A login that ends as soon as it is renewed is not renewed for ever.
  await page.passTime(50);
  await says(page, /^Your login has ended\. Log in again\.$/);
  assert.match(await page.invitation(), /^Log in/);
  assert.equal(asked(/prompt=none/), 1);

  // Neither is one that the provider has ended.
  await page.press("Log in");
  await page.ready();
  await page.tab.context().clearCookies();
  await page.passTime(50);
  await says(page, /^Your login has ended\. Log in again\.$/);
  assert.equal(asked(/prompt=none/), 2);
  await page.logIn("account-1");
  assert.equal(await page.account(), "Logged in as ann");
});

test("a logout ends the login here and at the provider", async (t) => {
  const page = await enter(t, closed, {}, { expected: [/net::ERR_/] });
  await page.logIn("account-1");
  const { access, refresh } = JSON.parse((await page.kept())["podium.tokens"]);
  const asked = watchProvider();
  await page.press("Log out");
  await page.confirmLogout();
  await eventually("the invitation", async () => assert.notEqual(await page.invitation(), null));
  assert.deepEqual(await page.kept(), {});
  assert.equal(asked(/^POST \/token\/revocation$/), 1);
  assert.equal(await provider.takes(refresh), false);
  const addresses = [...page.requests, ...await page.history()];
  assert.ok(addresses.every((url) => !url.includes(access) && !url.includes(refresh) && !url.includes("id_token")));
  await page.tab.goBack();
  await page.tab.goto(closed.url);
  await eventually("the invitation", async () => assert.notEqual(await page.invitation(), null));
  await page.logIn("account-2");
  assert.equal(await page.account(), "Logged in as bob");

  // The provider is down: it cannot be told.
  provider.isDown = true;
  await page.press("Log out");
  await says(page, /^You are logged out here\. The login provider could not be told/);
  assert.deepEqual(await page.kept(), {});
  assert.notEqual(await page.invitation(), null);
});

test("a provider that is down is named, and the page goes on when it is back", async (t) => {
  const page = await enter(t, closed, {}, { expected: [/net::ERR_/] });
  await eventually("the invitation", async () => assert.notEqual(await page.invitation(), null));
  provider.isDown = true;
  await page.press("Log in");
  const { host } = new URL(provider.issuer);
  await says(page, new RegExp(`^The login provider \\(${host}\\) cannot be reached\\. Check your connection, then try again\\.$`));
  provider.isDown = false;
  await page.logIn("account-1");
  await says(page, /^$/);

  // While the token is good, the boards are.
  provider.isDown = true;
  await page.passTime(HOUR_SECONDS - 30);
  await page.hide();
  await page.unhide();
  await page.ready();
  assert.equal(await page.alarm(), null);
  // Then the last board stays, marked as old.
  await page.passTime(60);
  await eventually("the banner", async () => assert.match(await page.alarm() ?? "", /^Cannot load the latest board\. The login provider \(.*\) cannot be reached/));
  assert.equal((await page.entries()).length, 3);
  provider.isDown = false;
  await eventually("no banner", async () => assert.equal(await page.alarm(), null));
  assert.equal(await page.account(), "Logged in as ann");

  // The provider goes down while it is asked who it is.
  await page.press("Log out");
  await page.confirmLogout();
  await page.press("Log in");
  await page.tab.route(`${provider.issuer}/token`, (route) => route.abort());
  await page.chooseAccount("account-1");
  await says(page, /cannot be reached/);
  assert.equal(page.tab.url(), `${closed.url}/`);
});

test("whoever has no role is told so", async (t) => {
  const page = await enter(t, closed, {}, { expected: [/status of 403/] });
  await page.press("Log in");
  await page.chooseAccount("no");
  await says(page, /^The login provider refused the login, or you cancelled it\. It says: “Ask for the role first\.”$/);
  await page.logIn("account-3");
  assert.equal(await page.account(), "Logged in");
  await says(page, /^You are logged in, but your login has no user id: the claim “employee” is missing\./);
  assert.equal(await page.canPost(), false);
  assert.equal(await page.you(), null);
  assert.equal((await page.entries()).length, 3);
  assert.ok((await page.entries()).every(({ mark }) => mark === ""));

  await page.tab.route("**/v1/**", (route) => route.fulfill({ status: 403, json: { message: "Forbidden" } }));
  await eventually("why there is no board", async () => assert.match(await page.board(), /You are logged in, but may not see these boards\. Ask whoever runs this page/));
});

test("a token that the server refuses is renewed once", async (t) => {
  const page = await enter(t, closed, {}, { expected: [/status of 401/] });
  await page.logIn("account-1");
  const asked = watchProvider();
  let refused = 0;
  const used = JSON.parse((await page.kept())["podium.tokens"]).access;
  await page.tab.route("**/v1/**", (route) => {
    if (route.request().headers().authorization !== `Bearer ${used}`) return route.fallback();
    refused += 1;
    return route.fulfill({ status: 401, json: { message: "Unauthorized" } });
  });
  await eventually("a refusal", async () => assert.ok(refused > 0));
  await eventually("a renewal", async () => assert.equal(asked(/^POST \/token$/), 1));
  await page.ready();
  assert.equal(await page.alarm(), null);

  await page.tab.route("**/v1/**", (route) => route.fulfill({ status: 401, json: { message: "Unauthorized" } }));
  await says(page, /^The server does not accept your login\. Log in again\./);
  assert.match(await page.invitation(), /^Log in/);
  const { length } = page.requests;
  await page.hide();
  await page.unhide();
  await page.settle();
  assert.equal(page.requests.length, length, "the page asks no more");
  assert.ok(asked(/^POST \/token$/) <= 2);
});

test("a page without a client id or HTTPS, and a device whose clock is wrong, are told apart", async (t) => {
  const page = await enter(t, closed, {}, {
    before: (tab) => changeConfig(tab, /(clientId"?:\s*)"[^"]+"/, "$1null"),
  });
  await says(page, /^Nobody can log in here, since this page has no client id/);
  assert.equal(await page.hasButton("Log in"), false);

  const unsafe = await enter(t, closed, {}, {
    before: (tab) => tab.addInitScript(() => Object.defineProperty(globalThis, "isSecureContext", { value: false })),
  });
  await unsafe.press("Log in");
  await says(unsafe, /^A login needs HTTPS\. Open this page at its https address\.$/);

  const late = await enter(t, closed, {}, {
    before: (tab) => tab.addInitScript(() => {
      const { now } = Date;
      Date.now = () => now() + 86_400_000;
    }),
  });
  await late.press("Log in");
  await late.chooseAccount("account-1");
  await says(late, /^The clock of this device is not right, so the login cannot be checked\. Set the clock, then log in again\.$/);
});

test("where everyone reads, a login is for posting, and for oneself only", async (t) => {
  const page = await enter(t, open, {}, { expected: [/status of 40[134]/] });
  assert.equal(await page.canPost(), false);
  assert.equal(page.asked(/policy$/), 0, "only the form needs the policy");
  const points = { review: { given: { max: 50 } }, task_completed: 10 };
  await page.tab.route("**/v1/policy", (route) =>
    route.fulfill({ json: { versions: [{ effective_from: "1970-01-01T00:00:00Z", points, titles: {} }] } }));
  // With a quest, the page also asks for the own progress, and for the own coins where there are any.
  const quest = { quest_id: "q", version: 1, title: "Quest", rule: "Once.", per: "once", coin: { name: "Amber", value: 5 }, starts_at: null,
    ends_at: null, supply: null, issued: 0, provisional: 0, state: "open" };
  const freshness = { generated_at: "2026-11-28T12:00:00Z", stale: false };
  await changeConfig(page.tab, "hasQuests = false", "hasQuests = true");
  await page.tab.route("**/v1/quests", (route) => route.fulfill({ json: { quests: [quest], freshness } }));
  await page.tab.route("**/users/bob/quests", (route) => route.fulfill({ json: { quests: [{ ...quest, coins: 1, progress: null }], freshness } }));
  const reads = [];
  const posts = [];
  page.tab.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith("/v1/")) return;
    if (request.method() === "POST") posts.push(request.headers().authorization);
    else reads.push([pathname, request.headers().authorization]);
  });
  await page.logIn("account-2");
  await eventually("the own row", async () => assert.match(await page.markOf("bob"), /\bme\b/));
  assert.deepEqual(await page.postsFor(), { user: "bob", isFree: false });
  await eventually("kinds whose points nobody gives", async () => assert.deepEqual(await page.kinds(), ["Task completed"]));
  const activity = { program: "onboarding", kind: "task_completed" };
  await page.postAsSelf(activity);
  await eventually("the activity on the board", async () => assert.match(await page.postResult(), /on the board after/));
  await eventually("the own coins", async () => assert.ok(reads.some(([path]) => path.endsWith("/users/bob/coins"))));
  // Only answers about a person are for who is logged in.
  assert.deepEqual([...new Set(reads.filter(([path]) => !path.startsWith("/v1/private/")).map(([, token]) => token))], [undefined]);
  const own = reads.filter(([path]) => path.startsWith("/v1/private/"));
  const paths = ["/v1/private/boards/global/users/bob", "/v1/private/users/bob/coins", "/v1/private/users/bob/quests"];
  assert.deepEqual([...new Set(own.map(([path]) => path))].sort(), paths);
  assert.ok(own.every(([, token]) => token.startsWith("Bearer ")), `${own}`);
  assert.match(posts[0], /^Bearer /);

  const error = { code: "forbidden", field: "user_id", detail: "user_id is not who is logged in" };
  for (const [answer, words] of [
    [{ status: 207, json: { results: [{ activity_id: "a", status: "forbidden", error }] } }, /^User is not who is logged in$/],
    [{ status: 403, contentType: "application/problem+json", body: JSON.stringify({ code: "forbidden", detail: "All are forbidden.", results: [{ status: "forbidden", error }] }) }, /^User is not who is logged in$/],
    [{ status: 403, json: { message: "Forbidden" } }, /^You are logged in, but may not post\. Ask whoever runs this page/],
    [{ status: 401, json: { message: "Unauthorized" } }, /^The server does not accept your login\. Log in again\./],
  ]) {
    await page.tab.route("**/v1/activities", (route) => route.fulfill(answer), { times: 2 });
    await page.postAsSelf(activity);
    await eventually(`the words ${words}`, async () => assert.match(await page.postResult(), words));
    await page.tab.unroute("**/v1/activities");
  }
  assert.equal(await page.canPost(), false);

  // Without a refresh token, the page does not leave with what is posted.
  provider.refreshes = false;
  await page.press("Log in");
  await eventually("the login", async () => assert.equal(await page.account(), "Logged in as bob"));
  await page.hide();
  await page.passTime(HOUR_SECONDS, { show: false });
  await page.postAsSelf(activity);
  await says(page, /^Your login had ended, so nothing was posted\. Log in, then post again\.$/);
});

test("one who is anonymous sees the own card, and who is not logged in does not", async (t) => {
  await open.describe({ cy: { display_name: "Cy Young", visibility: "anonymous" } });
  await open.shows(({ entries }) => entries.length === 3 && entries.every(({ user_id }) => user_id !== "cy"));
  const page = await enter(t, open);
  await page.logIn("account-4");
  await eventually("the row", async () => assert.deepEqual((await page.entries()).map(({ user, mark }) => [user, mark])[2], ["Anonymous", ""]));
  await page.pressYou();
  await eventually("the card", async () => assert.match(await page.user(), /^Cy Young\s+cy\s[^]*Only admins and this person see this\. On boards, this person is anonymous\./));

  const other = await enter(t, open, { user: "cy" }, { expected: [/status of 404/] });
  await eventually("that there is none", async () => assert.match(await other.user(), /cy has neither points nor activities/));
  assert.doesNotMatch(await other.user(), /Young|Only admins/);
});
