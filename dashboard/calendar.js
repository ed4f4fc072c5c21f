// The days, the seasons and the time left, in the time zone of the boards.

import { dayAndMonth } from "./format.js";
import { ageSeconds } from "./freshness.js";
import { shortened } from "./person.js";
import { texts } from "./texts.js";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
// Before that it would only take room on every board: "How points work" has all seasons.
const ANNOUNCED_DAYS_MAX = 7;

// Dates in Swedish compare as text.
const daysIn = (timeZone) => new Intl.DateTimeFormat("sv", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
const daysBetween = (from, to) => (Date.parse(to) - Date.parse(from)) / DAY_MS;

/** The date of a moment, such as "2026-11-28". */
export const dayAt = (moment, timeZone) => daysIn(timeZone).format(moment);

/** The time by the clock of the server, since that of the device may be wrong. `now` is on the monotonic clock. */
export const serverTime = (answer, now) => Date.parse(answer.document.freshness.generated_at) + 1000 * ageSeconds(answer, now);

/** The moment at which a window ends: the first of the day after its last one, in its time zone. */
export function endOf({ last_day, time_zone }) {
  const days = daysIn(time_zone);
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

/** Whether a season is over, running or to come on a day: a key of `texts.seasonStates`. */
export const stateOf = ({ first_day, last_day }, today) => (today > last_day ? "over" : today < first_day ? "toCome" : "running");

/** "ends in 2 days · Autumn" */
export function endOfSeason({ title, last_day }, time_zone, now) {
  const days = daysBetween(dayAt(now, time_zone), last_day);
  return days > 0 ? texts.seasonEnds(shortened(title), days) : texts.seasonEndsToday(shortened(title), timeLeft({ last_day, time_zone }, now));
}

/** "Winter begins on 1 Dec, in 3 days"; empty until that is soon. */
export function beginOfSeason({ title, first_day }, time_zone, now) {
  const days = daysBetween(dayAt(now, time_zone), first_day);
  return days > ANNOUNCED_DAYS_MAX ? "" : texts.seasonBegins(shortened(title), dayAndMonth(first_day), days);
}
