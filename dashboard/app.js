// Wires the page: the view in its address, the documents of the view, and the parts that show them.

import { get, lastAnswer } from "./api.js";
import { showBoard, showLoading, showPodium, showProblem } from "./board.js";
import { lineOf, linesOf, showRace, showShares } from "./chart.js";
import { ingest } from "./config.js";
import { byId, write } from "./element.js";
import { csvOf, download, fileName, jsonOf } from "./export.js";
import { ageSeconds, judge } from "./freshness.js";
import { setMe, whoIsMe } from "./me.js";
import { startPosting } from "./post.js";
import { sharesOf, showCurrent, showPrograms } from "./programs.js";
import { keepFresh } from "./refresh.js";
import { startSearch } from "./search.js";
import { showUser, showUserLine, showUserLoading, showUserName, showUserProblem } from "./user.js";
import { documentsOf, pagesOf, parseView, searchPath, titleOf, withRows, writeView } from "./view.js";

const TICK_MS = 1000;
const SLEPT_MS = 5000;
const PACE_SECONDS_USUAL = 60;

const tabs = [...document.querySelectorAll("[role=tab]")];

let view = parseView(location.search);
// The answer that each part of the page shows.
let shown = {};
// Why the last try to get the board failed, in words.
let trouble = null;
let pace = PACE_SECONDS_USUAL;

const parts = {
  board: {
    show({ document }) {
      showBoard(document, view, whoIsMe());
      if (view.from === 1) showPodium(document.entries.slice(0, 4));
    },
    fail(problem) {
      if (!shown.board || !problem.unreachable) {
        delete shown.board;
        showProblem(view, problem.message);
      }
    },
  },
  leaders: {
    show: ({ document }) => showPodium(document.entries),
    fail() {},
  },
  programs: {
    show({ document }) {
      showPrograms(document, view);
      showShares(byId("shares"), sharesOf(document.boards));
    },
    fail() {},
  },
  history: {
    show: showLines,
    fail: (problem) => showMissing("race", problem),
  },
  user: {
    show({ document }) {
      showUser(document);
      showLines();
    },
    fail(problem) {
      if (!shown.user || !problem.unreachable) {
        delete shown.user;
        showUserProblem(problem.message);
        showLines();
      }
    },
  },
};

function showMissing(figure, problem) {
  if (!shown.history) byId(figure).querySelector(".picture").replaceChildren(problem.message);
}

// Two documents make these pictures, and either may come first.
function showLines() {
  const history = shown.history?.document ?? null;
  const user = shown.user?.document ?? null;
  const { time_zone } = (history ?? user)?.window ?? {};
  if (history !== null) showRace(byId("race"), linesOf(history, user), view.user, time_zone);
  if (user !== null) showUserLine(lineOf(user, history === null ? [] : linesOf(history, user)), time_zone);
}

function show(part, answer) {
  if (shown[part] === answer) return;
  shown[part] = answer;
  parts[part].show(answer);
}

/** Asks for one document of the view; resolves to what went wrong, or null. */
async function loadPart(part, path, signal) {
  try {
    const answer = await get(path, signal);
    if (part === "board") noteBoard(answer);
    show(part, answer);
    return null;
  } catch (problem) {
    if (signal.aborted) return null;
    if (part === "board") trouble = problem.unreachable && problem.code !== "nothing_published" ? problem.message : null;
    parts[part].fail(problem);
    return problem;
  } finally {
    if (part === "board" && !signal.aborted) tick();
  }
}

function noteBoard(answer) {
  trouble = null;
  // Only a new document tells the pace: its age now, and the time until the next one.
  if (answer !== shown.board && !answer.document.freshness.stale) {
    pace = ageSeconds(answer, performance.now()) + answer.maxAge;
  }
}

async function load(signal) {
  const asked = Object.entries(documentsOf(view)).filter(([, path]) => path !== null);
  const problems = await Promise.all(asked.map(([part, path]) => loadPart(part, path, signal)));
  const board = problems[0];
  const failed = board ?? problems.find((problem) => problem?.unreachable);
  if (failed) return { failed: true, retryAfter: failed.retryAfter };
  return { failed: false, maxAge: shown.board?.maxAge };
}

let slept = { wall: Date.now(), monotonic: performance.now() };

