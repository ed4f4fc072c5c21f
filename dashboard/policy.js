// What the scoring policy says of kinds of activities, in words.

import { count, number } from "./format.js";

/** The version in force; before the first one, the first one. */
export const versionAt = (versions, now) => versions.findLast(({ effective_from }) => Date.parse(effective_from) <= now) ?? versions[0];

// "task_completed" is "Task completed".
const readable = (kind) => kind.replace(/[_-]+/g, " ").replace(/^./, (letter) => letter.toUpperCase());

const wordsOf = ({ points, per, max, given, max_per_day }) => [
  given ? `0 to ${count(given.max, "point")}` : `${count(points, "point")}${per ? ` for each ${number(per)}` : ""}`,
  max !== undefined && `at most ${number(max)}`,
  max_per_day && `at most ${count(max_per_day, "point")} a day`,
].filter(Boolean).join(", ");

/** The kinds of a version, sorted by name. `needs` is the extra field that an activity of this kind needs, `max` its maximum. */
export function kindsOf({ points, titles }) {
  return Object.entries(points).map(([kind, worth]) => {
    const rule = typeof worth === "number" ? { points: worth } : worth;
    return {
      kind,
      name: Object.hasOwn(titles, kind) ? titles[kind] : readable(kind),
      words: wordsOf(rule),
      needs: rule.given ? "points" : rule.per ? "quantity" : null,
      max: rule.given?.max,
    };
  }).sort((a, b) => a.name.localeCompare(b.name, "en"));
}
