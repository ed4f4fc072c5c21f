// An answer is `{path, etag, document, receivedAt, maxAge}`.

import { api, ingest } from "./config.js";

const TIME_LIMIT_MS = 10_000;
const KEPT_MAX = 50;

class Problem extends Error {
  constructor(detail, status = 0, { code, field, results } = {}, retryAfter = 0) {
    super(detail);
    // A 404, or that nothing is published yet, is an answer as well.
    const unreachable = status === 0 || status === 429 || (status >= 500 && code !== "nothing_published");
    Object.assign(this, { code, field, results, retryAfter, unreachable });
  }
}

const kept = new Map();

export const lastAnswer = (path) => kept.get(path);

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
    throw new Problem(limit.signal.aborted ? "there was no answer in time." : "there is no connection to it.");
  } finally {
    clearTimeout(timer);
  }
}

async function problemOf(response) {
  const { status, headers } = response;
  const told = await response.json().catch(() => ({}));
  return new Problem(told.detail ?? `The API answered ${status}.`, status, told, Number(headers.get("retry-after")) || 0);
}

/** The very answer of the last time, if the document has not changed since. */
export function get(path, signal) {
  return withTimeLimit(signal, async (signal) => {
    const earlier = lastAnswer(path);
    // What the browser kept from an earlier visit has the age of then, and 304 would not say so.
    const response = await fetch(`${api}${path}`, { cache: earlier ? "no-cache" : "reload", signal });
    if (!response.ok) throw await problemOf(response);
    const maxAge = Number(/max-age=(\d+)/.exec(response.headers.get("cache-control"))?.[1] ?? 60);
    const etag = response.headers.get("etag");
    if (etag !== null && etag === earlier?.etag) return keep(Object.assign(earlier, { maxAge }));
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
