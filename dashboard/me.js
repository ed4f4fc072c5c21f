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
// The board of the own team, and its title. The API does not tell who is in which team.
let team = null;
try {
  team = JSON.parse(stored(TEAM));
} catch {}
if (team) learnTitle(team.board, team.title);

export const whoIsMe = () => me;
/** The board of the own team, or null. */
export const whichIsMyTeam = () => team?.board ?? null;

export function setMe(user) {
  me = user;
  store(ME, me);
}

export function setMyTeam(board, title) {
  team = board && { board, title };
  store(TEAM, team && JSON.stringify(team));
}

/** With login, "me" is who is logged in, and cannot be chosen. */
export function identify(user) {
  setMe(null);
  me = user;
}
