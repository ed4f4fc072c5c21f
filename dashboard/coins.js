// Quests and coins in words.

import { dayAt } from "./calendar.js";
import { clockTime, fullTime } from "./format.js";
import { isolated, shortened } from "./person.js";
import { texts } from "./texts.js";
import { nameOf, segmentOf } from "./view.js";

const { quests: words } = texts;
// More names would not be read in time.
const NAMED_MAX = 3;
const DAY_MS = 86_400_000;

export const coinsPath = (user) => `/v1/users/${segmentOf(user)}/coins`;
export const progressPath = (user) => `/v1/users/${segmentOf(user)}/quests`;
/** `order` is "latest" or "found". */
export const findersPath = (quest, order, limit) => `/v1/quests/${segmentOf(quest)}/coins?order=${order}&limit=${limit}`;

/** Whether a coin counts, or may. */
export const isHeld = ({ state }) => state !== "revoked";

/** What a coin is for: a program by its title, a day, week or month as the API names it; empty for once. */
export const periodOf = ({ period }) => (period === "" ? "" : nameOf(`program:${period}`));

/** "Open · until 3 Dec 2026, 12:00:00 · 3 of 10 left" */
export function stateOf({ state, starts_at, ends_at, supply, issued, provisional }, now, timeZone) {
  const time = (at) => fullTime(timeZone).format(Date.parse(at));
  const isOver = state === "over";
  const isToCome = !isOver && starts_at !== null && Date.parse(starts_at) > now;
  const hasEnded = ends_at !== null && Date.parse(ends_at) <= now;
  const left = Math.max(0, supply - issued - provisional);
  return [
    isToCome ? words.begins(time(starts_at)) : isOver ? words.over : words.open,
    ends_at !== null && (hasEnded ? words.ended : words.ends)(time(ends_at)),
    supply === null ? words.found(issued) : left === 0 ? words.allFound(supply) : words.left(left, supply),
  ].filter(Boolean).join(" · ");
}

/** The coins of a quest among a person's. */
export const coinsOf = ({ quest_id, version }, coins) =>
  coins.filter((coin) => isHeld(coin) && coin.quest_id === quest_id && coin.version === version);

/** What to tell a person who has these coins of a quest, in order of finding. */
export function ownOf({ per, state }, coins) {
  const last = coins.at(-1);
  if (last === undefined) return state === "over" ? words.missed : words.notYet;
  if (per === "once") {
    if (last.state === "provisional") return words.pending;
    return last.serial === null ? words.owned : words.ownedAs(last.serial);
  }
  // An earlier day, week or month may be found later.
  const latest = per === "program" ? last : coins.reduce((one, other) => (other.period > one.period ? other : one));
  return words.ownedOften(coins.length, periodOf(latest));
}

/** The ISO week of a date, such as "2026-W48". */
export function weekOf(date) {
  // A week belongs to the year of its Thursday.
  const thursday = new Date(date);
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, "0")}`;
}

const periodAt = { day: (date) => date, week: weekOf, month: (date) => date.slice(0, 7) };

/**
 * How far a person is with a quest, in words, and whether it can go on: the API tells the period in which the most is
 * done, which may be over. Null if there is nothing to tell.
 */
export function progressOf({ per, state }, progress, now, timeZone) {
  if (!progress || state === "over") return null;
  const { reached, needed, period, lacking } = progress;
  const of = period && isolated(periodOf(progress));
  if (period < periodAt[per]?.(dayAt(now, timeZone))) return { goesOn: false, words: words.best(reached, needed, of) };
  const named = lacking.slice(0, NAMED_MAX).map(isolated);
  const others = needed - reached - named.length;
  if (named.length > 0 && others > 0) named.push(words.others(others));
  const far = words.reached(reached, needed, of);
  return { goesOn: true, words: named.length > 0 ? `${far} · ${words.missing(named.join(", "))}` : far };
}

/** What a coin is for, when it was found, and its number or that it has none yet. */
export function detailsOf(coin, timeZone, now) {
  const { found_at, state, serial } = coin;
  return [
    periodOf(coin),
    clockTime(Date.parse(found_at), timeZone, now),
    serial !== null && words.serial(serial),
    state === "provisional" && words.provisional,
  ].filter(Boolean).join(" · ");
}

/** What to tell whoever found `coins`, of quests with these titles by id. */
export function newsOf(coins, titles) {
  const [first] = coins;
  const names = coins.slice(0, NAMED_MAX).map(({ coin }) => shortened(coin.name));
  if (coins.length > NAMED_MAX) names.push(words.andOthers);
  const found = coins.length > 1
    ? words.manyNews(coins.length, names.join(", "))
    : words.news(names[0], words.worth(first.coin.value), shortened(titles.get(first.quest_id) ?? first.quest_id));
  return coins.some(({ state }) => state === "provisional") ? `${found} ${words.newsPending}` : found;
}

/** How old what is said of coins is. */
export function ageOf({ generated_at, stale }, timeZone) {
  const at = Date.parse(generated_at);
  return (stale ? words.behind : words.asOf)(clockTime(at, timeZone, at));
}
