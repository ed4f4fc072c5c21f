import { onDemand } from "./demand.js";
import { arrange, byId, heard, make, nameButton, otherCase, portray, say, seen, write } from "./element.js";
import { change, number, unit, windowDates } from "./format.js";
import { whichIsMyTeam, whoIsMe } from "./me.js";
import { texts } from "./texts.js";
import { learnTitle, nameOf, pagesOf, programOf, START, TEAMS, writeView } from "./view.js";

const panel = byId("panel");
const body = panel.querySelector("tbody");
const rows = [];

let moves = null;
/** What shows the changes of a newer board: there is nothing to show before the second one. */
export const loadMoves = onDemand("./moves.js", (module) => {
  moves = module;
}, "moves.css");

// The previous view stays, dimmed, until the new one loads.
export function showLoading(view, listed) {
  showName(view.board);
  say("message", "");
  showPages(view, listed);
}

function showName(board) {
  say("board-name", nameOf(board));
  byId("board-name").title = nameOf(board);
}

function showHeading(board, dates, sums) {
  showName(board);
  say("dates", dates);
  say("sums", sums);
}

export function showProblem(view, text, otherCaseIds) {
  showHeading(view.board, texts.windows[view.window], "");
  showRows([], view, false);
  byId("pages").hidden = true;
  byId("message").replaceChildren(text, ...otherCase(otherCaseIds, (id) => boardLink(view, id)));
}

function boardLink(view, id) {
  const board = `program:${programOf(id) ?? id}`;
  const link = make("a", { href: writeView({ ...view, board, from: START.from }) }, nameOf(board));
  link.dataset.board = board;
  return link;
}

/** A team as a row of a board: its score in place of points, its members of activities, its points of the change. */
export function teamRow({ team_id, title, rank, score, points, members }) {
  learnTitle(`team:${team_id}`, title);
  return { rank, user_id: team_id, name: title, points: score, activities: members, of: texts.member, together: points };
}

/** `isNewer` says that the page shows an earlier snapshot of the same view. */
export function showBoard(document, view, isNewer) {
  const { board = TEAMS, title, window, period, participants, points, activities, entries, team_score } = document;
  if (title !== undefined) learnTitle(board, title);
  const isOfTeams = board === TEAMS;
  const sums = [(isOfTeams ? texts.teamCount : texts.people)(participants), texts.pointCount(points),
    isOfTeams ? texts.scored(team_score) : texts.activityCount(activities), ...stateOf(period)];
  showHeading(board, windowDates(window), sums.join(" · "));
  panel.querySelectorAll("th").forEach((head, i) => write(head, (isOfTeams ? texts.teamHeads : texts.heads)[i]));
  write(panel.querySelector("caption"), `${nameOf(board)}, ${texts.windows[window.name]}`);
  showRows(entries, view, isNewer);
  showRange(document);
  showPages(view, document.listed);
  say("message", messageFor(document));
}

function stateOf(period) {
  if (period === undefined) return [];
  const { state, late, includes_late } = period;
  return [texts.periodStates[state], late?.activities > 0 && texts.late(late.activities), includes_late && texts.includesLate].filter(Boolean);
}

function messageFor({ participants, entries, listed, from, window, period }) {
  if (entries.length > 0) return "";
  if (participants > 0) return texts.noRow(from, listed);
  if (period) return texts.emptyPeriod;
  return window.name === "all" ? texts.emptyBoard : `${texts.emptyBoard} ${texts.longerWindow}`;
}

const scaleBars = (points) => byId("board").style.setProperty("--leader", points);

/** The bars of all rows are parts of the leader's: until it is known there are none. */
export const hideBars = () => scaleBars(Number.MAX_SAFE_INTEGER);

/** The fourth entry shows whether the third is tied. */
export function showPodium(entries) {
  scaleBars(Math.max(1, entries[0]?.points ?? 0));
  const isTied = (entry) => entries.filter(({ rank }) => rank === entry.rank).length > 1;
  arrange(byId("podium"), entries.slice(0, 3).map((entry) => {
    const place = make("li", { "data-rank": entry.rank },
      nameButton(entry),
      make("p", { class: "points" }, make("b", {}, number(entry.points)), " ", unit(entry.points, ...texts.point)),
      make("p", { class: "step" }, heard(texts.heads[0]), " ", make("b", {}, number(entry.rank)), isTied(entry) ? ` ${texts.tied}` : ""));
    portray(place, entry);
    return place;
  }));
}

