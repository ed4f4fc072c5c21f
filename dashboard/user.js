import { arrange, byId, make, nameButton, nameText, otherCase, portray, say, write } from "./element.js";
import { number, standing } from "./format.js";
import { learnTitle } from "./view.js";

const ME = "podium.me";
const TEAM = "podium.team";

const CONCEALED = {
  anonymous: "Only admins and this person see this. On boards, this person is anonymous.",
  hidden: "Only admins and this person see this. This person is hidden from boards.",
};

// Kept on this device only; without storage, until the page closes.
function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
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
  byId("toggle-me").hidden = true;
}

/** Shows a text instead of the facts. */
export function showUserProblem(text, otherCaseIds) {
  byId("user-facts").hidden = text !== "";
  byId("user-problem").replaceChildren(text, ...otherCase(otherCaseIds, (user_id) => nameButton({ user_id })));
}

/** Shows whose card it is; null for none. */
export function showUserName(person) {
  const { user_id = null, name } = person ?? {};
  byId("user").hidden = user_id === null;
  const heading = byId("user-name");
  write(heading.firstChild, name ?? user_id ?? "");
  say("user-id", name === undefined ? "" : user_id);
  byId("user-id").title = byId("user-id").textContent;
  if (person) portray(heading, person);
  say("toggle-me", user_id === me ? "This is not me" : "This is me");
}

export function showUser({ entry, above, below, percentile, participants, other_case, concealed_as }) {
  showUserName(entry);
  showUserProblem("", other_case);
  say("user-concealed", CONCEALED[concealed_as] ?? "");
  say("user-rank", number(entry.rank));
  say("user-points", number(entry.points));
  say("user-activities", number(entry.activities));
  say("user-standing", standing(percentile, participants));
  arrange(byId("neighbours"), [...above.map(neighbour), chosen(entry), ...below.map(neighbour)]);
}

function row(entry, name) {
  const cells = [number(entry.rank), name, number(entry.points)].map((content) => make("td", {}, content));
  portray(cells[1], entry);
  return make("tr", {}, ...cells);
}

const neighbour = (entry) => row(entry, nameButton(entry));
const chosen = (entry) => row(entry, nameText("b", entry));
