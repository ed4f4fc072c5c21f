// The card of a person. Only who looks at one loads it.

import { login } from "./config.js";
import { onDemand } from "./demand.js";
import { arrange, byId, make, nameButton, nameText, otherCase, portray, say, write } from "./element.js";
import { number } from "./format.js";
import { whoIsMe } from "./me.js";
import { standing } from "./place.js";
import { texts } from "./texts.js";

const fact = (name, id) => make("div", {}, make("dt", {}, name), make("dd", { id }));

const toggle = make("button", { id: "toggle-me" });
const close = make("button", { id: "close-user" }, texts.close);
const programs = make("div");
const byProgram = make("details", {}, make("summary", {}, texts.byProgram), programs);
byId("user").replaceChildren(
  make("div", { class: "title" },
    make("h2", { id: "user-name", tabindex: -1 }, make("bdi")),
    make("p", { id: "user-id", class: "id" }),
    toggle,
    close),
  make("div", { id: "user-problem" }),
  make("div", { id: "user-facts" },
    make("p", { id: "user-concealed" }),
    make("dl", {}, fact(texts.rankHead, "user-rank"), fact(texts.points, "user-points"), fact(texts.activities, "user-activities")),
    make("p", { id: "user-standing" }),
    byProgram,
    make("div", { id: "user-coins" }),
    make("div", { id: "user-line" }),
    make("table", {},
      make("caption", { class: "heard" }, texts.neighbours),
      make("thead", { class: "heard" }, make("tr", {}, ...[texts.rankHead, texts.name, texts.points].map((head) => make("th", {}, head)))),
      make("tbody", { id: "neighbours" }))));
// With login, "me" is who is logged in.
toggle.hidden = login !== null;

/** Shows the points by program again, where they are open. */
export let showByProgram = () => {};

const loadByProgram = onDemand("./by_program.js");

/** `current()` is the view and, once they are known, its boards. */
export function startCard({ closeUser, toggleMe, current }) {
  showByProgram = () => {
    const { view, boards } = current();
    if (!byProgram.open || !boards) return;
    loadByProgram().then(({ showPoints }) => showPoints(programs, boards.slice(1).map(({ board }) => board), view, () => view === current().view),
      ({ message }) => programs.replaceChildren(message));
  };
  byProgram.addEventListener("toggle", showByProgram);
  close.addEventListener("click", closeUser);
  toggle.addEventListener("click", toggleMe);
}

/** Shows a text instead of the facts. */
export function showUserProblem(text, otherCaseIds) {
  byId("user-facts").hidden = text !== "";
  byId("user-problem").replaceChildren(text, ...otherCase(otherCaseIds, (user_id) => nameButton({ user_id })));
}

let shown = null;

/** Shows whose card it is; null for none. */
export function showUserName(person) {
  const { user_id = null, name } = person ?? {};
  if (user_id !== shown) {
    shown = user_id;
    byProgram.open = false;
    programs.replaceChildren(texts.loading);
    byId("user-coins").replaceChildren();
  }
  const heading = byId("user-name");
  write(heading.firstChild, name ?? user_id ?? "");
  say("user-id", name === undefined ? "" : user_id);
  byId("user-id").title = byId("user-id").textContent;
  if (person) portray(heading, person);
  write(toggle, user_id === whoIsMe() ? texts.notMe : texts.me);
}

export function showUser({ entry, above, below, percentile, participants, other_case, concealed_as }) {
  showUserName(entry);
  showUserProblem("", other_case);
  say("user-concealed", texts.concealed[concealed_as] ?? "");
  say("user-rank", number(entry.rank));
  say("user-points", number(entry.points));
  say("user-activities", number(entry.activities));
  say("user-standing", standing(percentile, participants));
  showByProgram();
  arrange(byId("neighbours"), [...above.map(neighbour), chosen(entry), ...below.map(neighbour)]);
}

function row(entry, name) {
  const cells = [number(entry.rank), name, number(entry.points)].map((content) => make("td", {}, content));
  portray(cells[1], entry);
  return make("tr", {}, ...cells);
}

const neighbour = (entry) => row(entry, nameButton(entry));
const chosen = (entry) => row(entry, nameText("b", entry));
