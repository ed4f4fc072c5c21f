const english = new Intl.NumberFormat("en");

// A narrow space groups digits, as SI recommends: 1,234 or 1.234 is another number in some countries.
export const number = (value) => english.format(value).replaceAll(",", "\u202f").replace("-", "\u2212");
/** With one digit after the point. */
export const decimal = (value) => value.toFixed(1);
export const unit = (value, one, many = `${one}s`) => (Math.abs(value) === 1 ? one : many);
export const count = (value, one, many) => `${number(value)} ${unit(value, one, many)}`;

export const sumOf = (numbers) => numbers.reduce((sum, each) => sum + each, 0);

/** Whole percents that sum to 100, by the largest remainder; all 0 if the parts are. */
export function percents(parts) {
  const total = sumOf(parts);
  if (total === 0) return parts.map(() => 0);
  const exact = parts.map((part) => (100 * part) / total);
  const whole = exact.map(Math.floor);
  const missing = 100 - sumOf(whole);
  const order = [...parts.keys()].sort((a, b) => exact[b] - whole[b] - (exact[a] - whole[a]));
  for (const i of order.slice(0, missing)) whole[i] += 1;
  return whole;
}

/** `share` is the exact part, above 0 to 1: a part of something never shows as 0% or 100%. */
export function percent(whole, share) {
  if (whole === 0) return "<1%";
  return whole === 100 && share < 1 ? ">99%" : `${whole}%`;
}

export function duration(seconds) {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 120 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

const inZone = (timeZone, options) => new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", ...options });
const TIME = { hour: "2-digit", minute: "2-digit" };
const SECONDS = { ...TIME, second: "2-digit" };
const DAY = { day: "numeric", month: "short" };
const DATE = { ...DAY, year: "numeric" };

/** "Mon 16 – Sun 22 November 2026, Europe/Berlin" */
export function windowDates({ first_day, last_day, time_zone }) {
  if (first_day === null) return `Since the first activity, ${time_zone}`;
  // A date that is parsed and shown in UTC stays the same.
  const parts = inZone("UTC", { ...DATE, weekday: "short", month: "long" });
  const [first, last] = [first_day, last_day].map((day) =>
    Object.fromEntries(parts.formatToParts(Date.parse(day)).map(({ type, value }) => [type, value])));
  const date = ({ weekday, day, month, year }) => `${weekday} ${day} ${month} ${year}`;
  const begin = first.month === last.month ? `${first.weekday} ${first.day}` : date(first);
  return `${first_day === last_day ? "" : `${begin} – `}${date(last)}, ${time_zone}`;
}

export const fullDate = (timeZone) => inZone(timeZone, DATE);
export const fullTime = (timeZone) => inZone(timeZone, { ...DATE, ...SECONDS });

/** "10:05:32", with the date in front unless it is that of `now`. */
export function clockTime(at, timeZone, now) {
  const day = inZone(timeZone, DATE);
  return (day.format(at) === day.format(now) ? inZone(timeZone, SECONDS) : fullTime(timeZone)).format(at);
}

/** For a time axis of `span` milliseconds. */
export function axisTime(span, timeZone) {
  const days = span / 86_400_000;
  if (days < 0.01) return inZone(timeZone, SECONDS);
  if (days <= 1) return inZone(timeZone, TIME);
  return inZone(timeZone, days < 300 ? DAY : { month: "short", year: "numeric" });
}

export function change(places) {
  if (places === undefined) return { sign: "", words: "" };
  if (places === null) return { sign: "new", words: "" };
  if (places === 0) return { sign: "–", words: "no change" };
  const [sign, way] = places > 0 ? ["▲", "up"] : ["▼", "down"];
  const moved = Math.abs(places);
  return { sign: `${sign} ${number(moved)}`, words: `${way} ${count(moved, "place")}` };
}

// The percentile counts everyone with at most the user's points, the user included.
// It is rounded down, so that the sentence is true.
export function standing(percentile, participants) {
  if (participants === 1) return "The only person on this board.";
  const people = count(participants, "person", "people");
  return `At least as many points as ${percentile === 100 ? "everyone else" : `${Math.floor(percentile)}% of ${people}`}.`;
}
