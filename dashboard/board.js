// The board itself: its heading, the podium, the table and the buttons of paging.

import { arrange, byId, heard, make, write } from "./element.js";
import { change, count, number, windowDates } from "./format.js";
import { nameOf, pagesOf, WINDOWS } from "./view.js";

const panel = byId("panel");
const body = document.querySelector("#board tbody");
const rows = new Map();

// More changes than these at once are a new page rather than news.
const FLASHES_MAX = 30;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function showHeading({ board, window, participants, points, activities }) {
  write(byId("board-name"), nameOf(board));
  write(byId("window-dates"), windowDates(window));
  const sums = [count(participants, "person", "people"), count(points, "point", "points"), count(activities, "activity", "activities")];
  write(byId("sums"), sums.join(" · "));
  write(document.querySelector("#board caption"), `${nameOf(board)}, ${WINDOWS[window.name]}`);
}

/** While a view is loaded of which nothing is known yet, the one before it stays, dimmed. */
export function showLoading() {
  panel.setAttribute("aria-busy", "true");
  showMessage(null);
}

export function showMessage(text) {
  const message = byId("message");
  message.hidden = text === null;
  write(message, text ?? "");
}

/** There is no board to show, and this is why. */
export function showProblem(view, text) {
  panel.setAttribute("aria-busy", "false");
  write(byId("board-name"), nameOf(view.board));
  write(byId("window-dates"), WINDOWS[view.window]);
  write(byId("sums"), "");
  showPodium([]);
  rows.clear();
  body.replaceChildren();
  panel.classList.add("empty");
  showMessage(text);
}

export function showBoard(document, view, me) {
  panel.setAttribute("aria-busy", "false");
  panel.classList.toggle("empty", document.entries.length === 0);
  showHeading(document);
  showMessage(messageFor(document));
  showRows(document.entries, view, me);
  showPages(document, view);
}

function messageFor({ participants, entries, listed, from, board, window }) {
  if (entries.length > 0) return null;
  if (participants > 0) return `There is no row ${number(from)}: the last one listed is ${number(listed)}.`;
  const elsewhere = window.name === "all" ? "" : " Or look at a longer window.";
  const what = board === "global" ? "an activity" : `an activity of ${nameOf(board)}`;
  return `Nobody has points here yet. Post ${what}, and the next snapshot shows it.${elsewhere}`;
}

/** The first three of a board; more of them tell whether the third is tied. */
export function showPodium(entries) {
  const isTied = (entry) => entries.filter(({ rank }) => rank === entry.rank).length > 1;
  const steps = entries.slice(0, 3).map((entry) =>
    make("li", { "data-rank": entry.rank, "data-user": entry.user_id },
      nameButton(entry.user_id),
      make("p", { class: "points" }, make("b", {}, number(entry.points)), entry.points === 1 ? " point" : " points"),
      make("p", { class: "step" }, heard("Rank "), make("b", {}, `${entry.rank}`), isTied(entry) ? make("span", {}, " tied") : "")));
  const podium = byId("podium");
  const focused = podium.contains(document.activeElement) ? document.activeElement.textContent : null;
  podium.replaceChildren(...steps);
  steps.find(({ dataset }) => dataset.user === focused)?.querySelector("button").focus({ preventScroll: true });
}

function nameButton(user) {
  return make("button", { type: "button", class: "name", "data-choose": user }, user);
}

function newRow(user) {
  const mark = make("span", { class: "mark" });
  const cells = [make("td"), make("td", {}, nameButton(user), mark), make("td"), make("td"), make("td")];
  for (const cell of cells) cell.setAttribute("role", "cell");
  const row = make("tr", { role: "row", "data-user": user }, ...cells);
  return { row, cells, mark };
}

function showRows(entries, view, me) {
  const most = entries[0]?.points ?? 0;
  const gained = [];
  const before = new Map(rows);
  rows.clear();
  entries.forEach((entry, i) => {
    const user = entry.user_id;
    const kept = before.get(user) ?? newRow(user);
    if (kept.entry?.points < entry.points) gained.push(kept.cells[2]);
    // An entry that stands lower than its rank shares it with the one above.
    const tied = entry.rank < view.from + i || entries[i + 1]?.rank === entry.rank;
    fillRow(kept, entry, tied);
    write(kept.mark, [user === me ? "me" : "", user === view.user ? "chosen" : ""].filter(Boolean).join(", "));
    kept.row.classList.toggle("me", user === me);
    kept.row.classList.toggle("chosen", user === view.user);
    kept.row.style.setProperty("--part", most === 0 ? 0 : entry.points / most);
    rows.set(user, kept);
  });
  arrange(body, entries.map(({ user_id }) => rows.get(user_id).row));
  if (gained.length <= FLASHES_MAX && !calm.matches) {
    for (const cell of gained) cell.animate([{ color: "var(--accent)", fontWeight: 700 }, {}], 1500);
  }
}

function fillRow(kept, entry, tied) {
  const same = kept.entry?.rank === entry.rank && kept.tied === tied && kept.entry.points === entry.points &&
    kept.entry.activities === entry.activities && kept.entry.change === entry.change;
  if (same) return;
  const [rank, , points, activities, moved] = kept.cells;
  rank.replaceChildren(number(entry.rank), ...(tied ? [make("span", { "aria-hidden": "true" }, " ="), heard(" tied")] : []));
  write(points, number(entry.points));
  write(activities, number(entry.activities));
  const { sign, words } = change(entry.change);
  moved.className = entry.change > 0 ? "up" : entry.change < 0 ? "down" : "";
  if (words === "") moved.replaceChildren(sign);
  else moved.replaceChildren(make("span", { "aria-hidden": "true" }, sign), heard(words));
  Object.assign(kept, { entry, tied });
}

function rangeOf({ entries, from, listed, participants }) {
  const range = entries.length === 0 ? `0 of ${number(listed)}`
    : `${number(from)}–${number(from + entries.length - 1)} of ${number(listed)}`;
  if (participants <= listed) return range;
  return `${range} (the first ${number(listed)} of ${number(participants)} are listed)`;
}

function showPages(document, view) {
  write(byId("range"), rangeOf(document));
  byId("rows").value = view.rows;
  const targets = pagesOf(view, document.listed);
  const buttons = byId("pages").querySelectorAll("button[data-page]");
  for (const button of buttons) {
    const target = targets[button.dataset.page];
    const focused = button === globalThis.document.activeElement;
    button.disabled = target === null;
    // A button that is switched off would lose the focus to nowhere.
    if (focused && button.disabled) panel.focus({ preventScroll: true });
  }
}
