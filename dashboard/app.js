// Connects the view in the URL, its API documents and the page parts that show them.

import { get, lastAnswer } from "./api.js";
import { hideBars, loadMoves, showBoard, showLoading, showPodium, showProblem, teamRow } from "./board.js";
import { hasQuests, login, posting } from "./config.js";
import { onDemand, styled } from "./demand.js";
import { byId, say } from "./element.js";
import { ageSeconds, judge } from "./freshness.js";
import { identify, isMyTeamKnown, noteMyTeam, setMe, setMyTeam, whichIsMyTeam, whoIsMe } from "./me.js";
import { learn, personOf } from "./person.js";
import { EARLIER, learnPeriods, showPeriods } from "./periods.js";
import { forgetPoints, showCurrent, showPrograms } from "./programs.js";
import { keepFresh } from "./refresh.js";
import { texts } from "./texts.js";
import { boardPath, documentsOf, isTeam, learnTitle, nameOf, pagesOf, pageWith, parseView, searchPath, settled, START, TEAMS, titleOf, userPath, writeView } from "./view.js";

const SLEPT_MS = 5000;

const tabs = [...document.querySelectorAll("[role=tab]")];
const refresh = keepFresh(load);

let view;
// The answer that each part of the page shows.
let shown = {};
// Why a part has nothing to show, as text.
let reasons = {};
// The rows of the view's board; null until they are known.
let listed = null;
// The board of the view that was loaded last; null until one was.
let latest = null;
// When the view's board was first requested; null once there is an answer of any kind.
let asked = null;
// Why the last request for the board failed, as text.
let trouble = null;
// Why the API has no place for who looks at the page, as a code.
let absent = null;
// Seconds between snapshots, as of the last board.
let pace = 60;
let clocksApart = Infinity;

// A part is dimmed while it has nothing of the view to show.
function setBusy(part, busy) {
  for (const place of document.querySelectorAll(`[data-part=${part}]`)) place.ariaBusy = `${busy}`;
}

// Nobody moves on a board that is over.
const rowsOf = ({ team_score, period, entries }) =>
  team_score === undefined ? (period ? entries.map((entry) => ({ ...entry, change: undefined })) : entries) : entries.map(teamRow);

const show = {
  board(document) {
    listed = document.listed;
    const entries = rowsOf(document);
    const isNewer = latest?.generation < document.generation && latest.window.first_day === document.window.first_day;
    showBoard({ ...document, entries }, view, isNewer);
    if (document.title !== undefined) {
      showTitle();
      if (shown.programs) show.programs(shown.programs.document);
    }
    if (view.from === 1) showPodium(entries);
  },
  leaders(document) {
    showPodium(rowsOf(document));
  },
  programs(document) {
    showPrograms(document, view);
    if (document.season || view.window === "season") loadSeason().catch(() => {});
    if (view.period !== null) forgetPoints();
  },
  user(document) {
    card?.showUser(document);
    loadCharts().catch(() => {});
  },
  you({ team }) {
    followTeam(team?.team_id ?? null);
  },
};

const fail = {
  board: (...why) => showProblem(view, ...why),
  programs: forgetPoints,
  you(text, otherCase, code) {
    absent = code;
    lookForTeam();
  },
  user: (...why) => card?.showUserProblem(...why),
};

// Few visits scroll to the charts: they are loaded once they come near, or with a card. A failed load is tried again
// with the next board.
let charts = null;
const loadCharts = onDemand("./chart.js", (module) => {
  charts = module;
  showCharts();
}, "chart.css");
const near = new IntersectionObserver(([{ isIntersecting }]) => {
  if (isIntersecting) loadCharts().catch(() => {});
}, { rootMargin: "100%" });

// What is observed anew is told of at once.
function lookForCharts() {
  near.disconnect();
  if (charts === null) near.observe(byId("charts"));
}

function showCharts() {
  charts?.showCharts(shown, reasons, view);
}

