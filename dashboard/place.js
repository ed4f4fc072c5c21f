// A place on a board in words: the points to those next to it.

import { shortened } from "./person.js";
import { texts } from "./texts.js";

const shortName = ({ user_id, name = user_id }, otherwise) => (name === undefined ? otherwise : shortened(name));

/** The place of a person, and the points to those next to them. Equal points do not pass, so one more is needed. */
export function placeOf({ entry, above, below }) {
  const [next, behind] = [above.at(-1), below[0]];
  // Where ties are broken by time, equal points may have different ranks.
  const isTied = [next, behind].some((other) => other?.rank === entry.rank);
  return {
    rank: texts.rank(entry.rank, isTied),
    gaps: [
      next && texts.toPass(next.points - entry.points + 1, shortName(next, texts.nextPerson)),
      behind && texts.ahead(entry.points - behind.points, shortName(behind, texts.personBehind)),
    ].filter(Boolean).join(" · "),
  };
}

/** The same of a team. Scores may have decimals, so the points to pass are not told. */
export function placeOfTeam(entries, at) {
  const [next, team, behind] = [entries[at - 1], entries[at], entries[at + 1]];
  const nameOf = ({ team_id, title }) => shortName({ user_id: team_id, name: title });
  const between = (one, other) => Math.round(100 * (one.score - other.score)) / 100;
  return {
    rank: texts.rank(team.rank, [next, behind].some((other) => other?.rank === team.rank)),
    gaps: [
      next && texts.behind(between(next, team), nameOf(next)),
      behind && texts.ahead(between(team, behind), nameOf(behind)),
    ].filter(Boolean).join(" · "),
  };
}

// The percentile counts everyone with at most the user's points, the user included.
// It is rounded down, so that the sentence is true.
export function standing(percentile, participants) {
  if (participants === 1) return texts.onlyPerson;
  return percentile === 100 ? texts.aboveAll : texts.above(Math.floor(percentile), participants);
}
