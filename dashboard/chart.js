// The pictures, drawn as SVG in the pixels of the place that they have.

import { draw, table } from "./element.js";
import { axisTime, number, percent } from "./format.js";

const LEADERS = 5;
const LABEL_WIDTH = 104;
const LABEL_HEIGHT = 15;
const LABEL_LETTERS = 14;
const shorten = (text) => (text.length <= LABEL_LETTERS ? text : `${text.slice(0, LABEL_LETTERS - 1)}…`);

/**
 * The lines of the first five users and of the chosen one: `[{name, points: [{at, points}]}]`, with
 * `at` in milliseconds, and `points` null where it is not known.
 */
export function linesOf(history, user) {
  const at = history.at.map((each) => Date.parse(each));
  const lines = history.users.map(({ user_id, points }) => ({
    name: user_id,
    points: at.map((moment, i) => ({ at: moment, points: points[i] })),
  }));
  const leaders = lines.slice(0, LEADERS);
  if (user === null || leaders.some(({ name }) => name === user.entry.user_id)) return leaders;
  return [...leaders, lineOf(user, lines)];
}

/** The line of one user, from the board's history if it has it. */
export function lineOf(user, lines) {
  const name = user.entry.user_id;
  const own = () => ({ name, points: user.history.map(({ at, points }) => ({ at: Date.parse(at), points })) });
  return lines.find((line) => line.name === name) ?? own();
}

/** Round numbers from at or below `min` to at or above `max`. */
export function ticksOf(min, max) {
  const rough = Math.max(1, (max - min) / 3);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * magnitude).find((each) => each >= rough);
  const first = Math.floor(min / step) * step;
  const count = Math.max(1, Math.ceil((max - first) / step));
  return Array.from({ length: count + 1 }, (_, i) => first + i * step);
}

/** Moves heights apart to at least `gap` while they keep their order and stay within 0..`end`. */
export function spreadOut(heights, gap, end) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const placed = [...heights];
  let least = 0;
  for (const i of order) {
    placed[i] = Math.max(placed[i], least);
    least = placed[i] + gap;
  }
  let most = end;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i], most);
    most = placed[i] - gap;
  }
  return placed;
}

// A gap where the points are not known, and a dot where one moment stands alone.
function pathOf(points, x, y) {
  let path = "";
  let pen = "M";
  points.forEach((point, i) => {
    if (point.points === null) {
      pen = "M";
      return;
    }
    path += `${pen}${x(point.at).toFixed(1)} ${y(point.points).toFixed(1)}`;
    if (pen === "M" && (points[i + 1]?.points ?? null) === null) path += "h0.1";
    pen = "L";
  });
  return path;
}

