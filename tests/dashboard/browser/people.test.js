// People are shown by name, in every script and direction; someone anonymous is a row that leads nowhere.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { activitiesFor } from "../activities.js";
import { eventually } from "../eventually.js";
import { activitiesOfPeople, ANONYMOUS, describePeople, NAMES, shownAs } from "../people.js";
import { testStack } from "../test_stack.js";
import { visit } from "../visit.js";

const USERS = Object.keys(NAMES);
const PLACE = USERS.indexOf(ANONYMOUS);
const AVATAR_CONTRAST_MIN = 4.5;

const stack = await testStack({ snapshotEvery: "2s" });
before(async () => {
  await stack.add(activitiesOfPeople());
  await describePeople(stack);
});

const names = async (rows) => (await rows).map(({ user }) => user);

test("rows, podium, card, neighbours and charts have names, and ids where there are none", async (t) => {
  const page = await visit(t, stack, { user: "yusuf" });
  await page.openTables();
  await eventually("the names", async () => {
    assert.deepEqual(await names(page.entries()), USERS.map(shownAs));
    assert.deepEqual((await page.podium()).map(({ text }) => text.split("\n")[0]), USERS.slice(0, 3).map(shownAs));
    assert.deepEqual(await names(page.neighbours()), USERS.slice(0, 5).map(shownAs));
    assert.match(await page.user(), new RegExp(`^${NAMES.yusuf}\\s+yusuf\\s`));
    const lines = USERS.filter((user) => user !== ANONYMOUS).slice(0, 5).map(shownAs);
    assert.deepEqual(await page.linesDrawn(), lines);
    assert.deepEqual((await page.numbersOf("race")).heads, ["Time", ...lines]);
  });
  // The card of someone without a name.
  await page.chooseUser("plain@example.com");
  await eventually("the id", async () => assert.match(await page.user(), /^plain@example\.com\s+This is me/));
});

test("lines keep their names on later pages, and two people of one name are told apart", async (t) => {
  const page = await visit(t, stack, { rows: 25, from: 26, user: "bob" });
  await eventually("the names", async () => {
    const lines = USERS.filter((user) => user !== ANONYMOUS).slice(1, 5).map(shownAs);
    assert.deepEqual(await page.linesDrawn(), ["Ann Smith (ann)", ...lines, "Ann Smith (bob)"]);
  });
});

test("a name has its id beside it where there is room, and both as a tooltip", async (t) => {
  const page = await visit(t, stack, {}, { viewport: { width: 1280, height: 900 } });
  const row = page.tab.locator('#board tr[data-user="jose"]');
  await eventually("the name", async () => assert.equal(await row.locator(".name").textContent(), NAMES.jose));
  const id = row.locator(".id");
  assert.equal(await id.innerText(), "jose");
  const [name, besides] = await Promise.all([row.locator(".name").boundingBox(), id.boundingBox()]);
  assert.ok(besides.x >= name.x + name.width && besides.width > 20, "it is beside the name");
  for (const [user, name] of [["jose", NAMES.jose], ["latin80", NAMES.latin80]]) {
    assert.equal(await page.tab.locator(`#board tr[data-user="${user}"] .name`).getAttribute("title"), `${name}\n${user}`);
    // What a screen reader says is not cut off.
    assert.equal(await page.tab.locator(`#board tr[data-user="${user}"]`).getByRole("button", { name: name, exact: true }).count(), 1);
  }
  assert.equal(await page.tab.locator('#board tr[data-user="plain@example.com"] .id').innerText(), "");
  await page.tab.setViewportSize({ width: 360, height: 640 });
  await page.settle();
  assert.equal(await page.tab.locator("#board .id").filter({ visible: true }).count(), 0);
});

