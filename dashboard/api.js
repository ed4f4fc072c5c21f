// An answer is `{path, etag, document, receivedAt, maxAge}`.

import { texts } from "./texts.js";

// Meanwhile the page says that it waits.
const TIME_LIMIT_MS = 30_000;
const KEPT_MAX = 50;

export class Problem extends Error {
  constructor(detail, status = 0, { code, field, fields, results, other_case } = {}, retryAfter = 0) {
    super(detail);
    // A 404 or `nothing_published` is a normal answer.
    const unreachable = status === 0 || status === 429 || (status >= 500 && code !== "nothing_published");
    Object.assign(this, { status, code, field, fields, results, retryAfter, unreachable, otherCase: other_case });
  }
}

// How requests are sent. A login sends its token along.
export const send = { read: (...request) => fetch(...request), post: (...request) => fetch(...request) };
export const sendBy = (ways) => Object.assign(send, ways);

const kept = new Map();

export const lastAnswer = (path) => kept.get(path);

function keep(answer) {
  kept.delete(answer.path);
  kept.set(answer.path, answer);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
  return answer;
}

export async function withTimeLimit(signal, work) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
  try {
    return await work(signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
  } catch (error) {
    if (signal?.aborted || error instanceof Problem) throw error;
    throw new Problem(limit.signal.aborted ? texts.noAnswer : texts.noServer);
  } finally {
    clearTimeout(timer);
  }
}

export async function problemOf(response) {
  const { status, headers } = response;
  const body = await response.json().catch(() => ({}));
  // A 401 or 403 may come from the platform, without a description.
  return new Problem(body.detail ?? texts.refused[status] ?? texts.serverError(status), status, body, Number(headers.get("retry-after")) || 0);
}

/** Returns the same answer object as before if the document has not changed. */
export function get(path, signal) {
  return withTimeLimit(signal, async (signal) => {
    const earlier = lastAnswer(path);
    // A response cached in an earlier visit has an old age, which a 304 would not correct.
    const response = await send.read(path, { cache: earlier ? "no-cache" : "reload", signal });
    if (!response.ok) throw await problemOf(response);
    // Seconds in a cache between here and the API.
    const age = Number(response.headers.get("age")) || 0;
    const maxAge = Math.max(0, Number(/max-age=(\d+)/.exec(response.headers.get("cache-control"))?.[1] ?? 60) - age);
    const etag = response.headers.get("etag");
    if (etag !== null && etag === earlier?.etag) return keep(Object.assign(earlier, { maxAge }));
    const document = await response.json();
    return keep({ path, etag, document, receivedAt: performance.now() - 1000 * age, maxAge });
  });
}
