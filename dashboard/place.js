// A place on a board in words: the points to those next to it, and the time left.

import { lettersOf } from "./person.js";
import { texts } from "./texts_on_demand.js";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const NAME_LETTERS_MAX = 24;

/** The moment at which a window ends: the first of the day after its last one, in its time zone. */
export function endOf({ last_day, time_zone }) {
  // Dates in Swedish compare as text.
  const days = new Intl.DateTimeFormat("sv", { timeZone: time_zone, year: "numeric", month: "2-digit", day: "2-digit" });
  // A search needs no offsets from UTC, and finds days that begin at 01:00.
  let [before, end] = [Date.parse(last_day), Date.parse(last_day) + 2 * DAY_MS];
  while (end - before > 1) {
    const middle = Math.floor((before + end) / 2);
    if (days.format(middle) > last_day) end = middle;
    else before = middle;
  }
  return end;
}

// The search takes a while, and the bar asks every second.
let known = {};
function endOnce({ last_day, time_zone }) {
  if (known.last_day !== last_day || known.time_zone !== time_zone) known = { last_day, time_zone, end: endOf({ last_day, time_zone }) };
  return known.end;
}

/** "2 days 4 h left"; empty where a window has no end, or is over. */
export function timeLeft(window, now) {
  if (window.last_day === null) return "";
  const minutes = Math.floor((endOnce(window) - now) / MINUTE_MS);
  if (minutes < 0) return "";
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return texts.daysLeft(Math.floor(hours / 24), hours % 24);
  return hours > 0 ? texts.hoursLeft(hours, minutes % 60) : texts.minutesLeft(minutes);
}

// Isolated, so that the words around a name keep their direction.
function shortName({ user_id, name = user_id }, otherwise) {
  if (name === undefined) return otherwise;
  const letters = lettersOf(name);
  return `\u2068${letters.length > NAME_LETTERS_MAX ? `${letters.slice(0, NAME_LETTERS_MAX).join("")}…` : name}\u2069`;
}

/** The place of a person, and the points to those next to them. Equal points share a rank, so one more is needed to pass. */
export function placeOf({ entry, above, below }) {
  const [next, behind] = [above.at(-1), below[0]];
  const isTied = [next, behind].some((other) => other?.points === entry.points);
  return {
    rank: texts.rank(entry.rank, isTied),
    gaps: [
      next && texts.toPass(next.points - entry.points + 1, shortName(next, texts.nextPerson)),
      behind && texts.ahead(entry.points - behind.points, shortName(behind, texts.personBehind)),
    ].filter(Boolean).join(" · "),
  };
}

/** The same of a team. Scores may have decimals, so the points to pass are not told. */
export function placeOfTeam(entries, at) {
  const [next, team, behind] = [entries[at - 1], entries[at], entries[at + 1]];
  const nameOf = ({ team_id, title }) => shortName({ user_id: team_id, name: title });
  const between = (one, other) => Math.round(100 * (one.score - other.score)) / 100;
  return {
    rank: texts.rank(team.rank, [next, behind].some((other) => other?.rank === team.rank)),
    gaps: [
      next && texts.behind(between(next, team), nameOf(next)),
      behind && texts.ahead(between(team, behind), nameOf(behind)),
    ].filter(Boolean).join(" · "),
  };
}

// The percentile counts everyone with at most the user's points, the user included.
// It is rounded down, so that the sentence is true.
export function standing(percentile, participants) {
  if (participants === 1) return texts.onlyPerson;
  return percentile === 100 ? texts.aboveAll : texts.above(Math.floor(percentile), participants);
}
