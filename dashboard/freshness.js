// Judges how fresh the board is.

import { clockTime, duration } from "./format.js";
import { texts } from "./texts.js";

// A board older than this is out of date, even if it does not say so.
const PACES = 3;
const MARGIN_SECONDS = 10;
// Loading for longer than this is explained.
const SLOW_SECONDS = 3;

/** The age given by the server, plus the time since then on the monotonic clock. */
export function ageSeconds({ document, receivedAt }, now) {
  return document.freshness.age_seconds + (now - receivedAt) / 1000;
}

const waitOf = (seconds) => (seconds < SLOW_SECONDS ? "" : texts.waiting(duration(seconds)));

// Screen readers speak each change of the alarm, so its numbers keep one digit only.
function floor(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return Math.floor(value / unit) * unit || 0;
}

const WORDS = {
  age: (_, age) => texts.staleAge(duration(floor(age))),
  lag: ({ lag_seconds }) => texts.staleLag(duration(floor(lag_seconds))),
  backlog: ({ backlog }) => texts.staleBacklog(floor(backlog)),
};

function staleness(freshness, age, pace) {
  const reasons = new Set(freshness.stale ? freshness.stale_reasons : []);
  if (age > PACES * pace + MARGIN_SECONDS) reasons.add("age");
  if (!freshness.stale && reasons.size === 0) return null;
  return [...reasons].map((reason) => WORDS[reason]?.(freshness, age) ?? reason).join("; ");
}

/**
 * What to say of the board: its `state`, a key of `texts.states`, and texts. `answer` is the last good one, `trouble`
 * says why the next one failed, `pace` is the seconds between snapshots, `now` is on the monotonic clock, and `asked`
 * is when the first answer was requested, or null once there is one.
 */
export function judge({ answer, trouble, online, pace, now, asked = null }) {
  const age = answer && ageSeconds(answer, now);
  const stale = answer && staleness(answer.document.freshness, age, pace);
  const reach = !online ? texts.offline : trouble !== null ? texts.unreachable(trouble) : null;
  const time = answer && (reach || stale !== null) ? timeOf(answer.document, age) : "";
  const from = reach && time && texts.boardFrom(time);
  const known = answer ? "live" : asked === null ? "none" : "loading";
  return {
    state: !online ? "offline" : reach ? "stuck" : stale !== null ? "late" : known,
    alarm: [reach, from, stale !== null && texts.stale(stale, Boolean(from))].filter(Boolean).join(" "),
    facts: answer ? texts.ago(duration(age)) : reach || asked === null ? "" : waitOf((now - asked) / 1000),
    measures: answer ? texts.measures(answer.document.freshness) : "",
    asOf: time && texts.asOf(time),
  };
}

// "Today" also follows the server's clock.
function timeOf({ freshness, window }, age) {
  const published = Date.parse(freshness.generated_at);
  return clockTime(published, window.time_zone, published + age * 1000);
}