function put(part, answer) {
  if (shown[part] === answer) return;
  shown[part] = answer;
  delete reasons[part];
  learn(answer.document);
  show[part]?.(answer.document);
  showCharts();
  setBusy(part, false);
  if (part === "board") asked = null;
  if (part === "programs") card?.showByProgram();
}

// Resolves to the problem, or null.
async function loadPart(part, path, signal) {
  let problem = null;
  try {
    const answer = await get(path, signal);
    if (part === "board") noteBoard(answer);
    put(part, answer);
    if (part === "board") latest = answer.document;
  } catch (error) {
    if (signal.aborted) return null;
    problem = error;
    if (part === "board") trouble = problem.unreachable ? problem.message : null;
    // The old document stays, unless the API says that it is gone.
    if (!shown[part] || !problem.unreachable) {
      delete shown[part];
      reasons[part] = problem.message;
      fail[part]?.(problem.message, problem.otherCase, problem.code);
      showCharts();
      setBusy(part, false);
      if (part === "board") asked = null;
    }
  }
  if (part === "board") lookForCharts();
  tick();
  return problem;
}

// The board of a team says what it is called.
async function followTeam(team) {
  if (isMyTeamKnown(team)) return;
  const me = whoIsMe();
  let board = team && `team:${team}`;
  try {
    if (board) learnTitle(board, (await get(`${boardPath(board)}?limit=1`)).document.title);
  } catch ({ status }) {
    if (status !== 404) return;
    board = null;
  }
  if (me !== whoIsMe()) return;
  noteMyTeam(team, board);
  showToggleTeam();
  for (const part of ["board", "programs"]) if (shown[part]) show[part](shown[part].document);
}

// Who has no place in the view may have one of all time, whose document tells the team, too. It is looked for once.
let sought = null;
async function lookForTeam() {
  const me = whoIsMe();
  if (sought === me) return;
  sought = me;
  const { document } = await get(userPath(START.board, me, "window=all&around=0")).catch(() => ({}));
  if (document && me === whoIsMe()) show.you(document);
}

function noteBoard(answer) {
  trouble = null;
  // Pace: age plus time to the next snapshot. Only a new document gives both.
  if (answer !== shown.board && !answer.document.freshness.stale) pace = ageSeconds(answer, performance.now()) + answer.maxAge;
}

// Only who has a row of their own loads this module. A failed load is tried again with the next refresh.
let showYou = null;
const loadBar = onDemand("./you.js", (module) => {
  showYou = module.showYou;
  tick();
}, "you.css");

// Only a deployment with seasons, or who looks for one, loads this module.
let season = null;
const loadSeason = onDemand("./season.js", (module) => {
  season = module;
  tick();
}, "season.css");

// Only a deployment with quests loads this module. A failed load is tried again with the next refresh.
const loadQuests = onDemand("./quests.js", ({ startQuests }) => startQuests(choose), "quests.css");
async function followQuests(signal) {
  const { document } = await get("/v1/quests", signal);
  if (document.quests.length === 0) return;
  (await loadQuests())({ document, view, me: whoIsMe(), you: shown.you?.document, zone: latest?.window.time_zone, signal });
}

async function load(signal) {
  // A login is loaded first.
  if (view === undefined) return { failed: true, retryAfter: 0 };
  if (latest !== null) loadMoves().catch(() => {});
  if (whoIsMe() !== null) loadBar().catch(() => {});
  const asked = Object.entries(documentsOf(view, whoIsMe())).filter(([, path]) => path !== null);
  const [board, ...others] = await Promise.all(asked.map(([part, path]) => loadPart(part, path, signal)));
  if (hasQuests) followQuests(signal).catch(() => {});
  const problem = board ?? others.find((other) => other?.unreachable);
  return problem ? { failed: true, retryAfter: problem.retryAfter } : { maxAge: shown.board?.maxAge };
}

