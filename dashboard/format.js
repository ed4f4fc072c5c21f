// Numbers and dates as the reader's browser writes them. The words around them are in texts.js.

import { texts } from "./texts.js";

const languages = globalThis.navigator?.languages;
const numbers = new Intl.NumberFormat(languages, { useGrouping: "always" });
const decimals = new Intl.NumberFormat(languages, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const wholePercents = new Intl.NumberFormat(languages, { style: "percent" });
const [group, minus] = ["group", "minusSign"].map((sign) => numbers.formatToParts(-1_234_567).find(({ type }) => type === sign)?.value);

// A narrow space groups digits in every language, as SI recommends: 1,234 or 1.234 is another number in some countries.
export const number = (value) => numbers.format(value).replaceAll(group, "\u202f").replace(minus, "\u2212");
/** With one digit after the point. */
export const decimal = (value) => decimals.format(value);
export const unit = (value, one, many = `${one}s`) => (Math.abs(value) === 1 ? one : many);
export const count = (value, one, many) => `${number(value)} ${unit(value, one, many)}`;

export const sumOf = (values) => values.reduce((sum, each) => sum + each, 0);

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
  const written = (value) => wholePercents.format(value / 100);
  if (whole === 0) return `<${written(1)}`;
  return whole === 100 && share < 1 ? `>${written(99)}` : written(whole);
}

export function duration(seconds) {
  if (seconds < 120) return texts.seconds(Math.floor(seconds));
  if (seconds < 120 * 60) return texts.minutes(Math.floor(seconds / 60));
  if (seconds < 48 * 3600) return texts.hours(Math.floor(seconds / 3600));
  return texts.days(Math.floor(seconds / 86_400));
}

export const inZone = (timeZone, options) => new Intl.DateTimeFormat(languages, { timeZone, ...options });
export const TIME = { hour: "2-digit", minute: "2-digit" };
export const SECONDS = { ...TIME, second: "2-digit" };
export const DAY = { day: "numeric", month: "short" };
const DATE = { ...DAY, year: "numeric" };

/** "Mon 16 – Sun 22 Nov 2026" */
export function dates({ first_day, last_day }) {
  // A date that is parsed and shown in UTC stays the same.
  return inZone("UTC", { ...DATE, weekday: "short" }).formatRange(Date.parse(first_day), Date.parse(last_day));
}

export const windowDates = (window) =>
  `${window.first_day === null ? texts.sinceFirst : dates(window)}, ${window.time_zone}`;

/** "1 Dec" */
export const dayAndMonth = (date) => inZone("UTC", DAY).format(Date.parse(date));
export const fullDate = (timeZone) => inZone(timeZone, DATE);
export const fullTime = (timeZone) => inZone(timeZone, { ...DATE, ...SECONDS });

/** "10:05:32", with the date in front unless it is that of `now`. */
export function clockTime(at, timeZone, now) {
  const day = inZone(timeZone, DATE);
  return (day.format(at) === day.format(now) ? inZone(timeZone, SECONDS) : fullTime(timeZone)).format(at);
}

export function change(places) {
  if (places === undefined) return { sign: "", words: "" };
  if (places === null) return { sign: texts.newcomer, words: "" };
  if (places === 0) return { sign: "–", words: texts.noChange };
  const moved = Math.abs(places);
  return places > 0 ? { sign: `▲ ${number(moved)}`, words: texts.up(moved) } : { sign: `▼ ${number(moved)}`, words: texts.down(moved) };
}
