import { arrange, byId, make, write } from "./element.js";
import { number } from "./format.js";
import { partsOf, partWords } from "./chart.js";
import { nameOf, programOf, writeView } from "./view.js";

const FILTER_FROM = 13;

const list = byId("programs").querySelector("ul");
const filter = byId("program-filter");
const items = new Map();

function newItem(board) {
  const points = make("span", { class: "points" });
  const link = make("a", { title: nameOf(board) }, make("span", { class: "name" }, nameOf(board)), " ", points);
  link.dataset.board = board;
  return { item: make("li", {}, link), link, points };
}

export function showPrograms({ boards }, view) {
  const parts = partsOf(boards);
  boards.forEach(({ board, points }, i) => {
    if (!items.has(board)) items.set(board, newItem(board));
    // Shares are of all positive points. The sum of all programs may be below these.
    write(items.get(board).points, i === 0 ? number(points) : partWords(parts[i - 1]));
  });
  arrange(list, boards.map(({ board }) => items.get(board).item));
  arrange(byId("program-ids"), boards.slice(1).map(({ board }) => make("option", { value: programOf(board) })));
  filter.hidden = boards.length - 1 < FILTER_FROM;
  showFiltered();
  showCurrent(view);
}

/** Marks the board of the view, and scrolls the list to it when it becomes another one. */
export function showCurrent(view) {
  for (const [board, { link }] of items) {
    const isNew = board === view.board && link.ariaCurrent === null;
    link.href = writeView({ ...view, board, from: 1 }) || "?";
    link.ariaCurrent = board === view.board ? "page" : null;
    if (isNew) reveal(link);
  }
}

// Scrolls the list only: scrollIntoView would also scroll the page.
function reveal(link) {
  const [outer, inner] = [list.getBoundingClientRect(), link.getBoundingClientRect()];
  list.scrollBy(inner.left - outer.left - (outer.width - inner.width) / 2, inner.top - outer.top - (outer.height - inner.height) / 2);
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
