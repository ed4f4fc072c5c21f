// Sends changes to the API. Only a page where one posts or edits loads this module.

import { problemOf, send, withTimeLimit } from "./api.js";

/** Resolves to the document of the answer; null if it has none. */
export function change(method, path, document) {
  return withTimeLimit(null, async (signal) => {
    const response = await send.post(path, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(document),
      signal,
    });
    if (!response.ok) throw await problemOf(response);
    return response.status === 204 ? null : response.json();
  });
}

// crypto.randomUUID needs HTTPS or localhost.
/** An id that nothing else has. What is sent again has the same one, so it counts once. */
export const newId = (prefix) => `${prefix}-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
