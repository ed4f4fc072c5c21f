// The season: its tab, and when it ends or the next one begins. Only a deployment that has one, or who looks for one,
// loads this module.

import { beginOfSeason, dayAt, endOfSeason, serverTime, stateOf } from "./calendar.js";
import { onDemand } from "./demand.js";
import { byId, make, write } from "./element.js";
import { showPeriods } from "./periods.js";
import { shortened } from "./person.js";
import { texts } from "./texts.js";
import { learnTitle, timesName, titleOf } from "./view.js";

const tab = byId("tab-season");
const words = make("span", { id: "season" });
byId("window-dates").append(" ", words);
// The latest answer that says which season runs, or comes next. It is the same for all windows.
let known = null;
// The view whose other boards are offered, or null. Only who looks at the tab while no season runs loads this module.
let offered = null;
let others = null;
const loadOthers = onDemand("./other_boards.js", (module) => {
  others = module;
  others.offer(offered);
}, "other_boards.css");

/** `programs` and `board` are answers, undefined until there are some. */
export function showSeason({ programs, board, view, now }) {
  const title = view.window === "season" ? board?.document.window.season?.title : undefined;
  if (title !== undefined) showTitle(title, view);
  known = programs ?? known;
  if (known === null) return;
  const { season, window: { time_zone } } = known.document;
  const time = serverTime(known, now);
  const isRunning = season !== undefined && stateOf(season, dayAt(time, time_zone)) === "running";
  const isHere = view.window === "season" && view.period === null;
  // A tab that is selected is shown.
  tab.hidden = !isRunning && view.window !== "season";
  write(tab, isRunning ? season.title : texts.windows.season);
  tab.title = tab.textContent;
  write(words, wordsOn());
  words.title = title ?? season?.title ?? "";
  offer(isHere && !isRunning ? view : null);

  function wordsOn() {
    if (isHere && isRunning) return endOfSeason(season, time_zone, time);
    if (view.window === "season") return title === undefined ? "" : shortened(title);
    return season === undefined || isRunning ? "" : beginOfSeason(season, time_zone, time);
  }
}

function showTitle(title, view) {
  if (timesName(view) === title) return;
  learnTitle(view.period ?? view.window, title);
  document.title = titleOf(view);
  showPeriods(view);
}

function offer(wanted) {
  if (offered === wanted) return;
  offered = wanted;
  if (others !== null) others.offer(offered);
  else if (offered !== null) loadOthers().catch(() => {});
}
