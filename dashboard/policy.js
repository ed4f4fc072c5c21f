// What the scoring policy says of kinds of activities, in words.

import { texts } from "./texts.js";

/** The version in force; before the first one, the first one. */
export const versionAt = (versions, now) => versions.findLast(({ effective_from }) => Date.parse(effective_from) <= now) ?? versions[0];

/** The versions of a policy that matter now: the one in force and those to come, each with what is said of its begin. */
export function versionsFrom(versions, now) {
  return versions.slice(versions.indexOf(versionAt(versions, now))).map((version) => {
    const begin = Date.parse(version.effective_from);
    // The first version often begins in 1970, which says nothing.
    return { version, begin: version === versions[0] ? null : begin, isToCome: begin > now };
  });
}

// "task_completed" is "Task completed".
const readable = (kind) => kind.replace(/[_-]+/g, " ").replace(/^./, (letter) => letter.toUpperCase());

const wordsOf = ({ points, per, max, given, max_per_day }) => [
  given ? texts.givenPoints(given.max) : per ? texts.pointsPer(points, per) : texts.pointCount(points),
  max !== undefined && texts.atMost(max),
  max_per_day && texts.atMostPerDay(max_per_day),
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
