// Where the API is: with the page itself, on one machine. A deployment has a config.js of its own.
export const api = "";
