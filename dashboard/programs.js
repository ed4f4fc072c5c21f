// The list of boards, and the programs' shares of all points.

import { arrange, byId, make, write } from "./element.js";
import { number, percent } from "./format.js";
import { nameOf, programOf, writeView } from "./view.js";

const FILTER_FROM = 13;
const SHARES_MAX = 8;

const list = byId("programs").querySelector("ul");
const filter = byId("program-filter");
const items = new Map();

const shareOf = (points, all) => (all === 0 ? 0 : points / all);

/** The programs with the most points, and the rest: `[{name, points, share}]`. */
export function sharesOf([global, ...programs]) {
  const best = programs.filter(({ points }) => points > 0).slice(0, SHARES_MAX);
  const shares = best.map(({ board, points }) => ({ name: nameOf(board), points }));
  const rest = best.reduce((left, { points }) => left - points, global.points);
  if (rest > 0) shares.push({ name: "others", points: rest });
  return shares.map((share) => ({ ...share, share: shareOf(share.points, global.points) }));
}

function newItem(board) {
  const points = make("span", { class: "points" });
  const link = make("a", {}, make("span", { class: "name" }, nameOf(board)), " ", points);
  link.dataset.board = board;
  return { item: make("li", {}, link), link, points };
}

export function showPrograms({ boards }, view) {
  for (const { board, points } of boards) {
    if (!items.has(board)) items.set(board, newItem(board));
    const item = items.get(board);
    write(item.points, `${number(points)} · ${percent(shareOf(points, boards[0].points))}`);
    item.link.href = writeView({ ...view, board, from: 1 }) || "?";
    item.link.ariaCurrent = board === view.board ? "page" : null;
  }
  arrange(list, boards.map(({ board }) => items.get(board).item));
  arrange(byId("program-ids"), boards.slice(1).map(({ board }) => make("option", { value: programOf(board) })));
  filter.hidden = boards.length - 1 < FILTER_FROM;
  showFiltered();
}

/** The points of another window are worse than none. */
export function forgetPoints() {
  for (const { points } of items.values()) write(points, "");
}

function showFiltered() {
  const text = filter.hidden ? "" : filter.value.trim().toLowerCase();
  for (const [board, { item }] of items) item.hidden = !nameOf(board).toLowerCase().includes(text);
}

filter.addEventListener("input", showFiltered);
