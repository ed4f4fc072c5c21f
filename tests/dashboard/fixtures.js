// Documents of the API, as a test of the functions holds them to what is served.

import { readFileSync } from "node:fs";

/** A document, with each of its texts replaced by what `words` has for it. */
export function fixture(name, words = {}) {
  const json = readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), "utf8");
  return JSON.parse(json, (_, value) => (typeof value === "string" ? (words[value] ?? value) : value));
}
