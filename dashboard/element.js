// Makes elements. What comes from outside becomes text or the value of an attribute, never markup.

export const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const make = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

export const draw = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

/** Words for those who hear the page. */
export const heard = (text) => make("span", { class: "heard" }, text);

/** Changes the text of an element only if it differs, so that nothing is laid out or spoken again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes these the children, in this order. All are put in anew if any has moved; the focus stays. */
export function arrange(parent, children) {
  const same = children.length === parent.children.length && children.every((child, i) => child === parent.children[i]);
  if (same) return;
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren(...children);
  if (focused?.isConnected) focused.focus({ preventScroll: true });
  else if (focused) parent.closest("[tabindex]")?.focus({ preventScroll: true });
}

/** A table of plain cells whose first column heads its rows. */
export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((text) => make("td", {}, text))));
  return make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
}
