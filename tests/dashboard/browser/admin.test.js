// The admin page edits the directory and corrects points, and loses nothing that was typed. It has the rights of who uses it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { visitAdmin } from "../admin_page.js";
import { eventually } from "../eventually.js";
import { startProvider } from "../provider.js";
import { testStack } from "../test_stack.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LONG = "m".repeat(128);
const RTL80 = "عبدالرحمن ".repeat(8).trim();
const DAY_MS = 86_400_000;

/// A season from one day to another, counted from today.
const season = (id, title, ...days) => {
  const [first_day, last_day] = days.map((day) => new Date(Date.now() + day * DAY_MS).toISOString().slice(0, 10));
  return { id, title, first_day, last_day };
};
const SEASONS = [season("spring", "Spring", -40, -5), season("summer", "<b>Summer</b>", -3, 3), season("autumn", RTL80, 5, 60)];

const provider = await startProvider({ users: { boss: { scp: ["podium:admin"] }, reader: {} } });
after(() => provider.stop());
const [stack, closed] = await Promise.all([
  testStack({ seasons: SEASONS, activities: [
    ...activitiesFor({ ann: 50, bob: 40, cy: 30, dee: 20 }),
    ...activitiesFor({ ann: 10 }, { program: "old" }),
    ...activitiesFor({ eve: 30, fay: 30 }, { program: "wellness" }),
  ] }),
  testStack({ token: provider.serviceToken, login: provider.flags }),
]);
provider.allow(closed.url);

const visit = (t, address, options) => visitAdmin(t, stack, address, options);
// The browser logs every answer that is an error.
const REFUSED = [/status of 4\d\d/];
const FAILED = [/status of 4\d\d/, /status of 503/, /net::ERR_FAILED/];

const row = (user) => ({ entries }) => entries.find(({ user_id }) => user_id === user);
const profile = async (user) => (await stack.get(`/v1/people/${user}`)).body;

test("a person who is added and edited is shown so on the board, and by id once the profile is deleted", async (t) => {
  const page = await visit(t, "people", { expected: REFUSED });
  await page.page.press("Add a person");
  await page.opened();
  await page.fill({ Id: "cy", Name: "<b>Cy</b>", Team: "blue" });
  await page.press("Save");
  await page.says(/^Saved: cy, <b>Cy<\/b>, in the team blue, listed by name and id\. Boards show it within two snapshots\.$/);
  assert.equal(await page.isOpen(), false);
  await page.lists(["<b>Cy</b> cy | blue | listed"]);
  await stack.shows((board) => row("cy")(board)?.name === "<b>Cy</b>");

  await page.open("<b>Cy</b>");
  assert.equal(page.address(), "#people&id=cy");
  await page.check(/^Hidden/);
  await page.press("Save");
  await page.says(/, hidden\./);
  await eventually("the address of the list", async () => assert.equal(page.address(), "#people"));
  await stack.shows((board) => !row("cy")(board) && row("ann")(board));

  await page.open("<b>Cy</b>");
  await page.press("Delete…");
  await page.tells(/Careful: cy is hidden now, and would be on the boards again\. The activities and points stay.*podium people erase/);
  await page.press("Keep");
  await page.press("Delete…");
  await page.press("Delete");
  await page.says(/^Deleted: cy\.$/);
  await page.lists([]);
  await stack.shows((board) => row("cy")(board) && row("cy")(board).name === undefined);
});

test("what the API refuses is told beside its field, and what fails can be sent again: nothing typed is lost", async (t) => {
  const page = await visit(t, "people&id=", { expected: FAILED });
  await page.opened();
  for (const id of ["", "no one", "~x", ".."]) {
    await page.fill({ Id: id });
    await page.press("Save");
    await eventually("the refusal", async () => assert.match((await page.errors()).Id ?? "", /^Id cannot be an id: use 1 to 128 ASCII letters/));
  }
  const name = "n".repeat(81);
  await page.fill({ Id: "dee", Name: name, Team: "a b" });
  await page.press("Save");
  await page.wrong({ Name: "Name has 81 characters; at most 80 are allowed." });
  await page.fill({ Name: "Dee" });
  await page.press("Save");
  await page.wrong({ Team: 'Team has the character \' \' at byte 1; use only ASCII letters, digits and punctuation except " \\ < >.' });
  await page.fill({ Team: "blue" });

  let lost = 0;
  await page.tab.route("**/v1/people/dee", async (route) => {
    if (route.request().method() !== "PUT" || lost > 0) return route.continue();
    lost += 1;
    await route.abort();
  });
  await page.press("Save");
  await page.tells(/The server cannot be reached\./);
  assert.deepEqual([await page.value("Id"), await page.value("Name"), await page.value("Team")], ["dee", "Dee", "blue"]);

  // Neither Esc nor the back button loses it, and a reload brings it back.
  await page.page.key("Escape");
  await page.tells(/This is not saved yet\./);
  await page.tab.goBack({ waitUntil: "commit" }).catch(() => {});
  await page.tab.goto(`${stack.url}/admin.html#people&id=`);
  await page.tab.reload();
  await page.opened();
  assert.equal(await page.value("Name"), "Dee");
  await page.press("Save");
  await page.says(/^Saved: dee, Dee/);
  assert.equal((await profile("dee")).display_name, "Dee");
});

