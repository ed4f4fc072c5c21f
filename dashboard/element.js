// Makes elements. External data becomes text or attribute values, never markup.

import { hueOf, initialsOf } from "./person.js";
import { texts } from "./texts.js";

export const byId = (id) => document.getElementById(id);

export function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const make = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

// Text for screen readers only, and a sign that is hidden from them.
export const heard = (words) => make("span", { class: "heard" }, words);
export const seen = (sign) => make("span", { "aria-hidden": "true" }, sign);

/** Gives an element the avatar of a person, which the style sheet draws once there are names. */
export function portray(element, { user_id, name }) {
  element.dataset.initials = initialsOf({ user_id, name });
  element.style.setProperty("--hue", hueOf(user_id));
  if (name !== undefined || user_id === undefined) document.body.classList.add("named");
}

// A long name is cut off on the page: its title shows all of it, and the id. Names of any script keep their direction
// to themselves.
function describe(element, { user_id, name }) {
  element.title = name === undefined ? user_id : `${name}\n${user_id}`;
  write(element, name ?? user_id);
  return element;
}

export const nameText = (kind, person) => describe(make(kind, { class: "name", dir: "auto" }), person);

/** The name of a person, to press; of someone anonymous, a text. An `earlier` button is used again, and keeps the focus. */
export function nameButton(person, earlier) {
  const { user_id } = person;
  if (user_id === undefined) return make("span", { class: "name" }, texts.anonymous);
  const button = earlier?.matches("button") ? earlier : make("button", { class: "name", dir: "auto" });
  button.dataset.choose = user_id;
  return describe(button, person);
}

/** Links to ids that differ from the requested one in case only, if there are any. */
export function otherCase(ids = [], link) {
  return ids.length === 0 ? [] : [make("p", {}, texts.otherCase, ...ids.flatMap((id) => [" ", link(id)]))];
}

/** Skips unchanged text, which would be laid out and spoken again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const say = (id, text) => write(byId(id), text);

/** Replaces the children; the focus stays on the same user or record. */
export function arrange(parent, children) {
  if (children.length === parent.children.length && children.every((child, i) => child === parent.children[i])) return;
  const focused = parent.querySelector(":focus");
  parent.replaceChildren(...children);
  if (focused === null) return;
  const again = focused.isConnected
    ? focused
    : parent.querySelector(`[data-choose="${CSS.escape(focused.dataset.choose)}"]`) ?? parent.closest("[tabindex]");
  again?.focus({ preventScroll: true });
}
