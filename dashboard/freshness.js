// Whether the board can be trusted, and how to say it.

import { clockTime, count, duration, number } from "./format.js";

// Beyond three paces and this, a board is out of date whatever it says of itself.
const MARGIN_SECONDS = 10;
const PACES = 3;

/** The server says how old the document was; the monotonic clock counts on from there. */
export function ageSeconds(answer, now) {
  return answer.document.freshness.age_seconds + (now - answer.receivedAt) / 1000;
}

/** "Updated 35 s ago · lag 0.8 s · backlog 0" */
export function facts(freshness, age) {
  const lag = freshness.lag_seconds === null ? "not measured yet" : `${freshness.lag_seconds.toFixed(1)} s`;
  return `Updated ${duration(age)} ago · lag ${lag} · backlog ${number(freshness.backlog)}`;
}

// The alarm is spoken whenever its words change, so that its durations must not tick.
const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800];

function atLeast(seconds) {
  const step = STEPS.findLast((each) => each <= seconds);
  return step === undefined ? duration(seconds) : `more than ${duration(step)}`;
}

const WORDS = {
  age: (_, age) => `there has been no snapshot for ${atLeast(age)}`,
  lag: ({ lag_seconds }) =>
    lag_seconds === null
      ? "how long activities take to be counted is not known"
      : `activities take ${duration(lag_seconds)} to be counted`,
  backlog: ({ backlog }) => `${count(backlog, "activity waits", "activities wait")} to be counted`,
};

function staleReasons(freshness, age, pace) {
  const reasons = freshness.stale ? [...freshness.stale_reasons] : [];
  const overdue = age > PACES * pace + MARGIN_SECONDS;
  if (overdue && !reasons.includes("age")) reasons.push("age");
  return reasons.map((reason) => WORDS[reason]?.(freshness, age) ?? reason);
}

function list(sentences) {
  return new Intl.ListFormat("en").format(sentences);
}

/**
 * What to say of the board on the screen.
 *
 * `answer` is the last good one, or null; `trouble` is why no newer one came, or null; `pace` is the
 * seconds between two snapshots; `now` is of the monotonic clock.
 */
export function judge({ answer, trouble, online, pace, now }) {
  const age = answer === null ? null : ageSeconds(answer, now);
  const alarm = [];
  let state = answer === null ? "Loading" : "Up to date";
  if (answer !== null) {
    const { freshness } = answer.document;
    const reasons = staleReasons(freshness, age, pace);
    if (freshness.stale || reasons.length > 0) {
      state = "Out of date";
      alarm.push(reasons.length === 0 ? "This board is out of date." : `This board is out of date: ${list(reasons)}.`);
    }
  }
  const meanwhile = answer === null ? "" : " What you see is what was published last.";
  if (!online) {
    state = "Offline";
    alarm.unshift(`You are offline.${meanwhile}`);
  } else if (trouble !== null) {
    state = "Not reachable";
    alarm.unshift(`The board cannot be reached: ${trouble} The page keeps trying.${meanwhile}`);
  }
  return {
    state,
    alarm: alarm.length === 0 ? null : alarm.join(" "),
    facts: answer === null ? "" : facts(answer.document.freshness, age),
    asOf: alarm.length === 0 || answer === null ? null : asOf(answer, age),
  };
}

// The day of today is told by the server's clock as well: when it published, and how long ago that was.
function asOf({ document }, age) {
  const published = Date.parse(document.freshness.generated_at);
  return `as of ${clockTime(published, document.window.time_zone, published + age * 1000)}`;
}
