// The periods that are over. Only who asks for earlier ones loads this module.

import { get } from "./api.js";
import { dates } from "./format.js";
import { isolated } from "./person.js";
import { texts } from "./texts.js";

/** The name of a season among the periods that are over. */
export const periodOfSeason = ({ first_day, last_day }) => `${first_day}..${last_day}`;

/** All boards have the same. */
export const periodsPath = ({ window }) => `/v1/boards/global/periods?window=${window}&limit=60`;

async function titlesOfSeasons() {
  const { seasons } = (await get("/v1/policy")).document;
  return new Map(seasons.map((season) => [periodOfSeason(season), season.title]));
}

/** Resolves to the periods of the view's window, the latest first, each as its name and what it is called. */
export async function earlierOf(view) {
  const [{ document }, titles] = await Promise.all([get(periodsPath(view)), view.window === "season" ? titlesOfSeasons() : new Map()]);
  return document.periods.map((period) => {
    const title = titles.get(period.name);
    return [period.name, title === undefined ? dates(period) : texts.seasonOf(isolated(title), dates(period))];
  });
}