test("who saves second sees first what was saved meanwhile", async (t) => {
  await stack.describe({ bob: { display_name: "Bob" } });
  const page = await visit(t, "people&id=bob");
  await page.opened();
  await stack.describe({ bob: { display_name: "Robert", team: "red" } });
  await page.fill({ Name: "Bobby" });
  await page.press("Save");
  await page.tells(/Meanwhile this was saved: bob, Robert, in the team red, listed by name and id\. Press Save again to replace that/);
  assert.equal((await profile("bob")).display_name, "Robert");
  assert.equal(await page.value("Name"), "Bobby");
  await page.press("Save");
  await page.says(/^Saved: bob, Bobby/);
  assert.equal((await profile("bob")).display_name, "Bobby");
});

test("a person is found among those that are loaded, and others by loading more or by the id", async (t) => {
  const people = Array.from({ length: 1000 }, (_, at) => ({ user_id: `u-${at}`, display_name: `Name ${at}`, team: null, visibility: "listed" }));
  const last = { user_id: "zoe", display_name: "Zoë", team: "red", visibility: "anonymous" };
  const page = await visit(t, "people", { expected: REFUSED, before: (tab) => tab.route(/\/v1\/people\?/, (route) =>
    route.fulfill({ json: /cursor=/.test(route.request().url()) ? { people: [last], next_cursor: null } : { people, next_cursor: "n" } })) });
  await eventually("the list", async () => assert.match(await page.count(), /^The first 200 of 1\u202f000 people\. 1\u202f000 people loaded, and there are more/));
  await page.filter("name 99");
  assert.equal((await page.rows()).length, 11);
  await page.filter("zoe");
  await page.lists([]);
  assert.equal(await page.page.hasButton("Open “zoe”"), true);
  await page.page.press("Load more");
  await page.lists(["Zoë zoe | red | anonymous"]);
  assert.equal(await page.page.hasButton("Load more"), false);
  await page.filter("nobody-yet");
  await page.page.press("Open “nobody-yet”");
  await page.tells(/Nothing is set for nobody-yet yet\./);
});

test("a title of a team is shown on the board of teams, and the list counts the members", async (t) => {
  await stack.describe({ eve: { team: "green" }, fay: { team: "green" }, hal: { team: "yellow" } });
  const page = await visit(t, "teams", { expected: REFUSED });
  await eventually("the team of two", async () => assert.ok((await page.rows()).includes("green | 2")));
  await page.open("green");
  await page.tells(/2 members: eve, fay\./);
  await page.fill({ Title: "The Greens" });
  await page.press("Save");
  await page.says(/^Saved: the team green, called The Greens\./);
  await eventually("the title", async () => {
    const { entries } = await stack.document("/v1/boards/teams?window=all");
    assert.equal(entries.find(({ team_id }) => team_id === "green")?.title, "The Greens");
  });
});

test("a program that is archived leaves the list of boards, and still counts; its order and title show", async (t) => {
  const boards = async () => (await stack.document("/v1/boards?window=all")).boards.map(({ board, title = "" }) => `${board} ${title}`.trim());
  const page = await visit(t, "programs", { expected: REFUSED });
  await page.lists(["old |  | listed", "onboarding |  | listed", "wellness |  | listed"]);
  await page.open("wellness");
  await page.fill({ Title: "Wellness", Order: "10000" });
  await page.press("Save");
  await page.wrong({ Order: "Order is 10000; it must be a whole number from 0 to 9999." });
  await page.fill({ Order: "1" });
  await page.press("Save");
  await page.says(/^Saved: the program wellness, called Wellness, at 1, listed\./);
  await page.open("old");
  await page.check(/^Archived/);
  await page.press("Save");
  await page.says(/archived\./);
  await page.lists(["old |  | archived", "onboarding |  | listed", "Wellness wellness | 1 | listed"]);
  await eventually("the list without it", async () => assert.deepEqual(await boards(), ["global", "program:wellness Wellness", "program:onboarding"]));
  await stack.add(activitiesFor({ ann: 10 }, { program: "old", batch: "later" }));
  assert.equal((await stack.user("ann", { board: "program:old" })).entry.points, 20);
});

