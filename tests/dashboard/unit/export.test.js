import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { cell, csvOf, fileName, jsonOf, wholeBoard } from "../../../dashboard/export.js";

const WEEK = { name: "week", first_day: "2026-11-16", last_day: "2026-11-22", time_zone: "Europe/Berlin" };
const ALL = { name: "all", first_day: null, last_day: null, time_zone: "Europe/Berlin" };
const BOARD = {
  board: "program:onboarding", window: WEEK, generation: 7, participants: 4, points: -2425, activities: 8, listed: 4, from: 1,
  entries: [
    { rank: 1, user_id: "-ann", points: 50, activities: 5, change: -2 },
    { rank: 2, user_id: "bob", name: "Bob Lee", points: 25, activities: 1, change: null },
    { rank: 3, user_id: "-5", points: -1250, activities: 0, change: 0 },
    { rank: 3, points: -1250, activities: 2, change: null },
  ],
  next_cursor: null,
  freshness: { generated_at: "2026-11-21T10:00:00Z", age_seconds: 3 },
};

test("cells", () => {
  const check = (value, expected) => assert.equal(cell(value), expected);
  check("ann", "ann");
  check(null, "");
  check(-2, "-2");
  for (const first of "=+-@") check(`${first}1+1`, `'${first}1+1`);
  check("a,b", '"a,b"');
  check('a"b', '"a""b"');
  check("a\r\nb", '"a\r\nb"');
  check('=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`);
  // Where ; separates cells, it begins another one.
  for (const first of "=+-@") check(`a;${first}1+1;b;${first}2`, `a;'${first}1+1;b;'${first}2`);
  check("a;b", "a;b");
  // Spreadsheets of East Asia take wide signs for the usual ones.
  for (const first of "＝＋－＠") check(`${first}1;${first}2`, `'${first}1;'${first}2`);
});

test("a board as CSV", () => {
  const heading = "program:onboarding,week,2026-11-16,2026-11-22,Europe/Berlin,7,2026-11-21T10:00:00Z";
  assert.equal(csvOf(BOARD), [
    "board,window,first_day,last_day,time_zone,generation,generated_at,rank,user_id,name,points,activities,change",
    `${heading},1,'-ann,,50,5,-2`,
    `${heading},2,bob,Bob Lee,25,1,`,
    // A number below zero stays one; an id that looks like one does not become it.
    `${heading},3,'-5,,-1250,0,0`,
    // Someone anonymous.
    `${heading},3,,,-1250,2,`,
    "",
  ].join("\r\n"));
});

test("the board of teams as CSV", () => {
  const { board, ...teams } = BOARD;
  teams.team_score = "mean";
  teams.entries = [{ rank: 1, team_id: "0012", title: "The Reds", score: 12.5, points: 25, members: 2 }, { rank: 2, team_id: "blue", score: 0, points: 0, members: 1 }];
  assert.equal(csvOf(teams), [
    "board,window,first_day,last_day,time_zone,generation,generated_at,rank,team_id,title,score,points,members",
    "teams,week,2026-11-16,2026-11-22,Europe/Berlin,7,2026-11-21T10:00:00Z,1,'0012,The Reds,12.5,25,2",
    "teams,week,2026-11-16,2026-11-22,Europe/Berlin,7,2026-11-21T10:00:00Z,2,blue,,0,0,1",
    "",
  ].join("\r\n"));
  assert.equal(fileName(teams, "csv"), "podium-teams-week-2026-11-16.csv");
});

test("a board as JSON", () => {
  assert.deepEqual(JSON.parse(jsonOf(BOARD)), {
    board: "program:onboarding", window: WEEK, generation: 7, generated_at: "2026-11-21T10:00:00Z",
    participants: 4, from: 1, entries: BOARD.entries,
  });
});

test("file names", () => {
  assert.equal(fileName(BOARD, "csv"), "podium-onboarding-week-2026-11-16.csv");
  assert.equal(fileName({ ...BOARD, board: "global", window: ALL }, "json"), "podium-global-all-2026-11-21.json");
  const name = fileName({ ...BOARD, board: "program:course-v1:Org+a/b|c*%2F" }, "csv");
  assert.equal(name, "podium-course-v1_Org_a_b_c__2F-week-2026-11-16.csv");
});

test("ids that a spreadsheet would convert are kept as text, others as they are", () => {
  const idCell = (user_id) => csvOf({ ...BOARD, entries: [{ ...BOARD.entries[0], user_id }] }).split("\r\n")[1].split(",")[8];
  const converted = ["0012", "12345678901234567890", "7", "1e5", "1.50", ".5", "2026-11-25", "1-2", "1-jan", "3Dec2026", "MAR1", "sep-2026", "TRUE", "false", "=1", "+49", "-2", "@sum",
    "1/2", "3/4/2026", "1/jan", "mar/1", "12:30", "9:05pm", "50%", "$5", "(7)", "$1.50", "#N/A", "#REF!", "'ann'", "'"];
  for (const id of converted) assert.equal(idCell(id), `'${id}`);
  for (const id of ["ann", "user-001", "ann.lee@example.org", "jan", "march", "2fast", "u-1e5", "_0", "auth0|5f7c", "us-east-1:12ab",
    "guest_corp#EXT#@tenant", "jane.o'neil+hr@corp.example", "owner/repo", "course-v1:Org+Course+Run", "5f7c", "$where", "(ann)"]) assert.equal(idCell(id), id);
});

test("names are kept as text in every script, and a spreadsheet is told that they are UTF-8", () => {
  const [first] = BOARD.entries;
  const csv = (name) => csvOf({ ...BOARD, entries: [{ ...first, name }] });
  const nameCell = (name) => csv(name).split("\r\n")[1].split(",50,5,")[0].split("'-ann,")[1];
  const kept = { "Иван Петров": "Иван Петров", "محمد": "محمد", "महेश शर्मा": "महेश शर्मा", "田中": "田中", "Smith, Ann": '"Smith, Ann"', 'Ann "Al" Lee': '"Ann ""Al"" Lee"',
    "=1+1": "'=1+1", "＝1+1": "'＝1+1", "+49 30": "'+49 30", "@ann": "'@ann", "Ann;=1": "Ann;'=1", "May 5": "May 5", May5: "'May5", True: "'True", "1/2": "'1/2", "'Ann": "''Ann" };
  for (const [name, expected] of Object.entries(kept)) assert.equal(nameCell(name), expected);
  assert.ok(csv("田中").startsWith("\ufeffboard,"));
  assert.ok(csv("Ann").startsWith("board,"));
});

test("a whole board is loaded page by page", async () => {
  const page = (cursor, ...users) => ({ ...BOARD, next_cursor: cursor, entries: users.map((user_id) => ({ user_id })) });
  const pages = { null: page("2", "ann", "bob"), 2: page("3", "cy"), 3: page(null, "dee") };
  const asked = [];
  const board = await wholeBoard(async (cursor) => {
    asked.push(cursor);
    return pages[cursor];
  });
  assert.deepEqual(asked, [null, "2", "3"]);
  assert.deepEqual(board.entries.map(({ user_id }) => user_id), ["ann", "bob", "cy", "dee"]);
  assert.equal(board.from, 1);
});

test("a board whose pages never end is left at the bound", async () => {
  let asked = 0;
  const endless = async () => {
    asked += 1;
    return { ...BOARD, next_cursor: "on", entries: Array(1000).fill({ user_id: "ann" }) };
  };
  assert.equal((await wholeBoard(endless)).entries.length, 10_000);
  assert.equal(asked, 10);
});
