// API documents. A Rust test checks that the functions serve exactly these.

import { readFileSync } from "node:fs";

/** A document, with each text that is a key in `words` replaced by its value. */
export function fixture(name, words = {}) {
  const json = readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), "utf8");
  return JSON.parse(json, (_, value) => (typeof value === "string" ? (words[value] ?? value) : value));
}
