// Who looks at the page, and which team is theirs.

import { learnTitle } from "./view.js";

const ME = "podium.me";
const TEAM = "podium.team";

// Kept on this device only; without storage, until the page closes.
export function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function store(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {}
}

let me = stored(ME);
// The own team as the API tells it, by its id, and its board. A team that is too small has none.
const NO_TEAM = { team: null, board: null };
let told = NO_TEAM;
// The board that was chosen on this device, and its title; null if none is one's own, undefined if nothing was chosen.
let chosen;
const kept = stored(TEAM);
try {
  if (kept !== null) chosen = JSON.parse(kept);
} catch {}
if (chosen) learnTitle(chosen.board, chosen.title);

export const whoIsMe = () => me;
/** The board of the own team, or null. What was chosen on this device wins. */
export const whichIsMyTeam = () => (chosen === undefined ? told : chosen)?.board ?? null;

export function setMe(user) {
  me = user;
  told = NO_TEAM;
  store(ME, me);
}

export function setMyTeam(board, title) {
  chosen = board && { board, title };
  store(TEAM, JSON.stringify(chosen));
}

/** Whether it makes no difference that the API tells this team. */
export const isMyTeamKnown = (team) => chosen !== undefined || told.team === team;

export function noteMyTeam(team, board) {
  told = { team, board };
}

/** With login, "me" is who is logged in, and cannot be chosen. */
export function identify(user) {
  setMe(null);
  me = user;
}
