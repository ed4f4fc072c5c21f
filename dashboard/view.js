// A view is what the page shows: a board, a window, the rows from..from+rows and perhaps a user.
// It lives in the address of the page, so that it can be shared and the back button works.

export const WINDOWS = { day: "Today", week: "This week", month: "This month", all: "All time" };
export const ROWS = [25, 100, 1000];
export const START = { board: "global", window: "all", from: 1, rows: 100, user: null };

// The API lists no more entries of a board than this.
const FROM_MAX = 10_000;
const ID = /^[A-Za-z0-9._@-]{1,64}$/;
const PROGRAM = "program:";

export const programOf = (board) => (board.startsWith(PROGRAM) ? board.slice(PROGRAM.length) : null);
export const nameOf = (board) => programOf(board) ?? "All programs";
export const titleOf = (view) => `${WINDOWS[view.window]} · ${nameOf(view.board)} · Podium`;

function isBoard(board) {
  return board === "global" || ID.test(programOf(board) ?? "");
}

function isFrom(from) {
  return /^[1-9]\d*$/.test(from) && Number(from) <= FROM_MAX;
}

export function parseView(search) {
  const query = new URLSearchParams(search);
  const take = (name, isKnown) => {
    const value = query.get(name);
    return value !== null && isKnown(value) ? value : START[name];
  };
  return {
    board: take("board", isBoard),
    window: take("window", (window) => Object.hasOwn(WINDOWS, window)),
    from: Number(take("from", isFrom)),
    rows: Number(take("rows", (rows) => ROWS.map(String).includes(rows))),
    user: take("user", (user) => ID.test(user)),
  };
}

/** The query string of a view, empty for the one that the page starts with. */
export function writeView(view) {
  const query = new URLSearchParams();
  for (const [name, usual] of Object.entries(START)) {
    if (view[name] !== usual) query.set(name, view[name]);
  }
  return query.size === 0 ? "" : `?${query}`;
}

export function userPath(board, user, query) {
  return `/v1/boards/${encodeURIComponent(board)}/users/${encodeURIComponent(user)}?${query}`;
}

export function searchPath(view, text) {
  const query = new URLSearchParams({ window: view.window, search: text, limit: 10 });
  return `/v1/boards/${encodeURIComponent(view.board)}/users?${query}`;
}

/** The documents that make up a view, by the part of the page that shows them; null where there is none. */
export function documentsOf(view) {
  const board = `/v1/boards/${encodeURIComponent(view.board)}`;
  const window = `window=${view.window}`;
  const from = view.from === 1 ? "" : `&from=${view.from}`;
  return {
    board: `${board}?${window}&limit=${view.rows}${from}`,
    // A fourth tells whether the third is tied.
    leaders: view.from === 1 ? null : `${board}?${window}&limit=4`,
    programs: `/v1/boards?${window}`,
    history: `${board}/history?${window}`,
    user: view.user === null ? null : userPath(view.board, view.user, `${window}&around=3`),
  };
}

/** Where the buttons of paging lead; null for one that leads nowhere. */
export function pagesOf({ from, rows }, listed) {
  const last = Math.max(1, Math.floor((listed - 1) / rows) * rows + 1);
  const forward = from + rows <= listed;
  return {
    First: from > 1 ? 1 : null,
    Previous: from > 1 ? Math.max(1, Math.min(from - rows, last)) : null,
    Next: forward ? from + rows : null,
    Last: forward ? last : null,
  };
}

/** With another number of rows, the page that holds the row which was the first. */
export function withRows(view, rows) {
  return { ...view, rows, from: Math.floor((view.from - 1) / rows) * rows + 1 };
}
