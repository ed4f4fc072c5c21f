// The list of one kind of record: as far as it was read, filtered and sorted.

import { arrange, make, say, write } from "../element.js";
import { count, number } from "../format.js";
import { isUser } from "../view.js";
import { go } from "./address.js";
import { hasMore, ID_FIELDS, isRead, isWhole, readMore, recordsOf } from "./directory.js";

const ROWS_SHOWN_MAX = 200;

const capital = (text) => text.replace(/^./, (letter) => letter.toUpperCase());

/** A button that submits no form. */
export function makeButton(words, action, attributes = {}) {
  const button = make("button", { type: "button", ...attributes }, words);
  button.addEventListener("click", action);
  return button;
}

/** Makes the list in its panel; `editor.js` says of what. */
export function makeList(panel, { kind, one, title, about, tools = [], nameOf, columns, others }) {
  const idOf = (record) => record[ID_FIELDS[kind]];
  const filter = make("input", { type: "search", "aria-label": `Filter ${kind}`, placeholder: "Filter", autocomplete: "off", autocapitalize: "none", dir: "auto" });
  const exact = makeButton("", () => go(kind, filter.value.trim()));
  const found = make("p", { class: "hint", role: "status" });
  const heads = [one, ...columns.map(([head]) => head)].map((head) => make("th", { scope: "col" }, capital(head)));
  const rows = make("tbody");
  const table = make("table", { class: "records" }, make("thead", {}, make("tr", {}, ...heads)), rows);
  const more = makeButton("Load more", loadMore);
  panel.append(
    make("div", { class: "title" }, make("h2", {}, title), makeButton(`Add a ${one}`, () => go(kind, "")), ...tools),
    make("p", { class: "hint" }, about),
    make("div", { class: "buttons" }, filter, exact, found),
    table,
    more,
  );
  // Records that the directory lacks.
  let extra = [];

  function show() {
    const wanted = filter.value.trim();
    const text = wanted.toLowerCase();
    const records = recordsOf(kind);
    const all = [...records.values(), ...extra.filter((record) => !records.has(idOf(record)))];
    const isFound = (record) => [nameOf(record), idOf(record), ...columns.map(([, textOf]) => textOf(record))].some((each) => each.toLowerCase().includes(text));
    const matching = all.filter(isFound).sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
    arrange(rows, matching.slice(0, ROWS_SHOWN_MAX).map(rowOf));
    table.hidden = matching.length === 0;
    more.hidden = !isRead(kind) || !hasMore(kind);
    const isKnown = all.some((record) => idOf(record) === wanted) || (isWhole(kind) && matching.length > 0);
    exact.hidden = isKnown || !isUser(wanted);
    write(exact, `Open “${wanted}”`);
    write(found, wordsOf(matching.length, all.length));
  }

  function wordsOf(matching, all) {
    if (!isRead(kind)) return "Loading…";
    const whole = isWhole(kind) ? count(all, one, kind) : `${count(all, one, kind)} loaded, and there are more`;
    if (matching <= ROWS_SHOWN_MAX) return matching === all ? `${whole}.` : `${number(matching)} of ${whole}.`;
    return `The first ${number(ROWS_SHOWN_MAX)} of ${count(matching, one, kind)}. ${isWhole(kind) ? "" : `${whole}. `}Filter to see others.`;
  }

  function rowOf(record) {
    const [name, id] = [nameOf(record), idOf(record)];
    const open = makeButton(name, () => go(kind, id), { class: "name", dir: "auto", "data-choose": id });
    const cells = columns.map(([, textOf]) => make("td", {}, textOf(record)));
    return make("tr", {}, make("td", {}, open, make("span", { class: "record-id" }, name === id ? "" : id)), ...cells);
  }

  async function loadMore() {
    more.disabled = true;
    try {
      await readMore(kind);
    } catch ({ message }) {
      say("said", `${message} Try again.`);
    }
    more.disabled = false;
    show();
  }

  filter.addEventListener("input", show);

  return {
    show,
    focus: (id) => rows.querySelector(`[data-choose="${CSS.escape(id)}"]`)?.focus(),
    /** Reads the first page, if need be, and shows the list. */
    async load() {
      show();
      if (!isRead(kind)) await readMore(kind);
      extra = await others();
      show();
    },
  };
}