const GOOD = "\ufeffuser_id;display_name;team;visibility\r\n'0012;\"Lee; \"\"Ann\"\"\";red;\r\nzoe;'=1+1;;anonymous\r\nyan;Zoe\u0308;;hidden\r\n";
const BAD = "a b;;;\r\nzoe;Again;;\r\nxi;Xi;;secret\r\nwei;Wei\r\n";

test("a file is compared first, then imported without its bad rows, and again without harm; an export is equal to it", async (t) => {
  const page = await visit(t, "people", { expected: FAILED });
  await page.page.press("Import CSV…");
  await page.chooseFile(`${GOOD}${BAD}`);
  await page.numbers({ New: 3, Changed: 0, Unchanged: 0, Refused: 4 });
  for (const words of [/Nothing is written yet/, /Line 5: user_id cannot be an id/, /Line 6: zoe is in line 3 already/, /Line 7: visibility is “secret”/, /Line 8: the row has 2 cells and there are 4 columns/]) {
    await page.tells(words);
  }
  assert.equal((await stack.get("/v1/people/zoe")).status, 404);

  // A request that is refused for its rate, and one whose answer is lost, are sent again.
  const faults = [
    (route) => route.fulfill({ status: 503, headers: { "retry-after": "1" }, contentType: "application/problem+json", body: '{"code":"unavailable","detail":"Later."}' }),
    async (route) => {
      await route.fetch();
      await route.abort();
    },
  ];
  await page.tab.route("**/v1/people/zoe", (route) => (faults.shift() ?? ((each) => each.continue()))(route));
  await page.press("Import 3 profiles");
  await page.tells(/The import is done\. Correct the refused rows, and import the file again\./);
  assert.equal(faults.length, 0);
  assert.equal((await profile("zoe")).display_name, "=1+1");
  assert.equal((await profile("0012")).display_name, 'Lee; "Ann"');

  await page.chooseFile(`${GOOD}${BAD}`);
  await page.numbers({ New: 0, Changed: 0, Unchanged: 3, Refused: 4 });
  await page.press("Close");
  const exported = await page.export();
  await page.says(/^podium-people\.csv has all \d+ profiles\. It holds personal data/);
  const lines = exported.split("\r\n");
  assert.equal(lines[0], "\ufeffuser_id,display_name,team,visibility");
  for (const line of [`'0012,"Lee; ""Ann""",red,listed`, "yan,Zoë,,hidden", "zoe,'=1+1,,anonymous"]) assert.ok(lines.includes(line), line);

  await page.page.press("Import CSV…");
  await page.chooseFile(exported);
  await page.numbers({ New: 0, Changed: 0, Unchanged: lines.length - 2, Refused: 0 });
  await page.chooseFile(Buffer.from("user_id\nJos\xe9\n", "latin1"));
  await page.tells(/The file is not UTF-8\. Save it as “CSV UTF-8”/);
  await page.chooseFile("user_id,team\nAnn,red\n");
  await page.tells(/no column display_name or visibility\. What has no column is taken away/);
});

test("an import that is stopped, or cannot go on, says so, and the next one imports the rest", async (t) => {
  const page = await visit(t, "people", { expected: [/status of 403/] });
  await page.page.press("Import CSV…");
  const users = ["ira", "jo", "kim", "lea", "mo", "nia"];
  const file = `user_id,display_name\n${users.map((user) => `${user},${user.toUpperCase()}\n`).join("")}`;
  await page.chooseFile(file);
  await page.numbers({ New: 6, Changed: 0, Unchanged: 0, Refused: 0 });
  const held = [];
  await page.tab.route("**/v1/people/*", (route) => held.push(route));
  await page.press("Import 6 profiles");
  await eventually("four requests at once", async () => assert.equal(held.length, 4));
  await page.press("Stop");
  for (const route of held) await route.continue();
  await page.tells(/You stopped it\. What was imported stays\./);
  await page.numbers({ New: 4, Changed: 0, Unchanged: 0, Refused: 0 });
  await page.tab.unroute("**/v1/people/*");

  await page.chooseFile(file);
  await page.numbers({ New: 2, Changed: 0, Unchanged: 4, Refused: 0 });
  await page.tab.route("**/v1/people/mo", (route) => route.fulfill({ status: 403, json: { detail: "Not any more." } }));
  await page.press("Import 2 profiles");
  await page.tells(/It stopped at line 6\. Not any more\. What was imported stays\. Choose the file again to import the rest\./);
  await page.tab.unroute("**/v1/people/mo");
  await page.chooseFile(file);
  await page.tells(/Nothing is written yet/);
  await page.tab.getByRole("button", { name: /^Import \d profile/ }).click();
  await page.tells(/The import is done\./);
  for (const user of users) assert.equal((await profile(user)).display_name, user.toUpperCase());
});

