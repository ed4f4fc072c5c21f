import { byId, make } from "./element.js";
import { texts } from "./texts.js";
import { timesName } from "./view.js";

const select = byId("period");
/** Loads the list, which few visits need. */
export const EARLIER = "?";
const lists = {};

/** Remembers which periods of a window are over, each as its name and what it is called. */
export function learnPeriods(window, periods) {
  lists[window] = periods;
}

/** Offers the current period, the view's own and those that are known. */
export function showPeriods(view) {
  const { window, period } = view;
  select.hidden = window === "all";
  const options = [["", texts.now], ...(lists[window] ?? [])];
  if (!options.some(([name]) => name === (period ?? ""))) options.push([period, timesName(view)]);
  if (!lists[window]) options.push([EARLIER, texts.earlier]);
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  select.value = period ?? "";
}
