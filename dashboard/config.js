// The API's address; empty if it is the page's own. A deployment replaces this file.
export const api = "";

// The address for posting activities; null if this page may not post.
export const ingest = "";