test("a void shows on the board, and a double press makes one correction", async (t) => {
  const page = await visit(t, "corrections&id=fay", { expected: REFUSED });
  await page.review({ what: /^Void/, Activity: "none", Reason: "entered twice" });
  await page.means(/The activity none of fay is taken out of all time.*A void cannot be taken back.*Reason: entered twice/s);
  await page.page.press("Correct");
  await page.wrong({ Activity: "Activity names an activity that fay does not have; check user_id and activity_id, and if the activity is yet to be posted, post it first." });
  const posts = [];
  page.tab.on("request", (request) => request.method() === "POST" && posts.push(request.postDataJSON()));
  await page.review({ what: /^Void/, Activity: "first-wellness-0", Reason: "entered twice" });
  await page.tab.getByRole("button", { name: "Correct", exact: true }).dblclick();
  await page.says(/^Accepted\./);
  await eventually("the void in the list", async () => {
    const [only, ...others] = await page.corrections();
    assert.match(only, /^Void of the activity first-wellness-0 \(task_completed\) in wellness \| entered twice \| \d+ \w+ \d{4}, [\d:]+ Europe\/Berlin · correction admin-/);
    assert.equal(others.length, 0);
  });
  assert.equal(posts.length, 1);
  await stack.shows((board) => row("fay")(board)?.points === 20);

  await page.review({ what: /^Void/, Person: "fay", Activity: "first-wellness-0", Reason: "again" });
  await page.page.press("Correct");
  await page.says(/^The activity was voided before, by the correction admin-\w+\. Nothing changed\.$/);
});

test("an adjustment whose answer is lost counts once, shows on the board, and says before what it makes", async (t) => {
  const page = await visit(t, "corrections&id=eve", { expected: FAILED });
  await page.review({ what: /^Adjust/, Program: "nowhere", Points: "1", Reason: "agreed" });
  await page.means(/The program nowhere has no board so far\. Check its id/);
  await page.page.press("Back");
  let lost = 0;
  await page.tab.route("**/v1/corrections", async (route) => {
    if (lost > 0) return route.continue();
    lost += 1;
    await route.fetch();
    await route.abort();
  });
  await page.review({ what: /^Adjust/, Program: "wellness", Points: "−5", Reason: "agreed" });
  await page.means(/eve loses 5 points in the program wellness.*That makes 25 instead of 30 points in all time\./s);
  await page.page.press("Correct");
  await page.means(/The server cannot be reached\. The correction may have arrived\. Press Correct again: it counts once\./);
  await page.page.press("Correct");
  await page.says(/^This correction had arrived before\. It counts once\.$/);
  await eventually("one adjustment", async () => assert.deepEqual((await page.corrections()).map((each) => each.split(" | ")[0]), ["\u22125 points in wellness"]));
  await stack.shows((board) => row("eve")(board)?.points === 25);

  // The first answer is lost, and then something else is sent.
  lost = 0;
  const adjustment = { what: /^Adjust/, Person: "eve", Program: "wellness", Reason: "agreed" };
  await page.review({ ...adjustment, Points: "7" });
  await page.page.press("Correct");
  await page.means(/may have arrived/);
  await page.page.press("Back");
  await page.review({ ...adjustment, Points: "8" });
  await page.page.press("Correct");
  await page.conflicts(/This was sent before with something else \(points\), and that counts: see the list\./);
  await eventually("the first of them", async () => assert.match((await page.corrections())[0], /^\+7 points in wellness/));
  await page.page.press("Review");
  await page.page.press("Correct");
  await page.says(/^Accepted\./);
  await stack.shows((board) => row("eve")(board)?.points === 40);

  for (const [points, error] of [["1.5", "Points must be a whole number."], ["1000001", "Points is 1000001; it must be a whole number from -1000000 to 1000000."]]) {
    await page.review({ what: /^Adjust/, Person: "eve", Program: "wellness", Points: points, Reason: "r".repeat(200) });
    if (points === "1000001") await page.page.press("Correct");
    await page.wrong({ Points: error });
  }
});

