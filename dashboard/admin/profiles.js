// Profiles in files: what a row says of a person, checked as the API does, and what an import would change. Pure.

import { csvText, isConverted } from "../export.js";
import { count } from "../format.js";
import { isUser } from "../view.js";
import { parseCsv } from "./csv.js";

export const COLUMNS = ["user_id", "display_name", "team", "visibility"];
export const ROWS_MAX = 20_000;
const NAME_CHARACTERS_MAX = 80;
const VISIBILITIES = ["listed", "anonymous", "hidden"];
const CASES_SHOWN_MAX = 20;

export const WRONG_ID = "cannot be an id: use 1 to 128 ASCII letters, digits and punctuation except \" \\ < >, and do not begin with ~";

// As in crates/domain/src/person.rs: default ignorable characters but variation selectors, and separators of lines.
const INVISIBLE = /[\u2028\u2029\ufff9-\ufffb]|(?![\ufe00-\ufe0f\ufff0-\ufff8])\p{Default_Ignorable_Code_Point}/u;

// An export puts a ' in front of what a spreadsheet would convert. In half of the world ; separates cells.
const guarded = (text) => text.split(";").map((piece) => (isConverted(piece) ? `'${piece}` : piece)).join(";");
const unguarded = (cell) => cell.split(";").map((piece) => (piece.startsWith("'") && isConverted(piece.slice(1)) ? piece.slice(1) : piece)).join(";");

/** A file of these profiles, in the order of ids. */
export function fileOf(people) {
  const rows = [...people].sort((a, b) => (a.user_id < b.user_id ? -1 : 1));
  return csvText([COLUMNS, ...rows.map((person) => COLUMNS.map((name) => guarded(person[name] ?? "")))]);
}

function faultOf({ user_id, display_name, team, visibility }) {
  const characters = [...(display_name ?? "")].length;
  if (!isUser(user_id)) return `user_id ${user_id === "" ? "is empty" : WRONG_ID}`;
  if (/\p{Cc}/u.test(display_name)) return "display_name has a control character; write one line of text";
  if (INVISIBLE.test(display_name)) return "display_name has an invisible character; leave it out";
  if (characters > NAME_CHARACTERS_MAX) return `display_name has ${characters} characters; at most ${NAME_CHARACTERS_MAX} are allowed`;
  if (team !== null && !isUser(team)) return `team ${WRONG_ID}`;
  if (!VISIBILITIES.includes(visibility)) return `visibility is “${visibility}”; use listed, anonymous or hidden`;
  return null;
}

function checkColumns(columns) {
  const unknown = columns.filter((name) => !COLUMNS.includes(name));
  if (unknown.length > 0) throw new Error(`The first row names columns that no person has: ${unknown.join(", ")}. The columns are ${COLUMNS.join(", ")}.`);
  const repeated = columns.find((name, at) => columns.indexOf(name) !== at);
  if (repeated) throw new Error(`Two columns are named ${repeated}. Leave one of them.`);
  if (!columns.includes(COLUMNS[0])) throw new Error(`No column is named ${COLUMNS[0]}, which says whose profile a row is.`);
}

/**
 * The profiles in the text of a CSV file: `people`, each with its `line`, the rows that are `refused`, each with line and
 * reason, and the columns that are `missing`. Throws if the text is no such file.
 */
export function peopleOf(text) {
  const { columns, rows } = parseCsv(text);
  checkColumns(columns);
  if (rows.length > ROWS_MAX) throw new Error(`The file has more than ${ROWS_MAX} rows. Divide it, or use the command podium people import.`);
  const people = [];
  const refused = [];
  const lines = new Map();
  for (const { line, cells } of rows) {
    const value = (name) => unguarded(cells[columns.indexOf(name)] ?? "");
    const person = {
      user_id: value("user_id"),
      display_name: value("display_name").normalize("NFC") || null,
      team: value("team") || null,
      visibility: value("visibility") || "listed",
    };
    const earlier = lines.get(person.user_id);
    let reason = faultOf(person);
    if (cells.length !== columns.length) reason = `the row has ${count(cells.length, "cell")} and there are ${count(columns.length, "column")}; is a quote missing, or is there one too many?`;
    else if (reason === null && earlier !== undefined) reason = `${person.user_id} is in line ${earlier} already; leave one of them`;
    if (reason !== null) {
      refused.push({ line, reason });
      continue;
    }
    lines.set(person.user_id, line);
    people.push({ line, person });
  }
  return { people, refused, missing: COLUMNS.filter((name) => !columns.includes(name)) };
}

/** What an import would do to the directory, a map by id: which profiles are new, changed and unchanged. */
export function compare(people, directory) {
  const plan = { new: [], changed: [], unchanged: [] };
  for (const row of people) {
    const kept = directory.get(row.person.user_id);
    const isSame = kept !== undefined && COLUMNS.every((name) => kept[name] === row.person[name]);
    plan[kept === undefined ? "new" : isSame ? "unchanged" : "changed"].push(row);
  }
  return plan;
}

/** Ids of the file that differ from others only in case, as groups. They are different people. */
export function alikeIn(people, directory) {
  const groups = new Map(people.map(({ person }) => [person.user_id.toLowerCase(), new Set()]));
  for (const id of [...people.map(({ person }) => person.user_id), ...directory.keys()]) groups.get(id.toLowerCase())?.add(id);
  return [...groups.values()].filter((ids) => ids.size > 1).slice(0, CASES_SHOWN_MAX).map((ids) => [...ids]);
}
