import { arrange, byId, make, write } from "./element.js";
import { number } from "./format.js";
import { whichIsMyTeam } from "./me.js";
import { partsOf, partWords } from "./shares.js";
import { isTeam, learnTitle, nameOf, programOf, TEAMS, writeView } from "./view.js";

const FILTER_FROM = 13;

const list = byId("programs").querySelector("ul");
const filter = byId("program-filter");
const items = new Map();

function itemOf(board) {
  if (!items.has(board)) {
    const [name, points] = [make("span", { class: "name" }), make("span", { class: "points" })];
    const link = make("a", {}, name, " ", points);
    link.dataset.board = board;
    items.set(board, { item: make("li", {}, link), link, name, points });
  }
  const { link, name, ...others } = items.get(board);
  link.title = nameOf(board);
  write(name, nameOf(board));
  return { link, ...others };
}

export function showPrograms({ boards, teams }, view) {
  const parts = partsOf(boards);
  const shown = boards.map(({ board, title, points }, i) => {
    learnTitle(board, title);
    const { item, points: place } = itemOf(board);
    // Shares are of all positive points. The sum of all programs may be below these.
    write(place, i === 0 ? number(points) : partWords(parts[i - 1]));
    return item;
  });
  const own = whichIsMyTeam();
  const ofTeams = [teams > 0 && TEAMS, isTeam(view.board) && view.board !== own && view.board].filter(Boolean);
  shown.splice(1, 0, ...ofTeams.map((board) => itemOf(board).item));
  if (own) shown.unshift(itemOf(own).item);
  arrange(list, shown);
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