test("the seasons are listed with their days, their states and their boards, and how to change them", async (t) => {
  const page = await visit(t, "people");
  await page.choose("Seasons");
  await eventually("the count", async () => assert.equal(await page.count(), "3 seasons, the earliest first. Days are those of Europe/Berlin."));
  assert.equal(page.address(), "#seasons");
  const rows = (await page.rows()).map((row) => row.replace(/\| .* \|/, (days) => (/20\d\d/.test(days) ? "| days |" : days)));
  assert.deepEqual(rows, ["Spring spring | days | over", "<b>Summer</b> summer | days | running", `${RTL80} autumn | days | to come`]);
  const panel = page.tab.getByRole("tabpanel");
  assert.match(await panel.innerText(), /Terraform’s variable seasons, or by podium local --seasons FILE.*podium rebuild run/);
  const [over, running, ...others] = await panel.getByRole("link").evaluateAll((all) => all.map(({ href }) => new URL(href).search));
  assert.equal(over, `?window=season&period=${SEASONS[0].first_day}..${SEASONS[0].last_day}`);
  assert.equal(running, "?window=season");
  assert.deepEqual(others, [], "what is to come has no board");
  await panel.getByRole("link", { name: "<b>Summer</b>" }).click();
  await page.page.ready();
  await eventually("the season's board", async () => assert.match(await page.page.title(), /^<b>Summer<\/b> · /));
});

test("all corrections of a person can be read, page by page", async (t) => {
  await stack.adjust(Array.from({ length: 100 }, (_, at) => ({ user_id: "gus", program_id: "onboarding", points: at, reason: `number ${at}` })));
  await stack.adjust([{ user_id: "gus", program_id: "onboarding", points: 100, reason: "number 100" }]);
  const page = await visit(t, "corrections&id=gus");
  await eventually("the first page", async () => assert.equal((await page.corrections()).length, 100));
  await page.page.press("Load more");
  await eventually("all of them", async () => assert.equal((await page.corrections()).length, 101));
  assert.equal(await page.page.hasButton("Load more"), false);
});

