// The directory: people, teams and programs, as far as they were read from the API.

import { get } from "../api.js";
import { change } from "../change.js";
import { segmentOf } from "../view.js";

const PAGE_RECORDS = 1000;
const PAGES_MAX = 100;

export const ID_FIELDS = { people: "user_id", teams: "team_id", programs: "program_id" };

// `next` is the cursor of the next page, undefined before the first one and null after the last one.
const empty = () => ({ records: new Map(), next: undefined, pages: 0 });
const lists = Object.fromEntries(Object.keys(ID_FIELDS).map((kind) => [kind, empty()]));

const pathOf = (kind, id) => `/v1/${kind}/${segmentOf(id)}`;

/** The records that were read, by id. */
export const recordsOf = (kind) => lists[kind].records;
export const isRead = (kind) => lists[kind].next !== undefined;
export const isWhole = (kind) => lists[kind].next === null;
export const hasMore = (kind) => !isWhole(kind) && lists[kind].pages < PAGES_MAX;

async function readPage(kind, list) {
  const from = list.next === undefined ? "" : `&cursor=${encodeURIComponent(list.next)}`;
  const { document } = await get(`/v1/${kind}?limit=${PAGE_RECORDS}${from}`);
  for (const record of document[kind]) list.records.set(record[ID_FIELDS[kind]], record);
  list.next = document.next_cursor;
  list.pages += 1;
}

export const readMore = (kind) => readPage(kind, lists[kind]);

/** Reads the whole list anew. `onPage` is called with the number of records so far. */
export async function readAll(kind, onPage) {
  const list = empty();
  while (list.next !== null) {
    if (list.pages === PAGES_MAX) throw new Error(`There are more than ${PAGES_MAX * PAGE_RECORDS} ${kind}, too many for this page. Use podium people import or export.`);
    await readPage(kind, list);
    onPage(list.records.size);
  }
  lists[kind] = list;
  return list.records;
}

/** The record as the API has it now, or null. */
export async function read(kind, id) {
  try {
    return (await get(pathOf(kind, id))).document;
  } catch (problem) {
    if (/^(person|team|program)_not_found$/.test(problem.code)) return null;
    throw problem;
  }
}

/** Replaces a record. Resolves to the API's answer, which has the record as it is now. */
export async function put(kind, id, values) {
  const answer = await change("PUT", pathOf(kind, id), values);
  const { outcome, other_case, ...record } = answer;
  recordsOf(kind).set(id, record);
  return answer;
}

export async function remove(kind, id) {
  await change("DELETE", pathOf(kind, id));
  recordsOf(kind).delete(id);
}
