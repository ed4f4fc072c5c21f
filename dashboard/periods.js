import { byId, make } from "./element.js";
import { dates } from "./format.js";
import { texts } from "./texts.js";

const select = byId("period");
/** Loads the list, which few visits need. */
export const EARLIER = "?";
const lists = {};

/** Remembers which periods of a window are over. */
export function learnPeriods(window, periods) {
  lists[window] = periods.map((period) => [period.name, dates(period)]);
}

/** Offers the current period, the view's own and those that are known. */
export function showPeriods({ window, period }) {
  select.hidden = window === "all";
  const options = [["", texts.now], ...(lists[window] ?? [])];
  if (!options.some(([name]) => name === (period ?? ""))) options.push([period, period]);
  if (!lists[window]) options.push([EARLIER, texts.earlier]);
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  select.value = period ?? "";
}
