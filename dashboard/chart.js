// The charts, which are loaded when they come near. They are drawn at their real pixel width, so that text is never scaled.

import { onDemand } from "./demand.js";
import { byId, fill, make } from "./element.js";
import { DAY, fullTime, inZone, number, percent, SECONDS, sumOf, TIME } from "./format.js";
import { lettersOf, personOf } from "./person.js";
import { partsOf, partWords } from "./shares.js";
import { texts } from "./texts.js";

const LEADERS = 5;
const SHARES_MAX = 8;
const LABEL = { width: 124, height: 15 };
const BAR_HEIGHT = 38;
// A name has at least this much of its line beside its numbers.
const NAME_PART = 0.35;

const isKnown = ({ points }) => points !== null;
const isPositive = ({ points }) => points > 0;

/** A user's line: `{user, name, points: [{at, points}]}`, `at` in milliseconds, `points` null where unknown. */
function line(user, at, points) {
  const { name = user } = personOf(user);
  return { user, name, points: at.map((moment, i) => ({ at: Date.parse(moment), points: points[i] })) };
}

/** A user's line, from the board's history if it has the user, else from their own. */
export function lineOf({ entry: { user_id }, history }, board) {
  const user = board?.users.find((each) => each.user_id === user_id);
  if (user) return line(user_id, board.at, user.points);
  return line(user_id, history.map(({ at }) => at), history.map(({ points }) => points));
}

export function linesOf(board, chosen) {
  const lines = board.users.slice(0, LEADERS).map(({ user_id, points }) => line(user_id, board.at, points));
  const missing = chosen && lines.every(({ user }) => user !== chosen.entry.user_id);
  if (missing) lines.push(lineOf(chosen, board));
  // Two people may have one name.
  const isShared = ({ name }) => lines.filter((each) => each.name === name).length > 1;
  return lines.map((each) => (isShared(each) && each.name !== each.user ? { ...each, name: `${each.name} (${each.user})` } : each));
}

