// Shows what a newer snapshot changed: who moved, who gained, who leads. By transforms and attributes alone, so that
// nothing is laid out again. Nothing of it is shown to those who want less motion.

import { byId, say } from "./element.js";
import { number } from "./format.js";
import { texts } from "./texts.js";

const ROWS_MAX = 40;
const GLIDE_MS = 600;
const SEEN_MS = 4000;

const wantsLess = matchMedia("(prefers-reduced-motion: reduce)");
let timer = 0;
let glides = [];
let marked = [];

/** Ends what is still shown of earlier changes. */
export function endMoves() {
  clearTimeout(timer);
  for (const glide of glides.splice(0)) glide.cancel();
  for (const cell of marked.splice(0)) delete cell.dataset.gain;
  delete byId("panel").dataset.leader;
  say("news", "");
}

/**
 * Notes who is in which row, each `{tr, cells, entry}`. Returns what shows the changes, once the rows have their new
 * entries.
 */
export function noteRows(rows) {
  if (wantsLess.matches || rows.length < 2) return () => {};
  const before = new Map(rows.map(({ entry }, at) => [entry.user_id, { at, entry }]));
  // All rows are equally high.
  const [top, second] = rows.slice(0, 2).map(({ tr }) => tr.getBoundingClientRect().top);
  const height = second - top;
  const first = Math.max(0, Math.floor(-top / height));
  const inSight = Math.max(0, Math.min(ROWS_MAX, Math.ceil((innerHeight - top) / height) - first));

  return () => {
    for (const [i, { tr, cells, entry }] of rows.slice(first, first + inSight).entries()) {
      const was = entry.user_id && before.get(entry.user_id);
      if (!was) continue;
      const places = Math.min(inSight, Math.max(-inSight, was.at - first - i));
      if (places !== 0) {
        glides.push(tr.animate([{ transform: `translateY(${places * height}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "ease-out" }));
      }
      if (entry.points > was.entry.points) {
        cells[2].dataset.gain = `+${number(entry.points - was.entry.points)}`;
        marked.push(cells[2]);
      }
    }
    showLeader(rows, before);
    timer = setTimeout(endMoves, SEEN_MS);
  };
}

function showLeader(rows, before) {
  const leaders = rows.map(({ entry }) => entry).filter(({ rank }) => rank === 1);
  const leader = leaders.find(({ user_id }) => user_id && before.get(user_id)?.entry.rank !== 1);
  if (!leader) return;
  byId("panel").dataset.leader = "new";
  say("news", texts.leads(leader.name ?? leader.user_id, leaders.length > 1));
}
