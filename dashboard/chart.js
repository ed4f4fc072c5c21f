// Charts are drawn at their real pixel width, so that text is never scaled.

import { draw, table } from "./element.js";
import { axisTime, fullTime, number, percent } from "./format.js";
import { programOf } from "./view.js";

const LEADERS = 5;
const SHARES_MAX = 8;
const LABEL = { width: 124, height: 15, letters: 14 };
const BAR_HEIGHT = 38;

const shorten = (text, letters) => (text.length <= letters ? text : `${text.slice(0, letters - 1)}…`);
const isKnown = ({ points }) => points !== null;

/** A user's line: `{name, points: [{at, points}]}`, `at` in milliseconds, `points` null where unknown. */
const line = (name, at, points) => ({ name, points: at.map((moment, i) => ({ at: Date.parse(moment), points: points[i] })) });

/** A user's line, from the board's history if it has the user, else from their own. */
export function lineOf({ entry: { user_id }, history }, board) {
  const user = board?.users.find((each) => each.user_id === user_id);
  if (user) return line(user_id, board.at, user.points);
  return line(user_id, history.map(({ at }) => at), history.map(({ points }) => points));
}

export function linesOf(board, chosen) {
  const lines = board.users.slice(0, LEADERS).map(({ user_id, points }) => line(user_id, board.at, points));
  const missing = chosen && lines.every(({ name }) => name !== chosen.entry.user_id);
  return missing ? [...lines, lineOf(chosen, board)] : lines;
}

/** The programs with the most points, and the rest as one: `[{name, points, share}]`. */
export function sharesOf([global, ...programs]) {
  const best = programs.filter(({ points }) => points > 0).slice(0, SHARES_MAX);
  const shares = best.map(({ board, points }) => ({ name: programOf(board), points }));
  const rest = best.reduce((left, { points }) => left - points, global.points);
  if (rest > 0) shares.push({ name: "others", points: rest });
  return shares.map((share) => ({ ...share, share: share.points / global.points }));
}

/** Round numbers from `min` or below to `max` or above. */
export function ticksOf(min, max) {
  const rough = Math.max(1, (max - min) / 4);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * [1, 2, 5, 10].find((each) => each * magnitude >= rough);
  const first = Math.floor(min / step) * step;
  const steps = Math.max(1, Math.ceil((max - first) / step));
  return Array.from({ length: steps + 1 }, (_, i) => first + i * step);
}

/** Spreads heights at least `gap` apart, in the same order, with none above `most`. */
export function spreadOut(heights, gap, most) {
  const placed = [...heights];
  const order = [...heights.keys()].sort((a, b) => heights[a] - heights[b]);
  order.forEach((i, place) => {
    if (place > 0) placed[i] = Math.max(placed[i], placed[order[place - 1]] + gap);
  });
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i], most);
    most = placed[i] - gap;
  }
  return placed;
}

/** Unknown points leave a gap; an isolated point becomes a dot. */
export function pathOf(points, x, y) {
  return points.map((point, i) => {
    if (!isKnown(point)) return "";
    const place = `${x(point.at).toFixed(1)} ${y(point.points).toFixed(1)}`;
    return i > 0 && isKnown(points[i - 1]) ? `L${place}` : `M${place}h.1`;
  }).join("");
}

const canvas = (width, height, label) => draw("svg", { width, height, role: "img", "aria-label": label });
const words = (text, x, y, more) => draw("text", { x, y, ...more }, text);
const ENDING = { "text-anchor": "end" };

/** Draws the lines; null if they span no time. */
function linesPicture(lines, chosen, timeZone, width, height) {
  const known = lines.flatMap(({ points }) => points.filter(isKnown));
  const moments = known.map(({ at }) => at);
  const begin = Math.min(...moments);
  const end = Math.max(...moments);
  if (!(begin < end)) return null;
  const values = known.map(({ points }) => points);
  const ticks = ticksOf(Math.min(...values), Math.max(...values));
  const left = 8 * (1 + number(ticks.at(-1)).length);
  const right = width - (lines.length > 1 ? LABEL.width : 4);
  const bottom = height - 24;
  const x = (at) => left + ((at - begin) / (end - begin)) * (right - left);
  const y = (points) => bottom - ((points - ticks[0]) / (ticks.at(-1) - ticks[0])) * (bottom - 8);
  const picture = canvas(width, height, `Points over time: ${lines.map(({ name }) => name).join(", ")}`);
  for (const tick of ticks) {
    picture.append(
      draw("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` }),
      words(number(tick), left - 6, y(tick) + 4, ENDING));
  }
  const time = axisTime(end - begin, timeZone);
  picture.append(words(time.format(begin), left, height - 6), words(time.format(end), right, height - 6, ENDING));

  const ends = lines.map(({ points }) => points.findLast(isKnown)?.points ?? ticks[0]);
  const heights = spreadOut(ends.map(y), LABEL.height, bottom);
  lines.forEach(({ name, points }, i) => {
    const kind = `line-${i + 1}${name === chosen ? " chosen" : ""}`;
    picture.append(draw("path", { class: kind, d: pathOf(points, x, y) }));
    if (lines.length > 1) {
      picture.append(words(shorten(name, LABEL.letters), right + 12, heights[i] + 4, { class: `label ${kind}` }));
    }
  });
  return picture;
}

function fill(figure, picture, heads, rows) {
  figure.querySelector(".picture").replaceChildren(picture);
  figure.querySelector(".data").replaceChildren(table(heads, rows));
  figure.querySelector("details").hidden = false;
}

export function showNothing(figure, why) {
  figure.querySelector(".picture").replaceChildren(why);
  figure.querySelector("details").hidden = true;
}

export function showLine(place, own, timeZone) {
  place.replaceChildren(linesPicture([own], own.name, timeZone, place.clientWidth, 96) ?? "");
}

export function showRace(figure, lines, chosen, timeZone) {
  const picture = linesPicture(lines, chosen, timeZone, figure.querySelector(".picture").clientWidth, 240);
  if (picture === null) return showNothing(figure, "This chart appears after two board updates with points.");
  const all = lines.map(({ points }) => new Map(points.filter(isKnown).map((point) => [point.at, number(point.points)])));
  const moments = [...new Set(lines.flatMap(({ points }) => points.map(({ at }) => at)))].sort((a, b) => a - b);
  const time = fullTime(timeZone);
  const rows = moments.map((at) => [time.format(at), ...all.map((points) => points.get(at) ?? "–")]);
  fill(figure, picture, ["Time", ...lines.map(({ name }) => name)], rows);
}

export function showShares(figure, shares) {
  if (shares.length === 0) return showNothing(figure, "No program has points yet.");
  const width = figure.querySelector(".picture").clientWidth;
  const label = `Points by program: ${shares.map(({ name, share }) => `${name} ${percent(share)}`).join(", ")}`;
  const picture = canvas(width, shares.length * BAR_HEIGHT, label);
  const most = Math.max(...shares.map(({ share }) => share));
  shares.forEach(({ name, points, share }, i) => {
    const y = i * BAR_HEIGHT + 20;
    picture.append(
      words(shorten(name, Math.floor((width - 110) / 8)), 0, y - 6, { class: "name" }),
      words(`${number(points)} · ${percent(share)}`, width, y - 6, ENDING),
      draw("rect", { y, width: (share / most) * width, height: 6, rx: 3 }));
  });
  const rows = shares.map(({ name, points, share }) => [name, number(points), percent(share)]);
  fill(figure, picture, ["Program", "Points", "Share"], rows);
}