/** The programs with the most points, and the rest as one; none without positive points. */
export function sharesOf(boards) {
  const parts = partsOf(boards);
  const rest = parts.pop();
  const programs = parts.filter(isPositive);
  const others = [...programs.splice(SHARES_MAX), rest].filter(isPositive);
  const sum = (name) => sumOf(others.map((part) => part[name]));
  if (others.length > 0) programs.push({ name: texts.others, points: sum("points"), share: sum("share"), whole: sum("whole") });
  return programs;
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

/** For a time axis of `span` milliseconds. */
export function axisTime(span, timeZone) {
  const days = span / 86_400_000;
  if (days < 0.01) return inZone(timeZone, SECONDS);
  if (days <= 1) return inZone(timeZone, TIME);
  return inZone(timeZone, days < 300 ? DAY : { month: "short", year: "numeric" });
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

const draw = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const canvas = (width, height, label) => draw("svg", { width, height, role: "img", "aria-label": label });
const words = (text, x, y, more) => draw("text", { x, y, ...more }, text);
const ENDING = { "text-anchor": "end" };

/** A name, cut off at `width` pixels. Hovering shows all of it. Measured once it is in the page. */
function nameIn(name, width, x, y, more) {
  const text = words(name, x, y, more);
  queueMicrotask(() => {
    const length = text.getComputedTextLength();
    if (length <= width) return;
    const letters = lettersOf(name);
    let kept = Math.floor((letters.length * width) / length);
    // Isolated, so that the dots are where the name ends in its own direction.
    do text.textContent = `\u2068${letters.slice(0, (kept -= 1)).join("")}…\u2069`; while (kept > 1 && text.getComputedTextLength() > width);
    text.append(draw("title", {}, name));
  });
  return text;
}

/** Draws the lines, with the points at a moment for whoever points at it; null if they span no time. */
function linesPicture(lines, chosen, timeZone, width, height) {
  const known = lines.flatMap(({ points }) => points.filter(isKnown));
  const moments = known.map(({ at }) => at);
  const begin = Math.min(...moments);
  const end = Math.max(...moments);
  if (!(begin < end)) return null;
  const values = known.map(({ points }) => points);
  const ticks = ticksOf(Math.min(0, ...values), Math.max(0, ...values));
  const left = 8 * (1 + Math.max(...ticks.map((tick) => number(tick).length)));
  const right = width - (lines.length > 1 ? LABEL.width : 4);
  const bottom = height - 24;
  const x = (at) => left + ((at - begin) / (end - begin)) * (right - left);
  const y = (points) => bottom - ((points - ticks[0]) / (ticks.at(-1) - ticks[0])) * (bottom - 8);
  const picture = canvas(width, height, `${texts.race}: ${lines.map(({ name }) => name).join(", ")}`);
  for (const tick of ticks) {
    picture.append(
      draw("path", { class: tick === 0 ? "zero" : "grid", d: `M${left} ${y(tick)}H${right}` }),
      words(number(tick), left - 6, y(tick) + 4, ENDING));
  }
  const time = axisTime(end - begin, timeZone);
  picture.append(words(time.format(begin), left, height - 6), words(time.format(end), right, height - 6, ENDING));

  const ends = lines.map(({ points }) => points.findLast(isKnown)?.points ?? ticks[0]);
  const heights = spreadOut(ends.map(y), LABEL.height, bottom);
  lines.forEach(({ user, name, points }, i) => {
    const kind = `line-${i + 1}${user === chosen ? " chosen" : ""}`;
    picture.append(draw("path", { class: kind, d: pathOf(points, x, y) }));
    if (lines.length > 1) {
      picture.append(nameIn(name, width - right - 12, right + 12, heights[i] + 4, { class: `label ${kind}` }));
    }
  });
  const marker = draw("path", { class: "marker" });
  picture.append(marker);
  const at = [...new Set(moments)].sort((a, b) => a - b);
  return { picture, marker, at, x, bottom, width };
}

let startReading = null;
const loadReading = onDemand("./reading.js", (module) => {
  startReading = module.startReading;
}, "reading.css");

/** Shows a picture of lines. Whoever points at it or gives it the focus loads what reads the points at each moment. */
function showLines(place, drawn, lines, timeZone) {
  const last = drawn.at.length - 1;
  const time = fullTime(timeZone);
  const focused = place.contains(document.activeElement);
  const plot = make("div", {
    class: "plot", role: "slider", tabindex: 0, "aria-label": texts.atMoment,
    "aria-valuemin": 0, "aria-valuemax": last, "aria-valuenow": last, "aria-valuetext": time.format(drawn.at[last]),
  }, drawn.picture);
  const goOn = startReading?.(place, plot, drawn, lines, time);
  place.replaceChildren(plot);
  if (focused) plot.focus({ preventScroll: true });
  if (goOn) return goOn();
  const listen = (begin) => {
    plot.onfocus = plot.onpointermove = plot.onpointerdown = begin;
  };
  listen(function begin(event) {
    listen(null);
    loadReading().then(() => {
      // It may have been drawn again meanwhile.
      if (!plot.isConnected) return;
      startReading(place, plot, drawn, lines, time)();
      plot[`on${event.type}`](event);
    }, () => listen(begin));
  });
}

function table(heads, rows) {
  const row = (kind) => ([first, ...rest]) =>
    make("tr", {}, make("th", {}, first), ...rest.map((text) => make(kind, {}, text)));
  return make("table", {}, make("thead", {}, row("th")(heads)), make("tbody", {}, ...rows.map(row("td"))));
}

// The details keep their place while there is nothing to show, so that nothing below moves.
function fillTable(figure, heads, rows) {
  figure.querySelector(".data").replaceChildren(table(heads, rows));
  figure.classList.remove("nothing");
}

function showNothing(figure, why) {
  figure.querySelector(".picture").replaceChildren(why);
  figure.classList.add("nothing");
}

function showLine(place, own, timeZone) {
  const drawn = linesPicture([own], own.user, timeZone, place.clientWidth, 96);
  if (drawn === null) place.replaceChildren();
  else showLines(place, drawn, [own], timeZone);
}

function showRace(figure, lines, chosen, timeZone) {
  const place = figure.querySelector(".picture");
  const drawn = linesPicture(lines, chosen, timeZone, place.clientWidth, 240);
  if (drawn === null) return showNothing(figure, texts.noLines);
  showLines(place, drawn, lines, timeZone);
  const all = lines.map(({ points }) => new Map(points.filter(isKnown).map((point) => [point.at, number(point.points)])));
  const moments = [...new Set(lines.flatMap(({ points }) => points.map(({ at }) => at)))].sort((a, b) => a - b);
  const time = fullTime(timeZone);
  const rows = moments.map((at) => [time.format(at), ...all.map((points) => points.get(at) ?? "–")]);
  fillTable(figure, [texts.time, ...lines.map(({ name }) => make("bdi", {}, name))], rows);
}

function showShares(figure, shares) {
  if (shares.length === 0) return showNothing(figure, texts.noShares);
  const width = figure.querySelector(".picture").clientWidth;
  const label = `${texts.byProgram}: ${shares.map(({ name, whole, share }) => `${name} ${percent(whole, share)}`).join(", ")}`;
  const picture = canvas(width, shares.length * BAR_HEIGHT, label);
  const most = Math.max(...shares.map(({ share }) => share));
  shares.forEach((part, i) => {
    const { name, share } = part;
    const y = i * BAR_HEIGHT + 20;
    const numbers = partWords(part);
    picture.append(
      nameIn(name, Math.max(width * NAME_PART, width - 8 * numbers.length - 12), 0, y - 6, { class: "name" }),
      words(numbers, width, y - 6, ENDING),
      draw("rect", { y, width: (share / most) * width, height: 6, rx: 3 }));
  });
  const rows = shares.map(({ name, points, whole, share }) => [name, number(points), percent(whole, share)]);
  figure.querySelector(".picture").replaceChildren(picture);
  fillTable(figure, [texts.program, texts.points, texts.share], rows);
}

/** Draws what is known. `reasons` say why something is not, each by its part of the page. */
export function showCharts({ history, programs, user }, reasons, view) {
  const board = history?.document ?? null;
  const person = user?.document ?? null;
  if (board) showRace(byId("race"), linesOf(board, person), view.user, board.window.time_zone);
  else if (reasons.history) showNothing(byId("race"), reasons.history);
  const ofPerson = byId("user-line");
  if (person && ofPerson && view.period === null) showLine(ofPerson, lineOf(person, board), person.window.time_zone);
  if (programs) showShares(byId("shares"), sharesOf(programs.document.boards));
  else if (reasons.programs) showNothing(byId("shares"), reasons.programs);
}
