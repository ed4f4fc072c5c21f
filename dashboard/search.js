// Finds a user by a part of the id: a combobox with suggestions.

import { byId, make } from "./element.js";
import { number } from "./format.js";

const DEBOUNCE_MS = 200;

const input = byId("search-text");
const list = byId("suggestions");

let timer = 0;
let asking = new AbortController();
let active = -1;

function close() {
  clearTimeout(timer);
  asking.abort();
  list.hidden = true;
  list.replaceChildren();
  input.setAttribute("aria-expanded", "false");
  activate(-1);
}

function activate(index) {
  active = index;
  [...list.children].forEach((option, i) => option.setAttribute("aria-selected", `${i === index}`));
  if (index < 0) input.removeAttribute("aria-activedescendant");
  else {
    input.setAttribute("aria-activedescendant", list.children[index].id);
    list.children[index].scrollIntoView({ block: "nearest" });
  }
}

function open(entries) {
  list.replaceChildren(...entries.map(({ user_id, rank, points }, i) =>
    make("li", { id: `suggestion-${i}`, role: "option", "data-suggest": user_id },
      make("span", { class: "name" }, user_id),
      " ",
      make("span", { class: "points" }, `${number(rank)}. · ${number(points)}`))));
  list.hidden = entries.length === 0;
  input.setAttribute("aria-expanded", `${entries.length > 0}`);
  activate(-1);
}

/** `find(text, signal)` gives entries; `choose(user)` shows one. */
export function startSearch(find, choose) {
  async function suggest() {
    asking = new AbortController();
    const { signal } = asking;
    // Without suggestions one can still type the whole id, so that a failure needs no words here.
    const entries = await find(input.value.trim(), signal).catch(() => []);
    if (!signal.aborted) open(entries);
  }

  function take(user) {
    close();
    input.value = "";
    choose(user);
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    asking.abort();
    if (input.value.trim() === "" || !input.validity.valid) close();
    else timer = setTimeout(suggest, DEBOUNCE_MS);
  });
  input.addEventListener("keydown", (event) => {
    const count = list.children.length;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && count > 0) {
      event.preventDefault();
      // One place more than there are suggestions: that of the text itself.
      activate(((active + 1 + step + count + 1) % (count + 1)) - 1);
    } else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      event.preventDefault();
      close();
    }
  });
  input.addEventListener("blur", close);
  // The input keeps the focus while a suggestion is pressed, or the list would be gone before the click.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[data-suggest]");
    if (option) take(option.dataset.suggest);
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    take(list.children[active]?.dataset.suggest ?? input.value.trim());
  });
}
