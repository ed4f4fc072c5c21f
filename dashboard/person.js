// What the page calls people. A row has an id and perhaps a name; that of someone anonymous has neither.

const LETTER = /[\p{L}\p{N}]/u;
// Not every browser has it. Without it, an accent may be left out.
const graphemes = Intl.Segmenter && new Intl.Segmenter("en");

/** What readers see as single characters, such as a letter with its accents. */
export const lettersOf = (text) => (graphemes ? Array.from(graphemes.segment(text), ({ segment }) => segment) : [...text]);

const NAME_LETTERS_MAX = 24;

/** Isolates a name, so that the words around it keep their direction. */
export const isolated = (name) => `\u2068${name}\u2069`;

/** The same, with the end of a long name cut off. */
export function shortened(name) {
  const letters = lettersOf(name);
  return isolated(letters.length > NAME_LETTERS_MAX ? `${letters.slice(0, NAME_LETTERS_MAX).join("")}…` : name);
}

function initialOf(word) {
  const letters = lettersOf(word);
  return letters.find((letter) => LETTER.test(letter)) ?? letters[0];
}

// Beside each other, Arabic letters would join.
const APART = "\u200c";

/** The first letters of the first and the last word, as they are written; empty for someone anonymous. */
export function initialsOf({ user_id = "", name = user_id }) {
  const words = name.match(/\S+/g) ?? [];
  const named = words.filter((word) => LETTER.test(word));
  const [first, ...others] = named.length > 0 ? named : words;
  return [first, ...others.slice(-1)].filter(Boolean).map(initialOf).join(APART);
}

/** A colour, as an angle, that is the same wherever a person is shown. */
export const hueOf = (id = "") => [...id].reduce((hue, letter) => (31 * hue + letter.codePointAt(0)) % 360, 0);

// Some documents have ids only.
const names = new Map();

/** Remembers the names in an API document. */
export function learn({ entries = [], entry, above = [], below = [] }) {
  for (const { user_id, name } of [...entries, ...above, ...below, ...(entry ? [entry] : [])]) {
    if (name === undefined) names.delete(user_id);
    else names.set(user_id, name);
  }
}

/** Who has this id, with the name if it is known. */
export const personOf = (user_id) => ({ user_id, name: names.get(user_id) });
