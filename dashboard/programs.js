import { arrange, byId, make, write } from "./element.js";
import { number, percent } from "./format.js";
import { nameOf, programOf, writeView } from "./view.js";

const FILTER_FROM = 13;

const list = byId("programs").querySelector("ul");
const filter = byId("program-filter");
const items = new Map();

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
    write(item.points, `${number(points)} · ${percent(points / (boards[0].points || 1))}`);
    item.link.href = writeView({ ...view, board, from: 1 }) || "?";
    item.link.ariaCurrent = board === view.board ? "page" : null;
  }
  arrange(list, boards.map(({ board }) => items.get(board).item));
  arrange(byId("program-ids"), boards.slice(1).map(({ board }) => make("option", { value: programOf(board) })));
  filter.hidden = boards.length - 1 < FILTER_FROM;
  showFiltered();
}

// Points of another window would mislead.
export function forgetPoints() {
  for (const { points } of items.values()) write(points, "");
}

function showFiltered() {
  const text = filter.hidden ? "" : filter.value.trim().toLowerCase();
  for (const [board, { item }] of items) item.hidden = !nameOf(board).toLowerCase().includes(text);
}

filter.addEventListener("input", showFiltered);
