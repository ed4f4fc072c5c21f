// Whether the board can be trusted, and how to say it.

import { clockTime, count, duration, number } from "./format.js";

// What is older than this is out of date, whatever it says of itself.
const PACES = 3;
const MARGIN_SECONDS = 10;

/** The server says how old a document was; the monotonic clock counts on from there. */
export function ageSeconds({ document, receivedAt }, now) {
  return document.freshness.age_seconds + (now - receivedAt) / 1000;
}

function factsOf({ lag_seconds, backlog }, age) {
  const lag = lag_seconds === null ? "not measured yet" : `${lag_seconds.toFixed(1)} s`;
  return `Updated ${duration(age)} ago · lag ${lag} · backlog ${number(backlog)}`;
}

// The alarm is spoken whenever its words change, so that its numbers keep one digit only.
function floor(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return Math.floor(value / unit) * unit || 0;
}

const WORDS = {
  age: (_, age) => `there has been no snapshot for at least ${duration(floor(age))}`,
  lag: ({ lag_seconds }) => `activities take at least ${duration(floor(lag_seconds))} to be counted`,
  backlog: ({ backlog }) => `at least ${count(floor(backlog), "activity waits", "activities wait")} to be counted`,
};

function staleness(freshness, age, pace) {
  const reasons = new Set(freshness.stale ? freshness.stale_reasons : []);
  if (age > PACES * pace + MARGIN_SECONDS) reasons.add("age");
  if (!freshness.stale && reasons.size === 0) return null;
  const words = [...reasons].map((reason) => WORDS[reason]?.(freshness, age) ?? reason);
  return `This board is out of date: ${words.join(", ")}.`;
}

/**
 * What to say of the board on the screen: `answer` is the last good one, `trouble` says why no newer
 * one came, `pace` is the seconds between two snapshots, `now` is of the monotonic clock.
 */
export function judge({ answer, trouble, online, pace, now }) {
  const age = answer && ageSeconds(answer, now);
  const stale = answer && staleness(answer.document.freshness, age, pace);
  let reach = null;
  if (!online) reach = "You are offline.";
  else if (trouble !== null) reach = `The board cannot be reached: ${trouble} This page keeps trying.`;
  const alarm = [reach, stale].filter(Boolean).join(" ");
  return {
    state: !online ? "Offline" : reach ? "Not reachable" : stale ? "Out of date" : answer ? "Up to date" : "Loading",
    alarm,
    facts: answer ? factsOf(answer.document.freshness, age) : "",
    asOf: answer && alarm ? asOf(answer.document, age) : "",
  };
}

// Which day is today is told by the server's clock too.
function asOf({ freshness, window }, age) {
  const published = Date.parse(freshness.generated_at);
  return `as of ${clockTime(published, window.time_zone, published + age * 1000)}`;
}