function tick() {
  const now = performance.now();
  const { state, alarm, facts, measures, asOf } = judge({ answer: shown.board ?? null, trouble, online: navigator.onLine, pace, now, asked });
  byId("freshness").dataset.state = state;
  byId("alarm").hidden = alarm === "";
  byId("as-of").hidden = asOf === "";
  document.querySelector("main").classList.toggle("old", asOf !== "");
  say("trust", texts.states[state]);
  say("alarm", alarm);
  say("facts", facts);
  say("measures", measures);
  say("as-of", asOf);
  if (whoIsMe() !== null) showYou?.({ me: whoIsMe(), team: whichIsMyTeam(), view, board: shown.board, you: shown.you, absent, now });
  season?.showSeason({ ...shown, view, now });

  // The monotonic clock, and so the age, may stop while the device sleeps.
  const apart = Date.now() - now;
  if (apart - clocksApart > SLEPT_MS) refresh();
  clocksApart = apart;
}

function showToggleTeam() {
  say("toggle-team", view.board === whichIsMyTeam() ? texts.notMyTeam : texts.myTeam);
}

function showTitle() {
  document.title = titleOf(view);
}

// Shows cached answers for a view at once, then loads new ones.
function enter(next) {
  if (["board", "window", "period"].some((name) => next[name] !== view?.[name])) {
    listed = null;
    hideBars();
  }
  view = next;
  shown = {};
  reasons = {};
  absent = null;
  latest = null;
  asked = performance.now();
  forget();
  showTitle();
  byId("race").hidden = view.board === TEAMS;
  // Charts are of the current period.
  for (const part of document.querySelectorAll(".jump, #charts, #user-line")) part.hidden = view.period !== null;
  showPeriods(view);
  for (const tab of tabs) {
    const selected = tab.id === `tab-${view.window}`;
    tab.setAttribute("aria-selected", `${selected}`);
    tab.tabIndex = selected ? 0 : -1;
  }
  byId("panel").setAttribute("aria-labelledby", `tab-${view.window}`);
  byId("rows").value = view.rows;
  byId("you").hidden = whoIsMe() === null;
  byId("toggle-team").hidden = !isTeam(view.board);
  showToggleTeam();
  byId("user").hidden = view.user === null;
  card?.showUserName(view.user === null ? null : personOf(view.user));
  showCurrent(view);
  showLoading(view, listed);
  card?.showUserProblem(texts.loading);
  for (const [part, path] of Object.entries(documentsOf(view, whoIsMe()))) {
    setBusy(part, path !== null);
    const answer = path && lastAnswer(path);
    if (answer) put(part, answer);
  }
  tick();
  refresh();
  if (view.user !== null && card === null) loadCard().then(() => enter(view), tellInCard);
}

function go(change) {
  const next = settled({ ...view, ...change });
  const search = writeView(next);
  if (search !== writeView(view)) history.pushState(null, "", search || location.pathname);
  enter(next);
}

async function choose(user) {
  go({ user, ...(view.board === TEAMS && { board: START.board, from: START.from }) });
  await loadCard().catch(tellInCard);
  byId("user-name")?.focus();
}

// A name of the board is that of a person or of a team.
function open(id) {
  if (view.board === TEAMS) go({ board: `team:${id}`, from: START.from });
  else choose(id);
}

const tellInCard = ({ message }) => say("user", message);
let card = null;
const loadCard = onDemand("./card.js", (module) => {
  card = module;
  module.startCard({ closeUser, toggleMe, current: () => ({ view, boards: shown.programs?.document.boards }) });
}, "card.css");

function toggleMe() {
  sought = null;
  setMe(view.user === whoIsMe() ? null : view.user);
  enter(view);
}

function closeUser() {
  const row = document.querySelector(`#board [data-choose="${CSS.escape(view.user)}"]`);
  go({ user: null });
  (row ?? byId("search-text")).focus();
}

