import { byId, make, say } from "./element.js";
import { number } from "./format.js";

const DEBOUNCE_MS = 200;

const input = byId("search-text");
const list = byId("suggestions");

let timer = 0;
let asking = new AbortController();
let active = -1;

function stop() {
  clearTimeout(timer);
  asking.abort();
}

function open(entries, note = "") {
  list.replaceChildren(...entries.map(({ user_id, rank, points }, i) =>
    make("li", { id: `suggestion-${i}`, role: "option", "data-user": user_id },
      make("span", { class: "name", title: user_id }, user_id), " ",
      make("span", { class: "points" }, `#${number(rank)} · ${number(points)}`))));
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

export function startSearch(find, choose) {
  async function suggest() {
    asking = new AbortController();
    const { signal } = asking;
    const text = input.value.trim();
    // Without suggestions a whole id can still be found.
    const advice = "Press Find if it is a whole id.";
    const found = await find(text, signal).catch(() => null);
    if (signal.aborted) return;
    if (found === null) open([], `The search does not work now. ${advice}`);
    else open(found, found.length === 0 ? `No id on this board contains “${text}”. ${advice}` : "");
  }

  function take(user) {
    close();
    input.value = "";
    choose(user);
  }

  input.addEventListener("input", () => {
    stop();
    if (input.validity.valid) timer = setTimeout(suggest, DEBOUNCE_MS);
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
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    take(list.children[active]?.dataset.user ?? input.value.trim());
  });
}
