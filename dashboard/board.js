// The board itself: its heading, the podium, the table and the buttons of paging.

import { arrange, byId, heard, make, nameButton, seen, write } from "./element.js";
import { change, count, number, windowDates } from "./format.js";
import { nameOf, pagesOf, WINDOWS } from "./view.js";

// More changes than these at once are another page rather than news.
const FLASHES_MAX = 30;

const panel = byId("panel");
const body = panel.querySelector("tbody");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let rows = new Map();

/** While nothing is known of a view, the one before it stays, dimmed. */
export function showLoading() {
  showMessage("", true);
}

function showMessage(text, busy = false) {
  panel.setAttribute("aria-busy", `${busy}`);
  byId("message").hidden = text === "";
  write(byId("message"), text);
}

function showHeading(name, dates, sums) {
  write(byId("board-name"), name);
  write(byId("window-dates"), dates);
  write(byId("sums"), sums.join(" · "));
}

/** There is no board to show, and this is why. */
export function showProblem(view, text) {
  showHeading(nameOf(view.board), WINDOWS[view.window], []);
  showRows([], view, null);
  showMessage(text);
}

export function showBoard(document, view, me) {
  const { board, window, participants, points, activities, entries } = document;
  showHeading(nameOf(board), windowDates(window), [
    count(participants, "person", "people"), count(points, "point", "points"), count(activities, "activity", "activities"),
  ]);
  write(panel.querySelector("caption"), `${nameOf(board)}, ${WINDOWS[window.name]}`);
  showRows(entries, view, me);
  showPages(document, view);
  showMessage(messageFor(document));
}

function messageFor({ participants, entries, listed, from, window }) {
  if (entries.length > 0) return "";
  if (participants > 0) return `There is no row ${number(from)}: the last one is ${number(listed)}.`;
  const elsewhere = window.name === "all" ? "" : " Or look at a longer window.";
  return `Nobody has points here yet. Post an activity, and the next snapshot shows it.${elsewhere}`;
}

/** The first three of a board; a fourth tells whether the third is tied. */
export function showPodium(entries) {
  const isTied = (entry) => entries.filter(({ rank }) => rank === entry.rank).length > 1;
  arrange(byId("podium"), entries.slice(0, 3).map((entry) =>
    make("li", { "data-rank": entry.rank },
      nameButton(entry.user_id),
      make("p", { class: "points" }, make("b", {}, number(entry.points)), entry.points === 1 ? " point" : " points"),
      make("p", { class: "step" }, heard("Rank "), make("b", {}, `${entry.rank}`), isTied(entry) ? " tied" : ""))));
}

function newRow(user) {
  const name = make("td", {}, nameButton(user), make("span", { class: "mark" }));
  const cells = [make("td"), name, make("td"), make("td"), make("td")];
  for (const cell of cells) cell.setAttribute("role", "cell");
  return { tr: make("tr", { role: "row", "data-user": user }, ...cells), cells };
}

function showRows(entries, view, me) {
  const before = rows;
  const gained = [];
  rows = new Map();
  entries.forEach((entry, i) => {
    const user = entry.user_id;
    const row = before.get(user) ?? newRow(user);
    rows.set(user, row);
    // An entry that stands lower than its rank shares it with the one above.
    const tied = entry.rank < view.from + i || entry.rank === entries[i + 1]?.rank;
    if (entry.points > row.points) gained.push(row.cells[2]);
    fillRow(row, entry, tied);
    const marks = [user === me && "me", user === view.user && "chosen"].filter(Boolean);
    row.tr.className = marks.join(" ");
    write(row.cells[1].lastChild, marks.join(", "));
    row.tr.style.setProperty("--part", entry.points / (entries[0].points || 1));
  });
  panel.classList.toggle("empty", entries.length === 0);
  arrange(body, entries.map(({ user_id }) => rows.get(user_id).tr));
  if (calm.matches || gained.length > FLASHES_MAX) return;
  for (const cell of gained) cell.animate([{ color: "var(--accent)" }, {}], 1500);
}

function fillRow(row, entry, tied) {
  const text = JSON.stringify([entry, tied]);
  if (text === row.text) return;
  Object.assign(row, { text, points: entry.points });
  const [rank, , points, activities, moved] = row.cells;
  const { sign, words } = change(entry.change);
  rank.replaceChildren(number(entry.rank), ...(tied ? [seen(" ="), heard(" tied")] : []));
  write(points, number(entry.points));
  write(activities, number(entry.activities));
  moved.className = entry.change > 0 ? "up" : entry.change < 0 ? "down" : "";
  moved.replaceChildren(...(words ? [seen(sign), heard(words)] : [sign]));
}

function showPages({ entries, from, listed, participants }, view) {
  const range = entries.length === 0 ? "0" : `${number(from)}–${number(from + entries.length - 1)}`;
  const unlisted = participants > listed ? ` (the first ${number(listed)} of ${number(participants)} are listed)` : "";
  write(byId("range"), `${range} of ${number(listed)}${unlisted}`);
  const targets = pagesOf(view, listed);
  for (const button of panel.querySelectorAll("[data-page]")) {
    const focused = button === document.activeElement;
    button.disabled = targets[button.dataset.page] === null;
    // A button that is switched off would lose the focus to nowhere.
    if (focused && button.disabled) panel.focus({ preventScroll: true });
  }
}