test("names of any direction and length leave rank, name and points where they are", async (t) => {
  const page = await visit(t, stack, { user: "noa" });
  for (const width of [360, 768, 1280]) {
    await page.tab.setViewportSize({ width, height: 900 });
    await page.settle();
    const rows = await page.tab.evaluate(() => [...document.querySelectorAll("#board tbody tr, #neighbours tr")].map((row) => {
      const cells = [...row.cells].slice(0, 3).map((cell) => cell.getBoundingClientRect());
      const name = row.querySelector(".name").getBoundingClientRect();
      return {
        table: row.closest("[id]").id,
        text: row.textContent,
        begin: Math.round(name.left),
        cells: cells.map(({ left }) => left),
        isInside: name.left >= cells[1].left && name.right <= cells[2].left + 1,
        height: row.getBoundingClientRect().height,
      };
    }));
    for (const table of ["board", "neighbours"]) {
      const [first, ...others] = rows.filter((row) => row.table === table);
      assert.ok(others.length > 3);
      for (const row of [first, ...others]) {
        assert.equal(row.begin, first.begin, `${width} px: names begin at one edge: ${row.text}`);
        assert.ok(row.cells[0] < row.cells[1] && row.cells[1] < row.cells[2] && row.isInside, `${width} px: ${JSON.stringify(row)}`);
        assert.equal(row.height, first.height, `${width} px: rows are equally high: ${row.text}`);
      }
    }
    // Where nothing is reserved, the height is fixed.
    const { height, reserved, scrolls } = await page.tab.locator("#user").evaluate((card) => ({
      height: card.offsetHeight,
      reserved: Number.parseFloat(getComputedStyle(card).minHeight),
      scrolls: card.scrollHeight > card.clientHeight,
    }));
    assert.ok(!scrolls && (reserved === 0 || height <= reserved), `${width} px: the card has ${height} px of ${reserved}`);
  }
  const directions = await page.tab.locator("#board .name").evaluateAll((all) => all.map((name) => getComputedStyle(name).direction));
  const isRightToLeft = (user) => /^[\p{Script=Arabic}\p{Script=Hebrew}]/u.test(shownAs(user));
  assert.deepEqual(directions, USERS.map((user) => (isRightToLeft(user) ? "rtl" : "ltr")));
});