function tick() {
  const now = performance.now();
  const { state, alarm, facts, asOf } = judge({ answer: shown.board ?? null, trouble, online: navigator.onLine, pace, now });
  write(byId("trust"), state);
  byId("freshness").dataset.state = state;
  write(byId("facts"), facts);
  write(byId("alarm"), alarm ?? "");
  byId("alarm").hidden = alarm === null;
  document.querySelector("main").classList.toggle("old", asOf !== null);
  byId("as-of").hidden = asOf === null;
  write(byId("as-of"), asOf ?? "");
  noticeSleep(now);
}

// The monotonic clock may stand still while the device sleeps, and the age with it: then ask anew.
function noticeSleep(monotonic) {
  const wall = Date.now();
  const asleep = wall - slept.wall - (monotonic - slept.monotonic);
  slept = { wall, monotonic };
  if (asleep > SLEPT_MS && !document.hidden) refresh();
}

/** Shows a view: at once what is known of it, then what the API answers. */
function enter(next) {
  view = next;
  shown = {};
  document.title = titleOf(view);
  for (const tab of tabs) {
    const selected = tab.dataset.window === view.window;
    tab.setAttribute("aria-selected", `${selected}`);
    tab.tabIndex = selected ? 0 : -1;
  }
  byId("panel").setAttribute("aria-labelledby", `tab-${view.window}`);
  byId("rows").value = view.rows;
  byId("my-rank").hidden = whoIsMe() === null;
  showCurrent(view);
  showUserName(view.user);
  const documents = documentsOf(view);
  if (lastAnswer(documents.board) === null) showLoading();
  if (view.user !== null && lastAnswer(documents.user) === null) showUserLoading();
  for (const [part, path] of Object.entries(documents)) {
    const answer = path && lastAnswer(path);
    if (answer) show(part, answer);
  }
  tick();
  refresh();
}

function go(change) {
  const next = { ...view, ...change };
  const search = writeView(next);
  if (search !== writeView(view)) history.pushState(null, "", search || location.pathname);
  enter(next);
}

function choose(user) {
  go({ user });
  byId("user-name").focus();
}

function closeUser() {
  const { user } = view;
  go({ user: null });
  const row = document.querySelector(`tr[data-user="${CSS.escape(user)}"] button`);
  (row ?? byId("search-text")).focus();
}

const refresh = keepFresh(load);

for (const tab of tabs) {
  tab.addEventListener("click", () => go({ window: tab.dataset.window, from: 1 }));
}
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = tabs.at(to % tabs.length);
  tab.focus();
  tab.click();
});
document.addEventListener("click", (event) => {
  const board = event.target.closest("a[data-board]");
  const user = event.target.closest("[data-choose]");
  const page = event.target.closest("[data-page]");
  // With a key held down, a link opens elsewhere.
  if (board && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    go({ board: board.dataset.board, from: 1 });
  } else if (user) {
    choose(user.dataset.choose);
  } else if (page) {
    go({ from: pagesOf(view, shown.board.document.listed)[page.dataset.page] });
    byId("board").scrollIntoView({ block: "nearest" });
  }
});
byId("rows").addEventListener("change", (event) => go(withRows(view, Number(event.target.value))));
byId("close-user").addEventListener("click", closeUser);
byId("my-rank").addEventListener("click", () => choose(whoIsMe()));
byId("toggle-me").addEventListener("click", () => {
  setMe(view.user === whoIsMe() ? null : view.user);
  enter(view);
});
byId("csv").addEventListener("click", () => save("csv", "text/csv;charset=utf-8", csvOf));
byId("json").addEventListener("click", () => save("json", "application/json", jsonOf));

function save(extension, type, write) {
  const document = shown.board?.document;
  if (document) download(fileName(document, extension), type, write(document));
}

startSearch(async (text, signal) => (await get(searchPath(view, text), signal)).document.entries, choose);
if (ingest !== null) startPosting(refresh);

addEventListener("popstate", () => enter(parseView(location.search)));
addEventListener("offline", tick);
addEventListener("online", tick);
addEventListener("resize", () => {
  if (shown.programs) parts.programs.show(shown.programs);
  showLines();
});
setInterval(tick, TICK_MS);
enter(view);
