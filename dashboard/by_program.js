// A person's points in each program. Only who asks for them loads this module.

import { get } from "./api.js";
import { make } from "./element.js";
import { number } from "./format.js";
import { texts } from "./texts.js";
import { nameOf, START, timesOf, userPath, writeView } from "./view.js";

const PROGRAMS_MAX = 12;
const AT_ONCE = 4;
// Answers that say that there are no points.
const NONE = ["user_not_on_board", "board_not_found", "program_not_published", "period_not_kept"];

/**
 * The points on the first boards of programs, most first: `{found: [{board, points}], failed, left}`, with the numbers
 * of boards that could not be asked, and that were not. `ask(board)` resolves to the document of the person.
 */
export async function pointsOn(programs, ask) {
  const waiting = programs.slice(0, PROGRAMS_MAX);
  const found = [];
  let failed = 0;
  async function askNext() {
    for (let board = waiting.shift(); board !== undefined; board = waiting.shift()) {
      try {
        found.push({ board, points: (await ask(board)).entry.points });
      } catch ({ code }) {
        if (!NONE.includes(code)) failed += 1;
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, askNext));
  found.sort((a, b) => b.points - a.points || a.board.localeCompare(b.board, "en"));
  return { found, failed, left: Math.max(0, programs.length - PROGRAMS_MAX) };
}

const wordsOf = ({ found, failed, left }) => [
  failed > 0 && texts.programsFailed(failed),
  found.length === 0 && failed === 0 && texts.noPrograms,
  left > 0 && texts.programsLeft(PROGRAMS_MAX),
].filter(Boolean).join(" ");

/** Shows the points of the view's person, unless the page shows another view by then. */
export async function showPoints(place, programs, view, isCurrent) {
  const query = `${timesOf(view)}&around=0`;
  const points = await pointsOn(programs, async (board) => (await get(userPath(board, view.user, query))).document);
  if (!isCurrent()) return;
  const items = points.found.map(({ board, points }) => {
    const link = make("a", { href: writeView({ ...view, board, from: START.from }), dir: "auto" }, nameOf(board));
    link.dataset.board = board;
    return make("li", {}, link, " ", make("span", { class: "points" }, number(points)));
  });
  place.replaceChildren(...(items.length > 0 ? [make("ul", {}, ...items)] : []), wordsOf(points));
}
