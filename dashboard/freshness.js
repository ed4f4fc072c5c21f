// Judges how fresh the board is.

import { clockTime, count, duration, number } from "./format.js";

// A board older than this is out of date, even if it does not say so.
const PACES = 3;
const MARGIN_SECONDS = 10;
// Loading for longer than this is explained.
const SLOW_SECONDS = 3;

/** The age given by the server, plus the time since then on the monotonic clock. */
export function ageSeconds({ document, receivedAt }, now) {
  return document.freshness.age_seconds + (now - receivedAt) / 1000;
}

function factsOf({ lag_seconds, backlog }, age) {
  const lag = lag_seconds === null ? "not measured yet" : `${lag_seconds.toFixed(1)} s`;
  return `Updated ${duration(age)} ago · lag ${lag} · backlog ${number(backlog)}`;
}

const waitOf = (seconds) => (seconds < SLOW_SECONDS ? "" : `The server has not answered for ${duration(seconds)}. Still waiting.`);

// Screen readers speak each change of the alarm, so its numbers keep one digit only.
function floor(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return Math.floor(value / unit) * unit || 0;
}

const WORDS = {
  age: (_, age) => `it was last updated at least ${duration(floor(age))} ago`,
  lag: ({ lag_seconds }) => `activities take at least ${duration(floor(lag_seconds))} to be counted`,
  backlog: ({ backlog }) => `at least ${count(floor(backlog), "activity is", "activities are")} waiting to be counted`,
};

function staleness(freshness, age, pace) {
  const reasons = new Set(freshness.stale ? freshness.stale_reasons : []);
  if (age > PACES * pace + MARGIN_SECONDS) reasons.add("age");
  if (!freshness.stale && reasons.size === 0) return null;
  const words = [...reasons].map((reason) => WORDS[reason]?.(freshness, age) ?? reason);
  return `is out of date: ${words.join("; ")}.`;
}

/**
 * Texts about the board. `answer` is the last good one, `trouble` says why the next one failed,
 * `pace` is the seconds between snapshots, `now` is on the monotonic clock, and `asked` is when the
 * first answer was requested, or null once there is one.
 */
export function judge({ answer, trouble, online, pace, now, asked = null }) {
  const age = answer && ageSeconds(answer, now);
  const stale = answer && staleness(answer.document.freshness, age, pace);
  let reach = null;
  if (!online) reach = "You are offline.";
  else if (trouble !== null) reach = `Cannot load the latest board. ${trouble} This page keeps trying.`;
  const time = answer && (reach || stale) ? timeOf(answer.document, age) : "";
  const from = reach && time && `This board is from ${time}.`;
  const alarm = [reach, from, stale && `${from ? "It" : "This board"} ${stale}`].filter(Boolean).join(" ");
  return {
    state: !online ? "Offline" : reach ? "Not updating" : stale ? "Out of date" : answer ? "Up to date" : asked === null ? "No board" : "Loading",
    alarm,
    facts: answer ? factsOf(answer.document.freshness, age) : reach || asked === null ? "" : waitOf((now - asked) / 1000),
    asOf: time && `as of ${time}`,
  };
}

// "Today" also follows the server's clock.
function timeOf({ freshness, window }, age) {
  const published = Date.parse(freshness.generated_at);
  return clockTime(published, window.time_zone, published + age * 1000);
}
