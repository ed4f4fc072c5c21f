// Asks the API. An answer is `{path, etag, document, receivedAt, maxAge}`.

import { api, ingest } from "./config.js";

const TIME_LIMIT_MS = 10_000;
const MAX_AGE_SECONDS_USUAL = 60;
const KEPT_MAX = 50;

/** Why there is no document. Its message is for people. */
export class Problem extends Error {
  constructor({ detail, status = 0, code = "", field = "", results = [], retryAfter = null }) {
    super(detail);
    Object.assign(this, { status, code, field, results, retryAfter });
  }

  /** Whether the API did not answer, rather than say that there is no such thing. */
  get unreachable() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const kept = new Map();

/** The last answer for a path in this page, if it is kept. */
export const lastAnswer = (path) => kept.get(path) ?? null;

function keep(answer) {
  kept.delete(answer.path);
  kept.set(answer.path, answer);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
  return answer;
}

async function withTimeLimit(signal, work) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
  try {
    return await work(signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
  } catch (error) {
    if (signal?.aborted || error instanceof Problem) throw error;
    throw new Problem({ detail: limit.signal.aborted ? "there was no answer in time." : "there is no connection to it." });
  } finally {
    clearTimeout(timer);
  }
}

async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  const retryAfter = Number.parseInt(response.headers.get("retry-after"), 10);
  return new Problem({
    ...told,
    detail: told.detail ?? `The API answered ${response.status}.`,
    status: response.status,
    retryAfter: Number.isNaN(retryAfter) ? null : retryAfter,
  });
}

/** The document at a path: the very answer of the last time if it has not changed since. */
export function get(path, signal) {
  return withTimeLimit(signal, async (signal) => {
    const earlier = lastAnswer(path);
    // The browser may have kept a document from an earlier visit. Its age is that of then, and 304
    // would not say so: the first time the whole of it is asked for.
    const response = await fetch(`${api}${path}`, { cache: earlier ? "no-cache" : "reload", signal });
    if (!response.ok) throw await problemOf(response);
    const maxAge = Number(/max-age=(\d+)/.exec(response.headers.get("cache-control"))?.[1] ?? MAX_AGE_SECONDS_USUAL);
    const etag = response.headers.get("etag");
    if (earlier && etag !== null && etag === earlier.etag) {
      earlier.maxAge = maxAge;
      return keep(earlier);
    }
    const document = await response.json();
    return keep({ path, etag, document, receivedAt: performance.now(), maxAge });
  });
}

export function post(activity) {
  return withTimeLimit(null, async (signal) => {
    const response = await fetch(`${ingest}/v1/activities`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(activity),
      signal,
    });
    if (!response.ok) throw await problemOf(response);
    return (await response.json()).results[0];
  });
}
