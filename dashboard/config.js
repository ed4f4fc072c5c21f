// What this deployment has. A deployment replaces this file, and so does a local stack.

// How people log in: `{issuer, clientId, scope, parameters, userClaim}`; null if they do not.
export const login = null;

// Who may read: "public" or "login".
export const readers = "public";

// For whom this page posts: "anyone", "self" (who is logged in), or null if it does not.
export const posting = "anyone";

// Whether there are quests.
export const hasQuests = true;
