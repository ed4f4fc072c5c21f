import { arrange, byId, make, nameButton, otherCase, say } from "./element.js";
import { number, standing } from "./format.js";

const ME = "podium.me";

// Kept on this device only; without storage, until the page closes.
let me = null;
try {
  me = localStorage.getItem(ME);
} catch {}

export const whoIsMe = () => me;

export function setMe(user) {
  me = user;
  try {
    if (user === null) localStorage.removeItem(ME);
    else localStorage.setItem(ME, user);
  } catch {}
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
  byId("user-problem").replaceChildren(text, ...otherCase(otherCaseIds, nameButton));
}

export function showUserName(user) {
  byId("user").hidden = user === null;
  say("user-name", user ?? "");
  say("toggle-me", user === me ? "This is not me" : "This is me");
}

export function showUser({ entry, above, below, percentile, participants, other_case }) {
  showUserProblem("", other_case);
  say("user-rank", number(entry.rank));
  say("user-points", number(entry.points));
  say("user-activities", number(entry.activities));
  say("user-standing", standing(percentile, participants));
  arrange(byId("neighbours"), [...above.map(neighbour), chosen(entry), ...below.map(neighbour)]);
}

const cells = (entry, name) => [number(entry.rank), name, number(entry.points)].map((content) => make("td", {}, content));
const neighbour = (entry) => make("tr", {}, ...cells(entry, nameButton(entry.user_id)));
const chosen = (entry) => make("tr", {}, ...cells(entry, make("b", { title: entry.user_id }, entry.user_id)));
