// People: the editor of profiles, and files of them.

import { say, make, arrange } from "../element.js";
import { download } from "../export.js";
import { count } from "../format.js";
import { write } from "./address.js";
import { readAll, recordsOf } from "./directory.js";
import { startEditor } from "./editor.js";
import { choiceField, textField } from "./form.js";
import { startImport } from "./import.js";
import { fileOf } from "./profiles.js";

const MEANINGS = { listed: "listed by name and id", anonymous: "anonymous", hidden: "hidden" };

function asSaved({ user_id, display_name, team, visibility }) {
  return `${user_id}, ${display_name ?? "without a name"}, ${team === null ? "in no team" : `in the team ${team}`}, ${MEANINGS[visibility]}.`;
}

function whenDeleted({ user_id, visibility }) {
  const shows = visibility === "listed" ? "" : ` Careful: ${user_id} is ${visibility} now, and would be on the boards again.`;
  return `This deletes the name, the team and the visibility of ${user_id}.${shows} The activities and points stay, and boards show them by the id. To erase a person with all activities, run the command podium people erase.`;
}

/** The teams that people are in or that have a title. */
function teamIds() {
  const ids = [...recordsOf("people").values()].map(({ team }) => team).filter((team) => team !== null);
  return [...new Set([...recordsOf("teams").keys(), ...ids])].sort();
}

export function startPeople(panel) {
  const teams = make("datalist", { id: "team-ids" });
  const importing = make("button", { type: "button" }, "Import CSV…");
  const exporting = make("button", { type: "button" }, "Export CSV");
  const editor = startEditor(panel, {
    kind: "people",
    title: "People",
    about: "What people are called, which team they are in, and whether boards show them. Without a profile, boards show the id.",
    one: "person",
    tools: [importing, exporting],
    fields: [
      textField("display_name", "Name", "1 to 80 characters of any script. Without a name, boards show the id."),
      textField("team", "Team", "The id of a team. Everyone with the same one is in that team. Empty: in no team.", { list: teams.id }),
      choiceField("visibility", "Visibility", [
        ["listed", "Listed.", "Boards show the name and the id."],
        ["anonymous", "Anonymous.", "Boards show the row, but neither name nor id; it is the last among equal points."],
        ["hidden", "Hidden.", "The person is on no board, and the others close up. The points count for the team."],
      ]),
    ],
    nameOf: ({ user_id, display_name }) => display_name ?? user_id,
    columns: [["Team", ({ team }) => team ?? ""], ["Visibility", ({ visibility }) => visibility]],
    others: async () => [],
    asSaved,
    whenDeleted,
    whenOpened: () => arrange(teams, teamIds().map((team) => make("option", { value: team }))),
    links: (id) => [make("a", { href: write("corrections", id) }, "Correct points of this person")],
  });
  panel.append(teams);
  startImport(importing, () => editor.show());

  exporting.addEventListener("click", async () => {
    exporting.disabled = true;
    say("said", "Reading the directory…");
    try {
      const people = await readAll("people", (read) => say("said", `Reading the directory: ${count(read, "person", "people")} so far…`));
      download("podium-people.csv", "text/csv", fileOf(people.values()));
      say("said", `podium-people.csv has all ${count(people.size, "profile")}. It holds personal data: keep it safe.`);
      editor.show();
    } catch ({ message }) {
      say("said", `The export failed. ${message} Try again.`);
    }
    exporting.disabled = false;
  });
  return editor;
}
