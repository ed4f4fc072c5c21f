// Where the API is: with the page itself, on one machine. A deployment puts another file in its place.
export const api = "";

// Where activities are posted, or null where the page may not post.
export const ingest = "";
