// When to ask again.

const SECONDS_MIN = 1;
const BACK_OFF_SECONDS_MAX = 60;
const JITTER = 0.1;

// Pages that were opened together shall not ask together for ever.
const spread = (seconds, random) => 1000 * seconds * (1 + JITTER * random);

/** Milliseconds to wait after an answer that is good for `maxAge` seconds; `random` is within 0..1. */
export function delayAfterAnswer(maxAge, random) {
  return spread(Math.max(SECONDS_MIN, maxAge), random);
}

/** Milliseconds to wait after so many failures in a row. */
export function delayAfterFailure(failures, retryAfter, random) {
  const backOff = Math.min(BACK_OFF_SECONDS_MAX, 2 ** (failures - 1));
  return spread(Math.max(backOff, retryAfter ?? 0), random);
}

/**
 * Calls `load(signal)` again and again while the page can be seen. It resolves to `{maxAge}`, or to
 * `{failed: true, retryAfter}`. The function which is returned begins anew at once: what was being
 * loaded is given up.
 */
export function keepFresh(load) {
  let failures = 0;
  let timer = 0;
  let running = new AbortController();

  async function again() {
    clearTimeout(timer);
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const { failed, maxAge, retryAfter } = await load(signal);
    if (signal.aborted) return;
    failures = failed ? failures + 1 : 0;
    const delay = failed
      ? delayAfterFailure(failures, retryAfter, Math.random())
      : delayAfterAnswer(maxAge, Math.random());
    if (!document.hidden) timer = setTimeout(again, delay);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else again();
  });
  addEventListener("online", again);
  return again;
}
