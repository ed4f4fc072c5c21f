import { byId, make, nameText, portray, say } from "./element.js";
import { number } from "./format.js";
import { texts } from "./texts.js";
import { isUser } from "./view.js";

const DEBOUNCE_MS = 200;

const input = byId("search-text");
const list = byId("suggestions");

let timer = 0;
let asking = new AbortController();
let active = -1;
// The text for which people were found to choose from.
let offered = null;

function stop() {
  clearTimeout(timer);
  asking.abort();
}

function suggestion(entry, i) {
  const option = make("li", { id: `suggestion-${i}`, role: "option", "data-user": entry.user_id },
    nameText("span", entry), " ",
    make("span", { class: "id" }, entry.name === undefined ? "" : entry.user_id), " ",
    make("span", { class: "points" }, `#${number(entry.rank)} · ${number(entry.points)}`));
  portray(option, entry);
  return option;
}

function open(entries, note = "") {
  list.replaceChildren(...entries.map(suggestion));
  list.hidden = entries.length === 0;
  input.setAttribute("aria-expanded", `${!list.hidden}`);
  say("search-note", note);
  activate(-1);
}

function close() {
  stop();
  open([]);
}

const isOpen = () => !list.hidden || byId("search-note").textContent !== "";

/** Highlights a suggestion; -1 is the typed text itself. */
function activate(index) {
  active = index;
  [...list.children].forEach((option, i) => option.setAttribute("aria-selected", `${i === index}`));
  input.setAttribute("aria-activedescendant", list.children[index]?.id ?? "");
}

/** Suggests people while one types. Returns what searches for the text as it is. */
export function startSearch(find, choose) {
  /** Lists whom the API finds. Resolves to them; to null if something else was asked meanwhile. */
  async function suggest(text) {
    stop();
    asking = new AbortController();
    const { signal } = asking;
    const found = await find(text, signal).catch(() => null);
    if (signal.aborted) return null;
    // Without suggestions a whole id can still be found.
    const advice = isUser(text) ? ` ${texts.pressFind}` : "";
    if (found === null) open([], texts.noSearch + advice);
    else open(found, found.length === 0 ? texts.nobodyFound(text) + advice : "");
    return found ?? [];
  }

  function take(user) {
    close();
    input.value = "";
    offered = null;
    choose(user);
  }

  // A text may be a whole id of someone who is not listed, though it is a part of others' names and ids.
  async function submit(text) {
    const canBeId = isUser(text);
    if (text === offered && canBeId) return take(text);
    const found = await suggest(text);
    if (found === null) return;
    const [first, second] = found;
    if (found.some(({ user_id }) => user_id === text) || (!first && canBeId)) return take(text);
    if (first && !second && !canBeId) return take(first.user_id);
    // Leaving the field closes the list.
    input.focus();
    if (!first) return;
    offered = text;
    say("search-note", canBeId ? texts.choosePersonOrId(text) : texts.choosePerson);
  }

  input.addEventListener("input", () => {
    stop();
    offered = null;
    if (input.validity.valid) timer = setTimeout(() => suggest(input.value.trim()), DEBOUNCE_MS);
    else close();
  });
  input.addEventListener("keydown", (event) => {
    const places = list.children.length + 1;
    const step = { ArrowDown: 1, ArrowUp: places - 1 }[event.key];
    if (step) activate(((active + 1 + step) % places) - 1);
    else if (event.key === "Escape" && isOpen()) close();
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
  // A press would blur the input, which closes the list before the click.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", ({ target }) => take(target.closest("li").dataset.user));
  // One may have typed while this module was loaded.
  if (input === document.activeElement && input.value) input.dispatchEvent(new Event("input"));
  return () => {
    const chosen = list.children[active]?.dataset.user;
    if (chosen) take(chosen);
    else submit(input.value.trim());
  };
}
