// Numbers, days and durations as people read them.

const integer = new Intl.NumberFormat("en");

export const number = (value) => integer.format(value);

export function count(value, one, many) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** A share between 0 and 1; what is there is never shown as nothing, nor a part as the whole. */
export function percent(share) {
  if (share > 0 && share < 0.01) return "< 1 %";
  if (share < 1 && share > 0.99) return "> 99 %";
  return `${Math.round(share * 100)} %`;
}

/** Seconds in the unit in which one would say them. */
export function duration(seconds) {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 120 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

// A day of a window is a date without a time; read as UTC and shown as UTC it stays that date.
function dayParts(day) {
  const format = new Intl.DateTimeFormat("en-GB", {
    weekday: "short", day: "numeric", month: "long", year: "numeric", timeZone: "UTC",
  });
  return Object.fromEntries(format.formatToParts(new Date(`${day}T00:00:00Z`)).map(({ type, value }) => [type, value]));
}

/** "Mon 16 – Sun 22 November 2026, Europe/Berlin" */
export function windowDates({ first_day, last_day, time_zone }) {
  if (first_day === null) return `From the first day on, ${time_zone}`;
  const first = dayParts(first_day);
  const last = dayParts(last_day);
  const end = `${last.weekday} ${last.day} ${last.month} ${last.year}`;
  if (first_day === last_day) return `${end}, ${time_zone}`;
  let begin = `${first.weekday} ${first.day}`;
  if (first.month !== last.month || first.year !== last.year) begin += ` ${first.month}`;
  if (first.year !== last.year) begin += ` ${first.year}`;
  return `${begin} – ${end}, ${time_zone}`;
}

const inZone = (options, timeZone) => new Intl.DateTimeFormat("en-GB", { ...options, timeZone, hourCycle: "h23" });
const TIME = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short" };

/** "10:05:32", with the day in front of it if that is not the day of `now`. */
export function clockTime(at, timeZone, now) {
  const day = inZone({ ...DAY, year: "numeric" }, timeZone);
  const time = inZone({ ...TIME, second: "2-digit" }, timeZone).format(at);
  return day.format(at) === day.format(now) ? time : `${day.format(at)}, ${time}`;
}

/** How to write the moments of a time axis which is so many milliseconds long. */
export function axisTime(span, timeZone) {
  if (span < 10 * 60_000) return inZone({ ...TIME, second: "2-digit" }, timeZone);
  if (span < 86_400_000) return inZone(TIME, timeZone);
  if (span < 4 * 86_400_000) return inZone({ weekday: "short", ...TIME }, timeZone);
  if (span < 300 * 86_400_000) return inZone(DAY, timeZone);
  return inZone({ month: "short", year: "numeric" }, timeZone);
}

/** The date "2026-11-21" of a moment in a zone. */
export function dateIn(at, timeZone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }).format(at);
}

/** Places gained, as a sign for the eye and as words for the ear. */
export function change(places) {
  if (places === null) return { sign: "new", words: "" };
  if (places === 0) return { sign: "–", words: "no change" };
  const words = `${places > 0 ? "up" : "down"} ${count(Math.abs(places), "place", "places")}`;
  return { sign: `${places > 0 ? "▲" : "▼"} ${number(Math.abs(places))}`, words };
}

/**
 * The percentile counts all who have no more points, among them the user and those who are tied.
 * It is rounded down, so that the sentence is true.
 */
export function standing(percentile, participants) {
  if (participants === 1) return "The only one here.";
  const part = percentile === 100 ? "everyone" : `${Math.floor(percentile)} % of ${count(participants, "person", "people")}`;
  return `At least as many points as ${part}.`;
}
