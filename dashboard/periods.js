import { byId, make } from "./element.js";
import { windowDates } from "./format.js";

const select = byId("period");
/** Loads the list, which few visits need. */
export const EARLIER = "?";
const lists = {};

/** Remembers which periods of a window are over. */
export function learnPeriods(window, periods) {
  lists[window] = periods.map((period) => [period.name, windowDates({ ...period, time_zone: "" }).slice(0, -2)]);
}

/** Offers the current period, the view's own and those that are known. */
export function showPeriods({ window, period }) {
  select.hidden = window === "all";
  const options = [["", "Now"], ...(lists[window] ?? [])];
  if (!options.some(([name]) => name === (period ?? ""))) options.push([period, period]);
  if (!lists[window]) options.push([EARLIER, "Earlier…"]);
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  select.value = period ?? "";
}
