const BACK_OFF_SECONDS_MAX = 60;

// Jitter: pages opened at the same time must not keep loading together.
const spread = (seconds, random) => 1000 * seconds * (1 + 0.1 * random);

/** Milliseconds; `random` is 0 to 1. */
export function delayAfterAnswer(maxAge, random) {
  return spread(Math.max(1, maxAge), random);
}

export function delayAfterFailure(failures, retryAfter, random) {
  const backOff = Math.min(BACK_OFF_SECONDS_MAX, 2 ** (failures - 1));
  return spread(Math.max(backOff, retryAfter), random);
}

/**
 * Calls `load(signal)` while the page is visible; it resolves to `{maxAge}` or to
 * `{failed, retryAfter}`. The returned function aborts the current load and starts again.
 */
export function keepFresh(load) {
  let failures = 0;
  let timer = 0;
  let running = new AbortController();

  async function again() {
    clearTimeout(timer);
    running.abort();
    if (document.hidden) return;
    running = new AbortController();
    const { signal } = running;
    const { failed, maxAge, retryAfter } = await load(signal);
    if (signal.aborted) return;
    failures = failed ? failures + 1 : 0;
    const random = Math.random();
    timer = setTimeout(again, failed ? delayAfterFailure(failures, retryAfter, random) : delayAfterAnswer(maxAge, random));
  }

  document.addEventListener("visibilitychange", again);
  addEventListener("online", again);
  return again;
}
