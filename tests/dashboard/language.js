// The language of the reader, for tests: imported before what reads it.

/** Numbers and dates are those of British English. */
Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages: ["en-GB"] } });
