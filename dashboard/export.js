import { make } from "./element.js";
import { programOf } from "./view.js";

const HEADING = ["board", "window", "first_day", "last_day", "time_zone", "generation", "generated_at"];
const ENTRY = ["rank", "user_id", "points", "activities", "change"];

/** An RFC 4180 cell; the ' keeps spreadsheets from reading text as a formula. */
export function cell(value) {
  if (value === null) return "";
  if (typeof value === "number") return `${value}`;
  const text = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvOf({ board, window, generation, freshness, entries }) {
  const heading = [board, window.name, window.first_day, window.last_day, window.time_zone, generation, freshness.generated_at];
  const lines = entries.map((entry) => [...heading, ...ENTRY.map((name) => entry[name])]);
  return [[...HEADING, ...ENTRY], ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

export function jsonOf({ board, window, generation, freshness, from, participants, entries }) {
  const document = { board, window, generation, generated_at: freshness.generated_at, participants, from, entries };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** All time has no first day, so its files use the day of the snapshot. */
export function fileName({ board, window, freshness }, extension) {
  const day = window.first_day ?? freshness.generated_at.slice(0, 10);
  return `podium-${programOf(board) ?? board}-${window.name}-${day}.${extension}`;
}

export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  // By then the browser has started to read it.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