/** Draws lines, with labels at their ends if there are several; `chosen` is the name of one that stands out. */
function linesPicture({ lines, chosen, timeZone, width, height, label }) {
  const known = lines.flatMap(({ points }) => points).filter(({ points }) => points !== null);
  const begin = Math.min(...known.map(({ at }) => at));
  const end = Math.max(...known.map(({ at }) => at));
  const ticks = ticksOf(Math.min(...known.map(({ points }) => points)), Math.max(...known.map(({ points }) => points)));
  const left = 8 + 7.5 * Math.max(...ticks.map((tick) => number(tick).length));
  const right = width - (lines.length > 1 ? LABEL_WIDTH : 10);
  const bottom = height - 24;
  const top = 10;
  const x = (at) => left + ((at - begin) / (end - begin)) * (right - left);
  const y = (points) => bottom - ((points - ticks[0]) / (ticks.at(-1) - ticks[0])) * (bottom - top);
  const picture = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });

  for (const tick of ticks) {
    picture.append(
      draw("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }),
      draw("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, number(tick)));
  }
  const time = axisTime(end - begin, timeZone);
  const moments = right - left > 220 ? [begin, (begin + end) / 2, end] : [begin, end];
  for (const at of moments) {
    const anchor = at === begin ? "start" : at === end ? "end" : "middle";
    picture.append(draw("text", { x: x(at), y: height - 6, "text-anchor": anchor }, time.format(at)));
  }

  const ends = lines.map(({ points }) => points.findLast((point) => point.points !== null));
  const heights = spreadOut(ends.map((last) => (last ? y(last.points) : bottom)), LABEL_HEIGHT, bottom);
  lines.forEach(({ name, points }, i) => {
    const kind = `line line-${i + 1}${name === chosen ? " chosen" : ""}`;
    picture.append(draw("path", { class: kind, d: pathOf(points, x, y) }));
    if (lines.length > 1 && ends[i]) {
      const from = x(ends[i].at);
      picture.append(
        draw("path", { class: "leader", d: `M${from + 3} ${y(ends[i].points)}L${right + 8} ${heights[i]}` }),
        draw("text", { class: `label ${kind}`, x: right + 12, y: heights[i] + 4 }, draw("title", {}, name), shorten(name)));
    }
  });
  return picture;
}

const isDrawable = (lines) => {
  const moments = lines.flatMap(({ points }) => points).filter(({ points }) => points !== null).map(({ at }) => at);
  return new Set(moments).size > 1;
};

/** The line of one user, without labels. */
export function showLine(place, line, timeZone) {
  if (!isDrawable([line])) {
    place.replaceChildren();
    return;
  }
  const label = `Points of ${line.name} over time`;
  place.replaceChildren(linesPicture({ lines: [line], chosen: line.name, timeZone, width: place.clientWidth, height: 96, label }));
}

export function showRace(figure, lines, chosen, timeZone) {
  const place = figure.querySelector(".picture");
  const drawable = isDrawable(lines);
  figure.querySelector("details").hidden = !drawable;
  if (!drawable) {
    place.replaceChildren("There is nothing to draw yet: lines need two snapshots with points.");
    return;
  }
  const label = `Points over time of ${lines.map(({ name }) => name).join(", ")}`;
  place.replaceChildren(linesPicture({ lines, chosen, timeZone, width: place.clientWidth, height: 240, label }));
  const moments = [...new Set(lines.flatMap(({ points }) => points.map(({ at }) => at)))].sort((a, b) => a - b);
  const known = lines.map(({ points }) => new Map(points.map((point) => [point.at, point.points])));
  const time = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium", timeZone });
  const cells = (at) => known.map((points) => (points.get(at) == null ? "–" : number(points.get(at))));
  figure.querySelector(".data").replaceChildren(
    table("Points over time", ["Time", ...lines.map(({ name }) => name)], moments.map((at) => [time.format(at), ...cells(at)])));
}

export function showShares(figure, shares) {
  const place = figure.querySelector(".picture");
  figure.querySelector("details").hidden = shares.length === 0;
  if (shares.length === 0) {
    place.replaceChildren("No program has points in this window yet.");
    return;
  }
  const width = place.clientWidth;
  const step = 36;
  const most = Math.max(...shares.map(({ share }) => share));
  const label = shares.map(({ name, share }) => `${name} ${percent(share)}`).join(", ");
  const picture = draw("svg", { viewBox: `0 0 ${width} ${shares.length * step}`, width, height: shares.length * step, role: "img", "aria-label": `Points by program: ${label}` });
  shares.forEach(({ name, points, share }, i) => {
    const top = i * step;
    const letters = Math.max(8, Math.floor((width - 120) / 8.5));
    picture.append(
      draw("text", { class: "name", x: 0, y: top + 14 }, draw("title", {}, name), name.length <= letters ? name : `${name.slice(0, letters - 1)}…`),
      draw("text", { x: width, y: top + 14, "text-anchor": "end" }, `${number(points)} · ${percent(share)}`),
      draw("rect", { class: "rail", x: 0, y: top + 20, width, height: 6, rx: 3 }),
      draw("rect", { class: name === "others" ? "bar others" : "bar", x: 0, y: top + 20, width: Math.max(2, (share / most) * width), height: 6, rx: 3 }));
  });
  place.replaceChildren(picture);
  figure.querySelector(".data").replaceChildren(
    table("Points by program", ["Program", "Points", "Share"], shares.map(({ name, points, share }) => [name, number(points), percent(share)])));
}