// Why an action failed stays until the next one, whatever boards come meanwhile.
const tell = ({ message }) => say("notice", message);
const forget = () => say("notice", "");

const loadExport = onDemand("./export.js");
function save({ target }) {
  // It keeps to its view, whatever the page shows by then.
  const saved = view;
  loadExport().then(({ saveAs }) => saveAs(target, saved)).catch(({ message }) => say("saved", texts.notSaved(message)));
}

const loadHow = onDemand("./how.js", (module) => module, "how.css");

const onClick = (id, action) => byId(id).addEventListener("click", action);

for (const tab of tabs) onClick(tab.id, () => go({ window: tab.id.slice("tab-".length), period: null, from: 1 }));
const loadEarlier = onDemand("./earlier.js");
byId("period").addEventListener("change", async ({ target }) => {
  if (target.value !== EARLIER) return go({ period: target.value || null, from: 1 });
  const asked = view;
  forget();
  try {
    const { earlierOf } = await loadEarlier();
    learnPeriods(asked.window, await earlierOf(asked));
  } catch (problem) {
    tell(problem);
  }
  showPeriods(view);
  // Refused if that took long.
  try {
    target.showPicker();
  } catch {}
});
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const offered = tabs.filter((tab) => !tab.hidden);
  const at = offered.indexOf(event.target);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = offered.at(to % offered.length);
  tab.focus();
  tab.click();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-board]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ board: link.dataset.board, from: 1 });
});
onClick("pages", ({ target }) => {
  const from = pagesOf(view, listed)[target.value];
  if (!from) return;
  go({ from });
  byId("board").scrollIntoView({ block: "nearest" });
});
document.addEventListener("click", ({ target }) => {
  const name = target.closest("[data-choose]");
  const row = target.closest("tr[data-user]");
  // Dragging over a row selects its text.
  if (name) open(name.dataset.choose);
  else if (row && getSelection().isCollapsed) open(row.dataset.user);
});
document.addEventListener("keydown", (event) => {
  const isUsed = event.defaultPrevented || event.target.value;
  if (event.key === "Escape" && view.user !== null && !isUsed) closeUser();
});
byId("rows").addEventListener("change", ({ target }) => go(pageWith(view.from, Number(target.value))));
onClick("csv", save);
onClick("json", save);
onClick("how", () => {
  forget();
  loadHow().then(({ showHow }) => showHow()).catch(tell);
});
onClick("you", () => (byId("you").dataset.of === "team" ? go({ board: whichIsMyTeam(), from: START.from }) : choose(whoIsMe())));
onClick("toggle-team", () => {
  setMyTeam(view.board === whichIsMyTeam() ? null : view.board, nameOf(view.board));
  enter(view);
});

const searching = onDemand("./search.js", ({ startSearch }) => startSearch(async (text, signal) => {
  const { document } = await get(searchPath(view, text), signal);
  learn(document);
  return document.entries;
}, choose), "search.css");
const search = (act) => searching().then(act, ({ message }) => say("search-note", message));
byId("search").addEventListener("focusin", () => search(() => {}));
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  say("search-note", texts.searching);
  search((submit) => submit());
});

addEventListener("popstate", () => enter(parseView(location.search)));
addEventListener("offline", tick);
addEventListener("online", tick);
addEventListener("resize", showCharts);
setInterval(tick, 1000);

// Only a deployment where one posts loads this module.
const poster = posting && import("./post.js");
poster?.then(({ startPosting }) => startPosting(refresh));

function meet(user) {
  identify(user);
  if (posting === "self") poster.then(({ postFor }) => postFor(user));
}

// Only a deployment with login loads these modules.
if (login !== null) {
  const [{ startLogin }] = await Promise.all([import("./login.js"), styled("login.css")]);
  meet(startLogin((user) => {
    meet(user);
    enter(view);
  }));
}
enter(parseView(location.search));
