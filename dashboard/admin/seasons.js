// The seasons that are counted. The page only shows them: they are part of how Podium is deployed.

import { get } from "../api.js";
import { dayAt, stateOf } from "../calendar.js";
import { periodOfSeason } from "../earlier.js";
import { make, write } from "../element.js";
import { count, dates } from "../format.js";
import { texts } from "../texts.js";
import { START, writeView } from "../view.js";

const ABOUT = "Seasons are spans of days with boards of their own. They are changed where Podium is deployed: by Terraform\u2019s variable seasons, or by podium local --seasons FILE. Until its first day a season may be changed at any time; afterwards, run podium rebuild run so that the points follow.";

const list = make("tbody");
const table = make("table", { class: "records seasons", hidden: "" },
  make("thead", {}, make("tr", {}, ...["Season", "Days", "State"].map((head) => make("th", { scope: "col" }, head)))),
  list);
const said = make("p", { class: "hint", role: "status" });

function row(season, today) {
  const { id, title } = season;
  const state = stateOf(season, today);
  const name = make(state === "toCome" ? "span" : "a", { dir: "auto" }, title);
  // A season to come has no board.
  if (state !== "toCome") name.href = `./${writeView({ ...START, window: "season", period: state === "over" ? periodOfSeason(season) : null })}`;
  return make("tr", {}, make("td", {}, name, make("span", { class: "record-id" }, id)), make("td", {}, dates(season)), make("td", {}, texts.seasonStates[state]));
}

export function startSeasons(panel) {
  panel.append(
    make("div", { class: "title" }, make("h2", {}, "Seasons")),
    make("p", { class: "hint" }, ABOUT),
    said,
    table,
  );
}

export async function openSeasons() {
  write(said, "Loading…");
  try {
    const { seasons, time_zone } = (await get("/v1/private/policy")).document;
    const today = dayAt(Date.now(), time_zone);
    list.replaceChildren(...seasons.map((season) => row(season, today)));
    table.hidden = seasons.length === 0;
    write(said, seasons.length === 0 ? "There are no seasons." : `${count(seasons.length, "season")}, the earliest first. Days are those of ${time_zone}.`);
  } catch ({ message }) {
    write(said, `The seasons cannot be shown. ${message}`);
  }
}
