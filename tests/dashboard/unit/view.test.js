import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import "../language.js";
import { periodsPath } from "../../../dashboard/earlier.js";
import { documentsOf, pagesOf, pageWith, parseView, searchPath, segmentOf, START, titleOf, userPath, writeView } from "../../../dashboard/view.js";

test("a view survives its address", () => {
  const check = (search, change) => {
    assert.deepEqual(parseView(search), { ...START, ...change });
    assert.equal(writeView(parseView(search)), search);
  };
  check("", {});
  check("?board=program%3Aonboarding", { board: "program:onboarding" });
  check("?window=all&from=101&user=ann.lee%40example.org", { window: "all", from: 101, user: "ann.lee@example.org" });
  check("?from=10000&rows=1000", { from: 10_000, rows: 1000 });
  check("?board=teams&window=day", { board: "teams", window: "day" });
  check("?board=team%3Ared&user=ann", { board: "team:red", user: "ann" });
  check("?window=day&period=2026-11-24", { window: "day", period: "2026-11-24" });
  check("?window=month&period=2026-11", { window: "month", period: "2026-11" });
  check("?period=2026-W47", { window: "week", period: "2026-W47" });
  check("?window=season", { window: "season" });
  check("?window=season&period=2026-09-01..2026-11-30", { window: "season", period: "2026-09-01..2026-11-30" });
  // A period tells its window.
  assert.deepEqual(parseView("?window=all&period=2026-11"), { ...START, window: "month", period: "2026-11" });
  assert.deepEqual(parseView("?period=2026-09-01..2026-11-30"), { ...START, window: "season", period: "2026-09-01..2026-11-30" });
  assert.deepEqual(parseView("?period=yesterday"), START);
  // Nobody is on the board of teams.
  assert.deepEqual(parseView("?board=teams&user=ann"), { ...START, board: "teams" });
});

/** Each id, and how a path names it: from `printf %s ID | basenc --base64url`. */
const SEGMENTS = {
  ann: "ann",
  "Ann.Lee_2@example.com": "Ann.Lee_2@example.com",
  "us-east-1:12ab": "us-east-1:12ab",
  "...": "...",
  "..": "~Li4",
  "auth0|5f7c": "~YXV0aDB8NWY3Yw",
  "guest_corp#EXT#@tenant": "~Z3Vlc3RfY29ycCNFWFQjQHRlbmFudA",
  "jane.o'neil+hr@corp.example": "~amFuZS5vJ25laWwraHJAY29ycC5leGFtcGxl",
  "owner/repo": "~b3duZXIvcmVwbw",
  "course-v1:Org+Course+Run": "~Y291cnNlLXYxOk9yZytDb3Vyc2UrUnVu",
  "%2e%2e": "~JTJlJTJl",
  "a&user=b": "~YSZ1c2VyPWI",
  "a~": "~YX4",
  "ab~": "~YWJ-",
  "{}?": "~e30_",
};

test("a path names an id by characters that no proxy changes", () => {
  for (const [id, segment] of Object.entries(SEGMENTS)) {
    assert.equal(segmentOf(id), segment);
    assert.equal(userPath("global", id, "window=all"), `/v1/boards/global/users/${segment}?window=all`);
    const { board, user } = documentsOf({ ...START, board: `program:${id}`, user: id });
    assert.equal(board, `/v1/boards/program:${segment}?window=week&limit=100`);
    assert.equal(user, `/v1/boards/program:${segment}/users/${segment}?window=week&around=3`);
    assert.equal(documentsOf({ ...START, board: `team:${id}` }).board, `/v1/boards/team:${segment}?window=week&limit=100`);
  }
  // The API refuses them, and its answer says why.
  assert.equal(segmentOf("zoë"), "~em_Dqw");
  assert.equal(segmentOf("~a"), "~fmE");
  assert.equal(segmentOf("\ud800"), "~77-9");
  assert.equal(searchPath(START, "T#&+"), "/v1/boards/global/users?window=week&search=T%23%26%2B&limit=10");
  assert.equal(searchPath({ ...START, board: "teams" }, "a"), "/v1/boards/global/users?window=week&search=a&limit=10");
});

test("every id survives the address of a view", () => {
  const every = Array.from({ length: 0x7f - 0x21 }, (_, i) => String.fromCharCode(0x21 + i)).filter((c) => !'"\\<>'.includes(c));
  for (const id of [...Object.keys(SEGMENTS), ...every.map((c) => `a${c}b`), every.join(""), "x".repeat(128)]) {
    const view = { ...START, board: `program:${id}`, user: id };
    const address = new URL(writeView(view), "http://localhost/");
    assert.deepEqual(parseView(address.search), view);
    assert.equal(address.hash, "");
  }
});

