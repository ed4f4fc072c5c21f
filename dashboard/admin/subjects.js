// Teams and programs: their titles, and which programs lists show and in which order.

import { get } from "../api.js";
import { count, number } from "../format.js";
import { programOf } from "../view.js";
import { isRead, isWhole, readMore, recordsOf } from "./directory.js";
import { startEditor } from "./editor.js";
import { flagField, numberField, textField } from "./form.js";

const MEMBERS_SHOWN_MAX = 20;

const TITLE = "1 to 80 characters of any script. Without a title, boards show the id.";

const calledOf = (title) => (title === null ? "without a title" : `called ${title}`);

const membersOf = (team) => [...recordsOf("people").values()].filter((person) => person.team === team).sort((a, b) => (a.user_id < b.user_id ? -1 : 1));

// There may be others among the people that are not loaded.
const orMore = () => (isWhole("people") ? "" : " or more");

function namesOf(team) {
  const members = membersOf(team);
  const names = members.slice(0, MEMBERS_SHOWN_MAX).map(({ user_id, display_name }) => display_name ?? user_id);
  const rest = members.length - names.length;
  return `${count(members.length, "member")}${orMore()}: ${names.join(", ")}${rest > 0 ? ` and ${number(rest)} others` : ""}.`;
}

export const startTeams = (panel) => startEditor(panel, {
  kind: "teams",
  title: "Teams",
  about: "A team is everyone with the same team id; choose it for each person under People. Here it gets a title.",
  one: "team",
  fields: [textField("title", "Title", TITLE)],
  nameOf: ({ team_id, title }) => title ?? team_id,
  columns: [["Members", ({ team_id }) => `${number(membersOf(team_id).length)}${orMore()}`]],
  links: (id) => (membersOf(id).length > 0 ? [namesOf(id)] : []),
  async others() {
    if (!isRead("people")) await readMore("people");
    const teams = [...recordsOf("people").values()].map(({ team }) => team).filter((team) => team !== null);
    return [...new Set(teams)].map((team_id) => ({ team_id, title: null }));
  },
  asSaved: ({ team_id, title }) => `the team ${team_id}, ${calledOf(title)}.`,
  whenDeleted: ({ team_id }) => `This deletes the title of ${team_id}. Its members stay in it, and boards show it by its id. To take people out of a team, edit them under People.`,
});

/** The boards that are listed, of which a new deployment has none. */
async function boards() {
  try {
    return (await get("/v1/private/boards?window=all")).document.boards;
  } catch (problem) {
    if (problem.code === "nothing_published") return [];
    throw problem;
  }
}

export const startPrograms = (panel) => startEditor(panel, {
  kind: "programs",
  title: "Programs",
  about: "A program exists as soon as an activity names it. Here it gets a title and its place in the list of boards, or leaves that list.",
  one: "program",
  fields: [
    textField("title", "Title", TITLE),
    numberField("order", "Order", "0 to 9999. Programs with an order come first in the list of boards, the lowest first. Empty: after these, in the usual order."),
    flagField("archived", "Archived", "An archived program leaves the list of boards. It keeps its board, still takes activities, and these still count."),
  ],
  nameOf: ({ program_id, title }) => title ?? program_id,
  columns: [["Order", ({ order }) => (order === null ? "" : number(order))], ["Listed", ({ archived }) => (archived ? "archived" : "listed")]],
  async others() {
    const programs = (await boards()).map(({ board }) => programOf(board)).filter((program) => program !== null);
    return programs.map((program_id) => ({ program_id, title: null, order: null, archived: false }));
  },
  asSaved: ({ program_id, title, order, archived }) =>
    `the program ${program_id}, ${calledOf(title)}, ${order === null ? "without an order" : `at ${number(order)}`}, ${archived ? "archived" : "listed"}.`,
  whenDeleted: ({ program_id, archived }) =>
    `This deletes the title and the order of ${program_id}${archived ? ", and lists show it again" : ""}. Its board and its activities stay, by its id.`,
});
