// The list of boards, and the programs' shares.

import { arrange, byId, make, write } from "./element.js";
import { number, percent } from "./format.js";
import { nameOf, programOf, writeView } from "./view.js";

const FILTER_FROM = 13;
const SHARES_MAX = 8;

const list = document.querySelector("#programs ul");
const filter = byId("program-filter");
const items = new Map();

export const shareOf = (points, all) => (all === 0 ? 0 : points / all);

/** The programs with the most points and the rest of all points: `[{name, points, share}]`. */
export function sharesOf([global, ...programs]) {
  const best = programs.filter(({ points }) => points > 0).slice(0, SHARES_MAX);
  const shares = best.map(({ board, points }) => ({ name: nameOf(board), points }));
  const rest = global.points - best.reduce((sum, { points }) => sum + points, 0);
  if (rest > 0) shares.push({ name: "others", points: rest });
  return shares.map((share) => ({ ...share, share: shareOf(share.points, global.points) }));
}

function newItem(board) {
  const points = make("span", { class: "points" });
  const link = make("a", { "data-board": board }, make("span", { class: "name" }, nameOf(board)), " ", points);
  return { item: make("li", {}, link), link, points };
}

export function showPrograms({ boards }, view) {
  const all = boards[0].points;
  for (const { board, points } of boards) {
    if (!items.has(board)) items.set(board, newItem(board));
    const share = shareOf(points, all);
    write(items.get(board).points, `${number(points)} · ${percent(share)}`);
    items.get(board).link.style.setProperty("--part", share);
  }
  showCurrent(view);
  arrange(list, boards.map(({ board }) => items.get(board).item));
  filter.hidden = boards.length - 1 < FILTER_FROM;
  showFiltered();
  arrange(byId("program-ids"), boards.slice(1).map(({ board }) => make("option", { value: programOf(board) })));
}

/** Marks the board of the view, and lets every link lead to its board in the window of the view. */
export function showCurrent(view) {
  for (const [board, { link }] of items) {
    link.setAttribute("href", writeView({ ...view, board, from: 1 }) || "?");
    if (board === view.board) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showFiltered() {
  const text = filter.hidden ? "" : filter.value.trim().toLowerCase();
  for (const [board, { item }] of items) {
    item.hidden = !nameOf(board).toLowerCase().includes(text);
  }
}

filter.addEventListener("input", showFiltered);
