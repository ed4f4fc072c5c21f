// A view is what the page shows: rows of a board in a window, and possibly a user. It is kept in
// the URL, so that links and the back button work.

import { texts } from "./texts.js";

const ROWS = [25, 100, 1000];
export const START = { board: "global", window: "week", period: null, from: 1, rows: 100, user: null };

const FROM_MAX = 10_000;
const ID = /^[!#-;=?-[\]-~]{1,128}$/;
const PLAIN = /^(?!\.\.?$)[\w.:@-]+$/;
/** The board that ranks teams. All others rank people. */
export const TEAMS = "teams";

const PREFIX = /^(program|team):(.*)$/;
const FIXED = { global: texts.allPrograms, [TEAMS]: texts.teams };

const idOf = (board) => PREFIX.exec(board)?.[2] ?? null;
export const programOf = (board) => (board.startsWith("program:") ? idOf(board) : null);
export const isTeam = (board) => board.startsWith("team:");

const titles = new Map();

/** Remembers what a program, team or season is called. */
export function learnTitle(board, title) {
  if (title === undefined) titles.delete(board);
  else titles.set(board, title);
}

export const nameOf = (board) => FIXED[board] ?? titles.get(board) ?? idOf(board);
/** What the days of a view are called. A season has a title. */
export const timesName = ({ window, period }) => titles.get(period ?? window) ?? period ?? texts.windows[window];
export const titleOf = (view) => `${timesName(view)} · ${nameOf(view.board)} · ${texts.page}`;

/** Whether the API takes this as a user's id. */
export const isUser = (id) => ID.test(id) && !/^(~|\.\.?$)/.test(id);

const isBoard = (board) => board in FIXED || ID.test(idOf(board) ?? "");
const isFrom = (from) => /^[1-9]\d{0,4}$/.test(from) && from <= FROM_MAX;

/** The window of a period that is over, by the period's name. */
const windowOf = (period) => ({ 7: "month", 8: "week", 10: "day", 22: "season" })[period?.length];

/** Only boards of people have a place for a person. */
export const settled = (view) => (view.board === TEAMS ? { ...view, user: null } : view);

export function parseView(search) {
  const query = new URLSearchParams(search);
  const take = (name, isKnown) => {
    const value = query.get(name);
    return value !== null && isKnown(value) ? value : START[name];
  };
  const period = take("period", (period) => /^\d{4}-(W\d\d|\d\d(-\d\d(\.\.\d{4}-\d\d-\d\d)?)?)$/.test(period));
  return settled({
    board: take("board", isBoard),
    window: windowOf(period) ?? take("window", (window) => Object.hasOwn(texts.windows, window)),
    period,
    from: Number(take("from", isFrom)),
    rows: Number(take("rows", (rows) => ROWS.map(String).includes(rows))),
    user: take("user", (user) => ID.test(user)),
  });
}

/** The query string of a view; empty for the default view. */
export function writeView(view) {
  const query = new URLSearchParams();
  for (const [name, usual] of Object.entries(START)) {
    if (view[name] !== usual) query.set(name, view[name]);
  }
  return query.size === 0 ? "" : `?${query}`;
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** An id as part of a path. Proxies decode %2F and the like, but not ~ and base64url. */
export const segmentOf = (id) =>
  PLAIN.test(id) ? id : `~${base64(id).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] ?? "")}`;

export const boardPath = (board) => `/v1/boards/${board.replace(PREFIX, (_, kind, id) => `${kind}:${segmentOf(id)}`)}`;
export const userPath = (board, user, query) => `${boardPath(board)}/users/${segmentOf(user)}?${query}`;
export const searchPath = ({ board, window }, text) =>
  `${boardPath(board === TEAMS ? "global" : board)}/users?window=${window}&search=${encodeURIComponent(text)}&limit=10`;

export const timesOf = ({ window, period }) => `window=${window}${period === null ? "" : `&period=${period}`}`;

/** The API paths of a view, by the part of the page that shows them. `me` is who looks at it, or null. */
export function documentsOf(view, me = null) {
  const board = boardPath(view.board);
  const [window, times] = [`window=${view.window}`, timesOf(view)];
  const from = view.from === 1 ? "" : `&from=${view.from}`;
  return {
    board: `${board}?${times}&limit=${view.rows}${from}`,
    // The names of the chart's lines, whose users are among the first ten.
    leaders: view.from === 1 ? null : `${board}?${times}&limit=10`,
    programs: `/v1/boards?${window}`,
    history: view.board === TEAMS || view.period !== null ? null : `${board}/history?${window}`,
    user: view.user === null ? null : userPath(view.board, view.user, `${times}&around=3`),
    you: me === null ? null : userPath(view.board === TEAMS ? START.board : view.board, me, `${times}&around=1`),
  };
}

/** The row that each button leads to; null disables it. `listed` is null until it is known. */
export function pagesOf({ from, rows }, listed) {
  const last = listed === null ? from : pageWith(Math.max(1, listed), rows).from;
  const [back, forward] = [from > 1, listed !== null && from + rows <= listed];
  return {
    First: back ? 1 : null,
    Previous: back ? Math.max(1, Math.min(from - rows, last)) : null,
    Next: forward ? from + rows : null,
    Last: forward ? last : null,
  };
}

/** The page of `rows` rows that contains the row `from`. */
export const pageWith = (from, rows) => ({ rows, from: Math.floor((from - 1) / rows) * rows + 1 });
