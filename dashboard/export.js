import { get } from "./api.js";
import { byId, make, say } from "./element.js";
import { texts } from "./texts.js";
import { boardPath, programOf, TEAMS, timesOf } from "./view.js";

const HEADING = ["board", "window", "first_day", "last_day", "time_zone", "generation", "generated_at"];
const ENTRY = ["rank", "user_id", "name", "points", "activities", "change"];
const TEAM = ["rank", "team_id", "title", "score", "points", "members"];
const TEXTS = ["user_id", "name", "team_id", "title"];

/** What serve lists at most. */
const ROWS_MAX = 10_000;

const MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";
// Ids and names that a spreadsheet would convert: formulas, numbers (0012, $5), dates (2026-11-25, MAR1), times, truth
// values, errors (#N/A). With those that begin with ' the rule can be reversed.
const CONVERTED = [
  /^['#=+\-@＝＋－＠]/,
  /^[$(.]*\d[\d.,:/%)\-+eapm]*$/i,
  new RegExp(`^(\\d{1,2}[./-]?${MONTH}|${MONTH}[a-z]*[./-]?\\d)`, "i"),
  /^(true|false)$/i,
];

export const isConverted = (text) => CONVERTED.some((form) => form.test(text));
const guarded = (text = "") => (isConverted(text) ? `'${text}` : text);

/** An RFC 4180 cell; a leading ' keeps spreadsheets from reading text as a formula. */
export function cell(value) {
  if (value === null) return "";
  if (typeof value === "number") return `${value}`;
  // In half of the world ; separates cells.
  const text = value.replace(/(^|;)(?=[=+\-@＝＋－＠])/g, "$1'");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvText(lines) {
  const csv = lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
  // Without the mark, spreadsheets do not read names as UTF-8.
  return /[^\0-\x7f]/.test(csv) ? `\ufeff${csv}` : csv;
}

/** All listed rows of one generation. `load(cursor)` resolves to a page. */
export async function wholeBoard(load) {
  let page = await load(null);
  const board = { ...page, entries: [...page.entries] };
  while (page.next_cursor !== null && page.entries.length > 0 && board.entries.length < ROWS_MAX) {
    page = await load(page.next_cursor);
    board.entries.push(...page.entries);
  }
  return board;
}

export function csvOf({ board = TEAMS, window, generation, freshness, entries }) {
  const columns = board === TEAMS ? TEAM : ENTRY;
  const heading = [board, window.name, window.first_day, window.last_day, window.time_zone, generation, freshness.generated_at];
  const lines = entries.map((entry) => [...heading, ...columns.map((name) => (TEXTS.includes(name) ? guarded(entry[name]) : entry[name]))]);
  return csvText([[...HEADING, ...columns], ...lines]);
}

export function jsonOf({ board = TEAMS, window, generation, freshness, from, participants, entries }) {
  const document = { board, window, generation, generated_at: freshness.generated_at, participants, from, entries };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** How a file is made, by its extension. */
const KINDS = { csv: { type: "text/csv", write: csvOf }, json: { type: "application/json", write: jsonOf } };

/** All time has no first day, so its files use the day of the snapshot. */
export function fileName({ board = TEAMS, window, freshness }, extension) {
  const day = window.first_day ?? freshness.generated_at.slice(0, 10);
  const name = (programOf(board) ?? board).replace(/[^\w.@-]/g, "_");
  return `podium-${name}-${window.name}-${day}.${extension}`;
}

export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  // By then the browser has started to read it.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// All rows of a view's board, page by page of one generation.
const exportPath = (view, cursor) =>
  `${boardPath(view.board)}?${timesOf(view)}&limit=1000${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;

/** Downloads the board of a view, as the file that the button names. One at a time. */
export async function saveAs(button, view) {
  const buttons = Object.keys(KINDS).map(byId);
  if (button.disabled) return;
  for (const each of buttons) each.disabled = true;
  say("saved", texts.downloading);
  try {
    const board = await wholeBoard(async (cursor) => (await get(exportPath(view, cursor))).document);
    const { type, write } = KINDS[button.id];
    const name = fileName(board, button.id);
    download(name, type, write(board));
    say("saved", texts.saved(name, board.entries.length));
  } finally {
    for (const each of buttons) each.disabled = false;
    // A disabled button loses the focus.
    if (document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}
