// How points work and which seasons there are, from the scoring policy. Only who asks for it loads this module.

import { get } from "./api.js";
import { dayAt, stateOf } from "./calendar.js";
import { periodOfSeason } from "./earlier.js";
import { make } from "./element.js";
import { dates, fullDate } from "./format.js";
import { kindsOf, versionsFrom } from "./policy.js";
import { texts } from "./texts.js";
import { START, writeView } from "./view.js";

const close = make("button", {}, texts.close);
const content = make("div");
const dialog = make("dialog", { id: "how-points-work", "aria-labelledby": "how-name", closedby: "any" },
  make("div", { class: "title" }, make("h2", { id: "how-name", tabindex: -1, autofocus: "" }, texts.how), close),
  content);
document.body.append(dialog);
close.addEventListener("click", () => dialog.close());
// Escape closes the dialog, and not the card behind it.
dialog.addEventListener("keydown", (event) => event.stopPropagation());

const list = (version) => make("dl", {}, ...kindsOf(version).map(({ name, words }) =>
  make("div", {}, make("dt", { dir: "auto" }, name), make("dd", {}, words))));

function seasonItem(season, today) {
  const state = stateOf(season, today);
  const period = state === "over" ? periodOfSeason(season) : null;
  const title = make(state === "toCome" ? "span" : "a", { dir: "auto" }, season.title);
  if (state !== "toCome") title.href = writeView({ ...START, window: "season", period });
  return make("div", {}, make("dt", {}, title), make("dd", {}, `${dates(season)} · ${texts.seasonStates[state]}`));
}

export async function showHow() {
  const { versions, period_grace_hours, time_zone, seasons, tie_break = "shared" } = (await get("/v1/policy")).document;
  const parts = versionsFrom(versions, Date.now()).map(({ version, begin, isToCome }) => [
    begin === null ? "" : make("h3", {}, (isToCome ? texts.pointsFrom : texts.pointsSince)(fullDate(time_zone).format(begin))),
    list(version),
  ]);
  const hasCap = versions.some(({ points }) => Object.values(points).some(({ max_per_day }) => max_per_day));
  const rules = [hasCap && texts.ruleCaps, texts.ruleTies[tie_break], texts.ruleCorrections,
    texts.ruleLate(period_grace_hours, seasons.length > 0), texts.ruleZone(time_zone, seasons.length > 0)];
  const today = dayAt(Date.now(), time_zone);
  if (seasons.length > 0) parts.push([make("h3", {}, texts.seasons), make("dl", {}, ...seasons.map((season) => seasonItem(season, today)))]);
  content.replaceChildren(...parts.flat(), make("ul", {}, ...rules.filter(Boolean).map((rule) => make("li", {}, rule))));
  dialog.showModal();
}
