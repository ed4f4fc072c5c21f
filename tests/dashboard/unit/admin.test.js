import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, write } from "../../../dashboard/admin/address.js";
import { parseCsv } from "../../../dashboard/admin/csv.js";
import { alikeIn, compare, fileOf, peopleOf, ROWS_MAX } from "../../../dashboard/admin/profiles.js";

test("rows of CSV", () => {
  const check = (text, columns, ...rows) => assert.deepEqual(parseCsv(text), { columns, rows: rows.map(([line, ...cells]) => ({ line, cells })) }, text);
  check("a,b\n1,2\n", ["a", "b"], [2, "1", "2"]);
  // The last line may lack its end, and rows without content are left out.
  check("\r\na , b,,\r\n\r\n 1 ,2,\r\n,\r\n3", ["a", "b"], [4, "1", "2"], [6, "3"]);
  check('a,b\n"1,\n""x""",""""\n"",2\n', ["a", "b"], [2, '1,\n"x"', '"'], [4, "", "2"]);
  check('a,b\nO"Neil,"x" y\n', ["a", "b"], [2, 'O"Neil', "x y"]);
  check('"a,b,c";d\n1;2\n', ["a,b,c", "d"], [2, "1", "2"]);
  check("a\tb\n1\t2,3\n", ["a", "b"], [2, "1", "2,3"]);
  check("sep=|\na|b\n1|2\n", ["a", "b"], [3, "1", "2"]);
  assert.throws(() => parseCsv('a\n1\n"2\n3'), /^Error: A quote in the row that begins in line 3 is never closed\.$/);
  for (const text of ["", "\n", " ,\n"]) assert.throws(() => parseCsv(text), /The file is empty/);
});

test("profiles of a file", () => {
  const check = (text, ...expected) => {
    const { people, refused } = peopleOf(text);
    const told = [
      ...people.map(({ line, person }) => [line, Object.values(person).map((value) => value ?? "-").join(" | ")]),
      ...refused.map(({ line, reason }) => [line, `! ${reason}`]),
    ];
    assert.deepEqual(told.sort(([a], [b]) => a - b), expected, text);
  };
  check("user_id,display_name,team,visibility\nann,Zoe\u0308,ops,\n'0012,'=1+1,'-,hidden\nbob,'t Hooft,,anonymous\n",
    [2, "ann | Zoë | ops | listed"], [3, "0012 | =1+1 | - | hidden"], [4, "bob | 't Hooft | - | anonymous"]);
  check("visibility,user_id\nhidden,a;b\n", [2, "a;b | - | - | hidden"]);
  check(`user_id,display_name\na,${"é".repeat(80)}\nb,${"é".repeat(81)}\nc,a\u202eb\nd,a\u0007b\ne,❤\ufe0f\n`,
    [2, `a | ${"é".repeat(80)} | - | listed`],
    [3, "! display_name has 81 characters; at most 80 are allowed"],
    [4, "! display_name has an invisible character; leave it out"],
    [5, "! display_name has a control character; write one line of text"],
    [6, "e | ❤\ufe0f | - | listed"]);
  check("user_id,team\n,x\nann,a b\nann,a\nAnn,a\nann,a\n",
    [2, "! user_id is empty"],
    [3, '! team cannot be an id: use 1 to 128 ASCII letters, digits and punctuation except " \\ < >, and do not begin with ~'],
    [4, "ann | - | a | listed"], [5, "Ann | - | a | listed"],
    [6, "! ann is in line 4 already; leave one of them"]);
  check("user_id,team\nann\n", [2, "! the row has 1 cell and there are 2 columns; is a quote missing, or is there one too many?"]);

  assert.deepEqual(peopleOf("user_id\nann\n").missing, ["display_name", "team", "visibility"]);
  for (const [text, reason] of [
    ["user_id,e-mail\n", /columns that no person has: e-mail\./],
    ["user_id,team,team\n", /Two columns are named team\./],
    ["team\n", /No column is named user_id/],
    [`user_id\n${"u\n".repeat(ROWS_MAX + 1)}`, /more than 20000 rows\. Divide it/],
  ]) assert.throws(() => peopleOf(text), reason);
});

test("what an import would change", () => {
  const { people } = peopleOf("user_id,display_name,team\nann,Ann,red\nbob,Bob,\ncy,,blue\nANN,,\n");
  const directory = new Map([
    ["ann", { user_id: "ann", display_name: "Ann", team: "red", visibility: "listed" }],
    ["bob", { user_id: "bob", display_name: "Bob", team: null, visibility: "hidden" }],
    ["Bob", { user_id: "Bob", display_name: null, team: null, visibility: "listed" }],
  ]);
  const ids = Object.entries(compare(people, directory)).map(([what, rows]) => `${what}: ${rows.map(({ person }) => person.user_id)}`);
  assert.deepEqual(ids, ["new: cy,ANN", "changed: bob", "unchanged: ann"]);
  assert.deepEqual(alikeIn(people, directory), [["ann", "ANN"], ["bob", "Bob"]]);
});

test("an export is a file that changes nothing", () => {
  const people = [
    { user_id: "bob", display_name: 'Lee, Bob "B"', team: null, visibility: "anonymous" },
    { user_id: "0012", display_name: "=1+1", team: "-", visibility: "listed" },
    { user_id: "a;=b;7", display_name: "'t Hooft", team: "2026-11-25", visibility: "hidden" },
    { user_id: "ann", display_name: "Ólafur", team: "ops", visibility: "listed" },
  ];
  const file = fileOf(people);
  assert.equal(file, [
    "\ufeffuser_id,display_name,team,visibility",
    "'0012,'=1+1,'-,listed",
    "a;'=b;'7,''t Hooft,'2026-11-25,hidden",
    "ann,Ólafur,ops,listed",
    'bob,"Lee, Bob ""B""",,anonymous',
    "",
  ].join("\r\n"));
  const read = peopleOf(file.slice(1));
  const { unchanged } = compare(read.people, new Map(people.map((person) => [person.user_id, person])));
  assert.deepEqual([unchanged.length, read.refused], [people.length, []]);
});

test("addresses", () => {
  for (const [hash, tab, id] of [
    ["#people", "people", null], ["#teams&id=", "teams", ""], ["#seasons", "seasons", null], ["#corrections&id=auth0%7C5f%267c", "corrections", "auth0|5f&7c"], ["#programs&id=a+b", "programs", "a b"],
  ]) {
    assert.deepEqual(parse(hash), { tab, id });
    assert.equal(write(tab, id), hash);
  }
  for (const hash of ["", "#", "#nothing", "#__proto__"]) assert.deepEqual(parse(hash), { tab: "people", id: null });
});
