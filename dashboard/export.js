// What is shown, as a file.

import { dateIn } from "./format.js";
import { programOf } from "./view.js";

const COLUMNS = ["board", "window", "first_day", "last_day", "time_zone", "generation", "generated_at", "rank", "user_id", "points", "activities", "change"];

/** A cell by RFC 4180. A spreadsheet would take a text that begins like a formula for one. */
export function cell(value) {
  if (value === null) return "";
  if (typeof value === "number") return `${value}`;
  const text = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvOf({ board, window, generation, freshness, entries }) {
  const heading = [board, window.name, window.first_day, window.last_day, window.time_zone, generation, freshness.generated_at];
  const lines = entries.map(({ rank, user_id, points, activities, change }) => [...heading, rank, user_id, points, activities, change]);
  return [COLUMNS, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

export function jsonOf({ board, window, generation, freshness, from, participants, entries }) {
  const document = { board, window, generation, generated_at: freshness.generated_at, participants, from, entries };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** "podium-onboarding-week-2026-11-16.csv": the first day of the window, or for all time the day of the snapshot. */
export function fileName({ board, window, freshness }, extension) {
  const day = window.first_day ?? dateIn(Date.parse(freshness.generated_at), window.time_zone);
  return `podium-${programOf(board) ?? board}-${window.name}-${day}.${extension}`;
}

export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has to have begun reading it.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
