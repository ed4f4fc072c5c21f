// The chosen user: where they stand, who is around, and whether that is me.

import { byId, make, write } from "./element.js";
import { number, standing } from "./format.js";
import { showLine } from "./chart.js";
import { whoIsMe } from "./me.js";

const section = byId("user");

export function showUserName(user) {
  section.hidden = user === null;
  if (user === null) return;
  write(byId("user-name"), user);
  write(byId("toggle-me"), user === whoIsMe() ? "This is not me" : "This is me");
}

export function showUserLoading() {
  section.setAttribute("aria-busy", "true");
  byId("user-facts").hidden = false;
  write(byId("user-problem"), "");
}

export function showUserProblem(text) {
  section.setAttribute("aria-busy", "false");
  byId("user-facts").hidden = true;
  write(byId("user-problem"), text);
}

export function showUser({ entry, above, below, percentile, participants }) {
  showUserLoading();
  section.setAttribute("aria-busy", "false");
  write(byId("user-rank"), number(entry.rank));
  write(byId("user-points"), number(entry.points));
  write(byId("user-activities"), number(entry.activities));
  write(byId("user-standing"), standing(percentile, participants));
  const neighbours = byId("neighbours");
  const focused = neighbours.contains(document.activeElement) ? document.activeElement.textContent : null;
  neighbours.replaceChildren(...[...above, entry, ...below].map((each) => neighbour(each, each === entry)));
  if (focused !== null) {
    const again = [...neighbours.querySelectorAll("button")].find(({ textContent }) => textContent === focused);
    (again ?? byId("user-name")).focus({ preventScroll: true });
  }
}

function neighbour({ rank, user_id, points }, isChosen) {
  const name = isChosen
    ? make("b", {}, user_id)
    : make("button", { type: "button", class: "name", "data-choose": user_id }, user_id);
  const cells = [make("td", {}, number(rank)), make("td", {}, name), make("td", {}, number(points))];
  return make("tr", isChosen ? { "aria-current": "true" } : {}, ...cells);
}

export function showUserLine(line, timeZone) {
  showLine(byId("user-line"), line, timeZone);
}
