// How points work, from the scoring policy. Only who asks for it loads this module.

import { get } from "./api.js";
import { make } from "./element.js";
import { fullDate } from "./format.js";
import { kindsOf, versionsFrom } from "./policy.js";
import { texts } from "./texts_on_demand.js";

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

export async function showHow() {
  const { versions, period_grace_hours, time_zone } = (await get("/v1/policy")).document;
  const parts = versionsFrom(versions, Date.now()).map(({ version, begin, isToCome }) => [
    begin === null ? "" : make("h3", {}, (isToCome ? texts.pointsFrom : texts.pointsSince)(fullDate(time_zone).format(begin))),
    list(version),
  ]);
  const hasCap = versions.some(({ points }) => Object.values(points).some(({ max_per_day }) => max_per_day));
  const rules = [hasCap && texts.ruleCaps, texts.ruleTies, texts.ruleCorrections, texts.ruleLate(period_grace_hours), texts.ruleZone(time_zone)];
  content.replaceChildren(...parts.flat(), make("ul", {}, ...rules.filter(Boolean).map((rule) => make("li", {}, rule))));
  dialog.showModal();
}
