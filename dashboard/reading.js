// Reads the points of lines at a moment. Only who points at a chart, or gives it the focus, loads this module.

import { make } from "./element.js";
import { number } from "./format.js";

const isKnown = ({ points }) => points !== null;

/** The last known points of each line at a moment: `[{name, points}]`, points null before the first. */
export const pointsAt = (lines, moment) =>
  lines.map(({ name, points }) => ({ name, points: points.findLast((point) => point.at <= moment && isKnown(point))?.points ?? null }));

/** The index of the moment nearest to `wanted`. */
export function nearest(at, wanted) {
  const far = (i) => Math.abs(at[i] - wanted);
  return [...at.keys()].reduce((best, i) => (far(i) < far(best) ? i : best));
}

// The moment that is read in a place, kept over a refresh; Infinity for the last one.
const readings = new WeakMap();

/**
 * Pointer and arrow keys read the points at each moment of a plot. Called before the plot is put into its place, since
 * taking the earlier one away ends what is read there; what it returns is called after that, and goes on reading.
 */
export function startReading(place, plot, { marker, at, x, bottom, width }, lines, time) {
  const last = at.length - 1;
  const known = readings.get(place);
  const reading = make("div", { class: "reading", hidden: "" });
  plot.append(reading);

  function read(index) {
    const moment = at[index];
    const values = pointsAt(lines, moment).map(({ name, points }) => [name, points === null ? "–" : number(points)]);
    readings.set(place, index === last ? Infinity : moment);
    plot.setAttribute("aria-valuenow", index);
    plot.setAttribute("aria-valuetext", `${time.format(moment)}: ${values.map((value) => value.join(" ")).join(", ")}`);
    marker.setAttribute("d", `M${x(moment)} 0V${bottom}`);
    reading.replaceChildren(make("b", {}, time.format(moment)), ...values.map(([name, points], i) =>
      make("p", { class: `line-${i + 1}` }, make("span", { class: "name", dir: "auto" }, name), points)));
    reading.classList.toggle("left", x(moment) > width / 2);
    reading.hidden = false;
  }

  function stop() {
    readings.delete(place);
    reading.hidden = true;
    marker.removeAttribute("d");
  }

  plot.onpointermove = plot.onpointerdown = ({ clientX }) => {
    const across = (clientX - plot.getBoundingClientRect().left - x(at[0])) / (x(at[last]) - x(at[0]));
    read(nearest(at, at[0] + across * (at[last] - at[0])));
  };
  // A plot that was drawn under a resting pointer is never entered, so its leaving is not told to it.
  place.onpointerleave = () => document.activeElement === plot || stop();
  plot.onblur = stop;
  plot.onkeydown = (event) => {
    const now = Number(plot.getAttribute("aria-valuenow"));
    const to = { ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1, Home: 0, End: last }[event.key];
    if (to !== undefined) read(Math.min(last, Math.max(0, to)));
    else if (event.key === "Escape" && !reading.hidden) stop();
    else return;
    event.preventDefault();
  };
  return () => {
    plot.onfocus = () => plot.matches(":focus-visible") && read(last);
    if (known !== undefined) read(known === Infinity ? last : nearest(at, known));
  };
}
