// Where the page finds the API. On one machine both are with the page itself;
// a deployment puts a file of its own in the place of this one.

// The address of everything that is read.
export const api = "";

// The address to which activities are posted, or null where a page may not post.
export const ingest = "";