test("an admin who logs in edits and is named in corrections, and what was typed outlives the login", async (t) => {
  const page = await visitAdmin(t, closed, "people&id=", { others: [provider.issuer], expected: REFUSED });
  await eventually("the invitation", async () => assert.match(await page.page.text("#invitation"), /^Log in as an admin/));
  assert.equal(page.page.asked(/\/v1\//), 0);
  await page.page.press("Log in");
  await page.page.chooseAccount("boss");
  await page.opened();
  assert.equal(page.address(), "#people&id=");
  assert.equal(await page.page.account(), "Logged in as boss");
  await page.fill({ Id: "ann", Name: "Ann" });

  // The provider ends the login, without a refresh token.
  await page.tab.evaluate(() => {
    const tokens = JSON.parse(sessionStorage.getItem("podium.tokens"));
    sessionStorage.setItem("podium.tokens", JSON.stringify({ ...tokens, access: "x", refresh: null, silent: true, since: Date.now() }));
  });
  await page.tab.reload();
  await eventually("the end of the login", async () => assert.match(await page.page.loginSays(), /Log in again\.|login/));
  await page.page.press("Log in");
  await page.opened();
  assert.deepEqual([await page.value("Id"), await page.value("Name")], ["ann", "Ann"]);
  await page.press("Save");
  await page.says(/^Saved: ann, Ann/);
  assert.equal((await closed.document("/v1/people/ann")).display_name, "Ann");

  await page.choose("Corrections");
  await page.review({ what: /^Adjust/, Person: "ann", Program: "wellness", Points: "5", Reason: "won" });
  await page.page.press("Correct");
  await page.says(/^Accepted\./);
  await eventually("who did it", async () => assert.match((await page.corrections())[0] ?? "", /· by token:boss ·/));
});

test("whoever is no admin is refused in plain words", async (t) => {
  const page = await visitAdmin(t, closed, "people", { others: [provider.issuer], expected: REFUSED });
  await page.page.press("Log in");
  await page.page.chooseAccount("reader");
  await page.refuses(/This page is for admins\s+You are logged in, but not as an admin\. Ask whoever runs Podium for the right to administer it, then log in again\./);
});

test("on a deployment without login nobody is an admin, which the page says", async (t) => {
  const page = await visit(t, "people", { expected: REFUSED, before: (tab) => tab.route("**/v1/teams?**", (route) => route.fulfill({ status: 404, json: {} })) });
  await page.refuses(/Nobody can log in on this deployment, so nobody can administer it here\./);
});

test("the page may load and send no more than the boards", async () => {
  const [boards, admin] = await Promise.all(["/", "/admin.html"].map((path) => fetch(`${closed.url}${path}`)));
  for (const name of ["content-security-policy", "x-content-type-options", "cache-control"]) {
    assert.ok(admin.headers.get(name), name);
    assert.equal(admin.headers.get(name), boards.headers.get(name));
  }
  assert.match(admin.headers.get("content-type"), /^text\/html/);
});

const STATES = [
  ["people", async (page) => {
    await page.loaded();
    await page.page.press("Import CSV…");
    await page.chooseFile(`user_id,team\nnew,red\nann,${"a b".repeat(40)}\n`);
    await page.tells(/Line 3: team cannot be an id/);
  }],
  ["people&id=ann", async (page) => {
    await page.opened();
    await page.press("Delete…");
  }],
  ["people&id=", async (page) => {
    await page.opened();
    await page.press("Save");
    await eventually("the refusal", async () => assert.ok((await page.errors()).Id));
  }],
  ["teams", (page) => page.loaded()],
  ["programs&id=onboarding", (page) => page.opened()],
  ["seasons", (page) => page.loaded()],
  ["corrections&id=gus", async (page) => {
    await page.review({ what: /^Adjust/, Person: LONG, Program: "onboarding", Points: "5", Reason: "r".repeat(200) });
    await page.means(/gets 5 points/);
  }],
];

const SIZES = [[320, "dark"], [1440, "light"], [2560, "dark"]];

for (const [address, reach] of STATES) {
  test(`${address}: in every size nothing is wider than the screen, and all is accessible, light and dark`, async (t) => {
    await stack.describe({ ann: { display_name: RTL80, team: LONG }, [LONG]: { visibility: "hidden" } });
    const page = await visit(t, address, { expected: REFUSED });
    await reach(page);
    await page.tab.evaluate(AXE);
    for (const [width, colorScheme] of SIZES) {
      await page.tab.setViewportSize({ width, height: 800 });
      await page.tab.emulateMedia({ colorScheme });
      await page.page.settle();
      assert.deepEqual(await page.page.wider(), [], `${width} px`);
      const violations = await page.tab.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] }))
        .violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`));
      assert.deepEqual(violations, [], `${width} px, ${colorScheme}`);
    }
  });
}

test("tabs and rows are used by the keyboard, and the focus returns to the row", async (t) => {
  await stack.describe({ bob: { display_name: "Bobby" } });
  const page = await visit(t, "people");
  await page.page.focusWindow();
  await page.page.key("ArrowRight");
  await page.chosen("Teams");
  assert.equal(page.address(), "#teams");
  await page.page.key("ArrowLeft");
  await page.chosen("People");
  await page.filter("Bobby");
  await page.lists(["Bobby bob |  | listed"]);
  await page.page.key("Tab");
  await page.page.key("Enter");
  await page.opened();
  assert.equal(await page.page.seesFocus(), true);
  await page.page.key("Escape");
  await eventually("the focus on the row", async () => assert.equal(await page.page.focused(), "Bobby"));
});

test("a list that is read again keeps the focus on its row", async (t) => {
  const people = ["ann", "bob"].map((user_id) => ({ user_id, display_name: null, team: null, visibility: "listed" }));
  let answerFirst;
  const page = await visit(t, "people", { before: (tab) => tab.route(/\/v1\/people\?/, (route) => {
    if (answerFirst) return route.fulfill({ json: { people: people.slice(1), next_cursor: null } });
    answerFirst = () => route.fulfill({ json: { people, next_cursor: null } });
  }) });
  await eventually("the first request", async () => assert.ok(answerFirst));
  await page.choose("Teams");
  await page.choose("People");
  await page.lists(["bob |  | listed"]);
  await page.page.focusButton("bob");
  await answerFirst();
  await page.lists(["ann |  | listed", "bob |  | listed"]);
  assert.equal(await page.page.focused(), "bob");
});
