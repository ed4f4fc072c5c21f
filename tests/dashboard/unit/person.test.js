import assert from "node:assert/strict";
import { test } from "node:test";
import { hueOf, initialsOf, learn, lettersOf, personOf } from "../../../dashboard/person.js";

test("initials are the first letters of the first and the last word, in every script", () => {
  const check = (name, ...expected) => assert.deepEqual(initialsOf({ user_id: "u-1", name }).split("\u200c"), expected, name);
  check("Ann Smith", "A", "S");
  check("María José Nuñez-Ibáñez", "M", "N");
  check("Madonna", "M");
  check("ludwig van beethoven", "l", "b");
  check("Иван Петров", "И", "П");
  check("يوسف حداد", "ي", "ح");
  check("נועה בן דוד", "נ", "ד");
  check("महेश शर्मा", "म", "श");
  check("किरण", "कि");
  check("田中 太郎", "田", "太");
  check("김민준", "김");
  check("𠮷野 家", "𠮷", "家");
  // Accents stay with their letter.
  check("e\u0301va o\u0308z", "e\u0301", "o\u0308");
  check("“Al” O'Neil (Sales)", "A", "S");
  check("Ann –", "A");
  check("1st 2nd", "1", "2");
  check("❤️ 🏆", "❤️", "🏆");
});

test("someone without a name has the initial of the id, and someone anonymous has none", () => {
  assert.equal(initialsOf({ user_id: "ann.lee@example.com" }), "a");
  assert.equal(initialsOf({ user_id: "-eve" }), "e");
  assert.equal(initialsOf({ user_id: "_" }), "_");
  assert.equal(initialsOf({}), "");
});

test("where the browser cannot tell graphemes, initials are whole characters", async (t) => {
  const { Segmenter } = Intl;
  t.after(() => { Intl.Segmenter = Segmenter; });
  Intl.Segmenter = undefined;
  const old = await import("../../../dashboard/person.js?old");
  assert.equal(old.initialsOf({ name: "𠮷野 Éva" }), "𠮷\u200cÉ");
  assert.deepEqual(old.lettersOf("a🏆"), ["a", "🏆"]);
});

test("letters are what readers see as one", () => {
  assert.deepEqual(lettersOf("e\u0301🇩🇪x"), ["e\u0301", "🇩🇪", "x"]);
});

test("a colour is an angle, and that of an id stays the same", () => {
  const hues = Array.from({ length: 500 }, (_, at) => hueOf(`user-${at}`));
  assert.ok(hues.every((hue) => Number.isInteger(hue) && hue >= 0 && hue < 360));
  assert.ok(new Set(hues).size > 100, "people differ");
  assert.equal(hueOf("ann"), hueOf("ann"));
  assert.equal(hueOf(undefined), 0);
});

test("a name is remembered until a row comes without it", () => {
  assert.deepEqual(personOf("ann"), { user_id: "ann", name: undefined });
  learn({ entries: [{ user_id: "ann", name: "Ann Smith" }, { rank: 2 }] });
  learn({ entry: { user_id: "bob", name: "Bob" }, above: [{ user_id: "cy", name: "Cy" }], below: [{ user_id: "dee", name: "Dee" }] });
  learn({ boards: [] });
  assert.deepEqual(["ann", "bob", "cy", "dee"].map((id) => personOf(id).name), ["Ann Smith", "Bob", "Cy", "Dee"]);
  learn({ entries: [{ user_id: "ann" }] });
  assert.equal(personOf("ann").name, undefined);
  assert.equal(personOf(undefined).name, undefined);
});