test("someone anonymous is a row that leads nowhere", async (t) => {
  const page = await visit(t, stack);
  const row = page.tab.locator("#board tbody tr").nth(PLACE);
  await eventually("the row", async () => assert.match(await row.textContent(), /^4\s*Anonymous/));
  assert.equal(await row.getByRole("button").count(), 0);
  assert.equal(await row.getByRole("link").count(), 0);
  assert.doesNotMatch(await row.evaluate(({ outerHTML }) => outerHTML), /undefined|null|Nobody|quiet"/);
  await row.getByText("Anonymous").click();
  await row.locator("td").nth(2).click();
  assert.equal(await page.user(), null);
  assert.equal(page.view().user, undefined);
  // The keyboard goes from the row before to the row after it.
  await page.focusUser(USERS[PLACE - 1]);
  await page.key("Tab");
  assert.equal(await page.focusedUser(), USERS[PLACE + 1]);
  // A card beside it names it, and leads nowhere either.
  await page.chooseUser("ivan");
  await eventually("the neighbours", async () => assert.ok((await names(page.neighbours())).includes("Anonymous")));
  assert.equal(await page.tab.locator("#neighbours tr", { hasText: "Anonymous" }).getByRole("button").count(), 0);
  assert.equal(page.requests.filter((url) => /undefined|quiet/.test(url)).length, 0);
});

test("people are found by a part of a name or id, without accents, and by a whole name", async (t) => {
  const page = await visit(t, stack);
  for (const [text, ...found] of [["nunez", "jose"], ["ИВАН", "ivan"], ["حداد", "yusuf"], ["शर्मा", "mahesh"], ["田中", "tanaka"], ["jos", "jose"], ["smith", "ann", "bob"]]) {
    await page.type(text);
    await eventually(`who is found by ${text}`, async () => assert.deepEqual((await page.suggestions()).users, found.map(shownAs)));
    await page.key("Escape");
  }
  await page.find("Иван Петров");
  await eventually("the card", async () => assert.match(await page.user(), /^Иван Петров\s+ivan/));
  assert.equal(page.view().user, "ivan");
  await page.find("Ann Smith");
  await eventually("a choice", async () => {
    assert.equal(await page.searchNote(), "Choose a person.");
    assert.deepEqual((await page.suggestions()).users, ["Ann Smith", "Ann Smith"]);
  });
  await page.key("ArrowDown");
  await page.key("ArrowDown");
  await page.key("Enter");
  await eventually("the second one", async () => assert.equal(page.view().user, "bob"));
  await page.find("Nobody Knows");
  await eventually("that nobody is found", async () => assert.equal(await page.searchNote(), "No name or id on this board contains “Nobody Knows”."));
});

test("an exported board has names, and nothing of someone anonymous", async (t) => {
  const page = await visit(t, stack);
  const { text } = await page.download("CSV");
  assert.ok(text.startsWith("\ufeffboard,"));
  const [heads, ...lines] = text.slice(1).trimEnd().split("\r\n").map((line) => line.split(","));
  const column = (name) => lines.map((line) => line[heads.indexOf(name)]);
  const listed = (user) => user !== ANONYMOUS;
  assert.deepEqual(column("user_id").slice(0, USERS.length), USERS.map((user) => (listed(user) ? user : "")));
  assert.deepEqual(column("name").slice(0, USERS.length), USERS.map((user) => (listed(user) ? NAMES[user] ?? "" : "")));
  const { entries } = JSON.parse((await page.download("JSON")).text);
  assert.equal(entries[1].name, NAMES.yusuf);
  assert.deepEqual(Object.keys(entries[PLACE]).sort(), ["activities", "change", "points", "rank"]);
});

test("a card of someone whom others do not see says so", async (t) => {
  const page = await visit(t, stack, { user: "ivan" }, {
    before: (tab) => tab.route("**/boards/*/users/*", async (route) => {
      const response = await route.fetch();
      const [, user] = /users\/(\w+)/.exec(route.request().url());
      const concealed_as = { ivan: "anonymous", noa: "hidden" }[user];
      await route.fulfill({ response, json: { ...await response.json(), concealed_as } });
    }),
  });
  const says = (words) => eventually(`${words}`, async () => assert.match(await page.user(), words));
  await says(/Only admins and this person see this\. On boards, this person is anonymous\./);
  await page.chooseUser("noa");
  await says(/Only admins and this person see this\. This person is hidden from boards\./);
  await page.chooseUser("ann");
  await says(/^Ann Smith/);
  assert.doesNotMatch(await page.user(), /Only admins/);
});

test("avatars have initials in contrast, light or dark, whatever their colour", async (t) => {
  const page = await visit(t, stack);
  await eventually("the avatars", async () => assert.equal(await page.tab.locator("#board [data-initials]").count() >= USERS.length, true));
  const initials = await page.tab.locator("#board [data-initials]").evaluateAll((all) => all.map(({ dataset }) => dataset.initials.replace("\u200c", "")));
  assert.deepEqual(initials.slice(0, 6), ["AS", "يح", "मश", "", "ИП", "נד"]);
  for (const colorScheme of ["light", "dark"]) {
    await page.tab.emulateMedia({ colorScheme });
    const contrasts = await page.tab.evaluate(() => {
      const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const luminance = (colour) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const cell = document.querySelector("#board [data-initials]");
      return Array.from({ length: 360 }, (_, hue) => {
        cell.style.setProperty("--hue", hue);
        const { color, backgroundColor, width } = getComputedStyle(cell, "::before");
        const [dark, light] = [color, backgroundColor].map(luminance).sort((a, b) => a - b);
        return Number.parseFloat(width) > 20 ? (light + 0.05) / (dark + 0.05) : 0;
      });
    });
    assert.ok(Math.min(...contrasts) >= AVATAR_CONTRAST_MIN, `${colorScheme}: ${Math.min(...contrasts)}`);
  }
});

test("rows of people who become anonymous and named again keep the place and the focus of others", async (t) => {
  const program = "changing";
  await stack.add(activitiesFor({ zoe: 50, yan: 40, xia: 30 }, { program }));
  await stack.describe({ zoe: { display_name: "Zoë" }, xia: { display_name: "夏" } });
  const page = await visit(t, stack, { board: `program:${program}` });
  const shows = (...expected) => eventually(`${expected}`, async () => assert.deepEqual(await names(page.entries()), expected));
  await shows("Zoë", "yan", "夏");
  await page.focusUser("xia");
  await stack.describe({ zoe: { visibility: "anonymous" }, yan: { display_name: "Ян", visibility: "anonymous" } });
  await shows("Anonymous", "Anonymous", "夏");
  assert.equal(await page.focusedUser(), "xia");
  assert.deepEqual((await page.podium()).map(({ text }) => text.split("\n")[0]), ["Anonymous", "Anonymous", "夏"]);
  await page.clickRow("xia");
  await eventually("the card", async () => assert.match(await page.user(), /^夏/));
  await stack.describe({ zoe: { display_name: "Zoé" }, yan: { display_name: "Ян" } });
  await shows("Zoé", "Ян", "夏");
  await page.chooseUser("yan");
  await eventually("the card", async () => assert.match(await page.user(), /^Ян/));
  // The row in focus becomes one that cannot have it: the focus stays in the board.
  await page.focusUser("zoe");
  await stack.describe({ zoe: { visibility: "anonymous" } });
  await shows("Anonymous", "Ян", "夏");
  assert.equal(await page.tab.evaluate(() => document.activeElement.id), "panel");
});

test("where nobody has a name, there are no avatars", async (t) => {
  const program = "nameless";
  await stack.add(activitiesFor({ "u-1": 20, "u-2": 10 }, { program }));
  const page = await visit(t, stack, { board: `program:${program}` });
  assert.deepEqual(await names(page.entries()), ["u-1", "u-2"]);
  const drawn = () => page.tab.locator("#board [data-initials]").first().evaluate((cell) => getComputedStyle(cell, "::before").content);
  assert.equal(await drawn(), "none");
  await page.chooseBoard("All programs");
  await eventually("avatars", async () => assert.notEqual(await drawn(), "none"));
});
