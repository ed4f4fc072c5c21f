// The chosen user: where they stand, who is around, and whether that is me.

import { arrange, byId, make, nameButton, write } from "./element.js";
import { number, standing } from "./format.js";
import { whoIsMe } from "./me.js";

/** Words in the place of the facts. */
export function showUserProblem(text) {
  byId("user-facts").hidden = text !== "";
  write(byId("user-problem"), text);
}

export function showUserName(user) {
  byId("user").hidden = user === null;
  write(byId("user-name"), user ?? "");
  write(byId("toggle-me"), user === whoIsMe() ? "This is not me" : "This is me");
}

export function showUser({ entry, above, below, percentile, participants }) {
  showUserProblem("");
  write(byId("user-rank"), number(entry.rank));
  write(byId("user-points"), number(entry.points));
  write(byId("user-activities"), number(entry.activities));
  write(byId("user-standing"), standing(percentile, participants));
  arrange(byId("neighbours"), [...above.map(neighbour), chosen(entry), ...below.map(neighbour)]);
}

const cells = (entry, name) => [number(entry.rank), name, number(entry.points)].map((content) => make("td", {}, content));
const neighbour = (entry) => make("tr", {}, ...cells(entry, nameButton(entry.user_id)));
const chosen = (entry) => make("tr", { "aria-current": "true" }, ...cells(entry, make("b", {}, entry.user_id)));
