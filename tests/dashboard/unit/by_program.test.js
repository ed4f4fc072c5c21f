import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import { pointsOn } from "../../../dashboard/by_program.js";

const programs = (count) => Array.from({ length: count }, (_, i) => `program:p${i}`);
const refuse = (code) => { throw Object.assign(new Error(code), { code }); };

test("of many programs the first twelve are asked, four at a time, and sorted by points", async () => {
  let running = 0;
  let most = 0;
  const asked = [];
  const { found, failed, left } = await pointsOn(programs(20), async (board) => {
    asked.push(board);
    running += 1;
    most = Math.max(most, running);
    await new Promise(setImmediate);
    running -= 1;
    return { entry: { points: Number(board.slice("program:p".length)) } };
  });
  assert.deepEqual(asked.sort(), programs(12).sort());
  assert.equal(most, 4);
  assert.deepEqual(found.map(({ points }) => points), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  assert.deepEqual([failed, left], [0, 8]);
});

test("no points in a program are no failure, and a failure is told", async () => {
  const { found, failed, left } = await pointsOn(programs(3), async (board) => {
    if (board === "program:p0") refuse("user_not_on_board");
    if (board === "program:p1") refuse(undefined);
    return { entry: { points: -5 } };
  });
  assert.deepEqual([found, failed, left], [[{ board: "program:p2", points: -5 }], 1, 0]);
});