test("the search takes 1 to 128 characters of any script, and blanks around them", () => {
  const page = readFileSync(new URL("../../../dashboard/index.html", import.meta.url), "utf8");
  const [, pattern] = /id="search-text"[^]*? pattern="([^"]*)"/.exec(page);
  // As HTML compiles it.
  const search = new RegExp(`^(?:${pattern})$`, "v");
  for (const text of ["a", "Ólafur O'Neil", "Иван", "محمد", "महेश शर्मा", "田中", "<b>", "🏆".repeat(128), `a${" ".repeat(126)}b`]) {
    assert.ok(search.test(text), text);
    assert.ok(search.test(` ${text}\u00a0`), text);
  }
  for (const text of ["", "  ", "x".repeat(129), "🏆".repeat(129)]) assert.equal(search.test(text), false, text);
});

test("what is not known falls back", () => {
  for (const search of [
    "?board=", "?board=local", "?board=program:", "?board=program:a%20b", `?board=program:${"x".repeat(129)}`,
    "?window=year", "?window=toString", "?window=",
    "?from=0", "?from=-1", "?from=1.5", "?from=1e3", "?from=10001", "?from=x",
    "?rows=10", "?rows=1e2", "?rows=",
    "?user=", "?user=%3Cimg%3E", "?user=a%22b", "?user=a%5Cb", "?user=zo%C3%AB", "?user=a%7Fb", "?user=a+b", `?user=${"x".repeat(129)}`, "?other=1",
  ]) {
    assert.deepEqual(parseView(search), START, search);
  }
});

test("the title names window and board", () => {
  assert.equal(titleOf({ ...START, window: "all", board: "program:onboarding" }), "All time · onboarding · Podium");
  assert.equal(titleOf(START), "This week · All programs · Podium");
  assert.equal(titleOf({ ...START, period: "2026-W47" }), "2026-W47 · All programs · Podium");
});

test("a view asks for its documents", () => {
  assert.deepEqual(documentsOf(START), {
    board: "/v1/boards/global?window=week&limit=100",
    leaders: null,
    programs: "/v1/boards?window=week",
    history: "/v1/boards/global/history?window=week",
    user: null,
    you: null,
  });
  const past = documentsOf({ ...START, period: "2026-W47", user: "ann" });
  assert.equal(past.board, "/v1/boards/global?window=week&period=2026-W47&limit=100");
  assert.equal(past.user, "/v1/boards/global/users/ann?window=week&period=2026-W47&around=3");
  assert.equal(past.history, null);
  assert.equal(periodsPath({ ...START, board: "team:red" }), "/v1/boards/global/periods?window=week&limit=60");
  const view = { board: "program:onboarding", window: "day", period: null, from: 26, rows: 25, user: "a@b" };
  assert.deepEqual(documentsOf(view), {
    board: "/v1/boards/program:onboarding?window=day&limit=25&from=26",
    leaders: "/v1/boards/program:onboarding?window=day&limit=10",
    programs: "/v1/boards?window=day",
    history: "/v1/boards/program:onboarding/history?window=day",
    user: "/v1/boards/program:onboarding/users/a@b?window=day&around=3",
    you: null,
  });
  assert.equal(documentsOf({ ...START, board: "team:red", period: "2026-W47" }, "a@b").you, "/v1/boards/team:red/users/a@b?window=week&period=2026-W47&around=1");
  // Nobody is on the board of teams.
  assert.equal(documentsOf({ ...START, board: "teams" }, "ann").you, "/v1/boards/global/users/ann?window=week&around=1");
});

test("pages lead where there are rows", () => {
  const check = (from, rows, listed, expected) =>
    assert.deepEqual(Object.values(pagesOf({ from, rows }, listed)), expected, `${from} ${rows} ${listed}`);
  check(1, 100, 0, [null, null, null, null]);
  check(1, 100, 100, [null, null, null, null]);
  check(1, 100, 101, [null, null, 101, 101]);
  check(101, 100, 1013, [1, 1, 201, 1001]);
  check(1001, 100, 1013, [1, 901, null, null]);
  check(50, 100, 1013, [1, 1, 150, 1001]);
  // Beyond the end, Previous leads to the last page.
  check(5001, 100, 1013, [1, 1001, null, null]);
  check(101, 100, 0, [1, 1, null, null]);
  // Not known yet.
  check(1, 100, null, [null, null, null, null]);
  check(201, 100, null, [1, 101, null, null]);
});

test("another number of rows keeps the first row in sight", () => {
  assert.deepEqual(pageWith(101, 25), { rows: 25, from: 101 });
  assert.deepEqual(pageWith(126, 100), { rows: 100, from: 101 });
  assert.deepEqual(pageWith(901, 1000), { rows: 1000, from: 1 });
});