function newRow() {
  const name = make("td", {}, nameButton({ user_id: "" }), " ", make("span", { class: "mark" }), " ", make("span", { class: "id" }));
  const cells = [make("td"), name, make("td"), make("td"), make("td")];
  for (const cell of cells) cell.setAttribute("role", "cell");
  const tr = make("tr", { role: "row" }, ...cells);
  body.append(tr);
  return { tr, cells };
}

// Rows stay in place and change their text: moving 1000 rows takes 0.5 s.
function showRows(entries, view, isNewer) {
  moves?.endMoves();
  const showMoves = isNewer && moves ? moves.noteRows(rows) : () => {};
  const focused = body.querySelector(":focus")?.dataset.choose;
  entries.forEach((entry, i) => {
    rows[i] ??= newRow();
    // A rank smaller than the row number is shared with the row above.
    const tied = entry.rank < view.from + i || entry.rank === entries[i + 1]?.rank;
    const isOwn = view.board === TEAMS ? `team:${entry.user_id}` === whichIsMyTeam() : entry.user_id === whoIsMe();
    const marks = [isOwn && (view.board === TEAMS ? "team" : "me"), entry.user_id === view.user && "chosen"].filter(Boolean);
    rows[i].entry = entry;
    fillRow(rows[i], entry, tied, marks);
  });
  for (const { tr } of rows.splice(entries.length)) tr.remove();
  showMoves();
  panel.classList.toggle("empty", entries.length === 0);
  if (!focused || body.querySelector(":focus")?.dataset.choose === focused) return;
  (body.querySelector(`[data-choose="${CSS.escape(focused)}"]`) ?? panel).focus({ preventScroll: true });
}

function fillRow(row, entry, tied, marks) {
  const filled = JSON.stringify([entry, tied, marks]);
  if (filled === row.filled) return;
  row.filled = filled;
  row.tr.className = marks.join(" ");
  // Someone anonymous has no id.
  if (entry.user_id === undefined) delete row.tr.dataset.user;
  else row.tr.dataset.user = entry.user_id;
  row.tr.style.setProperty("--points", entry.points);
  const [rank, name, points, activities, moved] = row.cells;
  const [whose, mark, id] = name.children;
  const shown = nameButton(entry, whose);
  if (shown !== whose) whose.replaceWith(shown);
  portray(name, entry);
  write(mark, marks.map((each) => texts.marks[each]).join(", "));
  write(id, entry.name === undefined ? "" : entry.user_id);
  const { of = texts.activity, together } = entry;
  const { sign, words } = together === undefined ? change(entry.change) : { sign: number(together), words: "" };
  rank.replaceChildren(number(entry.rank), ...(tied ? [seen(" ="), heard(` ${texts.tied}`)] : []));
  write(points, number(entry.points));
  write(activities, number(entry.activities));
  activities.dataset.unit = ` ${unit(entry.activities, ...of)}`;
  moved.className = entry.change > 0 ? "up" : entry.change < 0 ? "down" : "";
  moved.replaceChildren(...(words ? [seen(sign), heard(words)] : [sign]));
}

function showRange({ entries, from, listed, participants }) {
  const range = entries.length === 0 ? "0" : `${number(from)}–${number(from + entries.length - 1)}`;
  say("range", texts.range(range, listed) + (participants > listed ? ` ${texts.unlisted(listed, participants)}` : ""));
}

// A button that leads nowhere, or not yet, is disabled.
function showPages(view, listed) {
  byId("pages").hidden = false;
  const targets = pagesOf(view, listed);
  for (const button of byId("pages").querySelectorAll("button:not([id])")) {
    const focused = button === document.activeElement;
    button.disabled = targets[button.value] === null;
    // A disabled button would lose the focus.
    if (focused && button.disabled) panel.focus({ preventScroll: true });
  }
}
