// What each program is of all points.

import { number, percent, percents, sumOf } from "./format.js";
import { texts } from "./texts.js";
import { nameOf } from "./view.js";

/**
 * What each program is of all positive points, and last those without a board: `[{name, points, share, whole}]`.
 * The whole percents sum to 100. Points that are not positive are no part of anything.
 */
export function partsOf([global, ...programs]) {
  const rest = programs.reduce((left, { points }) => left - points, global.points);
  const all = [...programs.map(({ board, points }) => ({ name: nameOf(board), points })), { name: texts.others, points: rest }];
  const positive = all.map(({ points }) => Math.max(0, points));
  const total = sumOf(positive);
  const wholes = percents(positive);
  return all.map((part, i) => ({ ...part, share: positive[i] / total, whole: wholes[i] }));
}

/** "120 · 25%" */
export const partWords = ({ points, share, whole }) => number(points) + (points > 0 ? ` · ${percent(whole, share)}` : "");
