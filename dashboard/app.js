// Shows one board and keeps it fresh. All text reaches the page through textContent.

import { api } from "./config.js";

const REFRESH_MS = 2000;
const view = new URLSearchParams(location.search);
const element = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

let shown = null;

function describeFreshness(freshness, now) {
  const age = Math.max(0, Math.round((now - Date.parse(freshness.generated_at)) / 1000));
  const lag = freshness.lag_seconds === null ? "not measured yet" : `${freshness.lag_seconds.toFixed(1)} s`;
  const facts = `Updated ${age} s ago, lag ${lag}, backlog ${number.format(freshness.backlog)}.`;
  return freshness.stale ? `STALE (${freshness.stale_reasons.join(", ")}): do not trust this board. ${facts}` : facts;
}

function describeHeading(board) {
  const { first_day, last_day, time_zone } = board.window;
  const days = first_day === null ? "all time" : first_day === last_day ? first_day : `${first_day} to ${last_day}`;
  return `${number.format(board.participants)} people, ${number.format(board.points)} points, ${days} (${time_zone})`;
}

function describeChange(change) {
  if (change === null) return "new";
  if (change === 0) return "";
  return change > 0 ? `▲ ${change}` : `▼ ${-change}`;
}

function row(entry) {
  const tr = document.createElement("tr");
  const cells = [
    number.format(entry.rank),
    entry.user_id,
    number.format(entry.points),
    number.format(entry.activities),
    describeChange(entry.change),
  ];
  for (const text of cells) {
    tr.insertCell().textContent = text;
  }
  return tr;
}

function render() {
  if (shown === null) return;
  const freshness = element("freshness");
  freshness.textContent = describeFreshness(shown.freshness, Date.now());
  freshness.classList.toggle("stale", shown.freshness.stale);
}

async function get(path) {
  const response = await fetch(`${api}${path}`);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail ?? `The API answered ${response.status}.`);
  return body;
}

async function refresh() {
  const board = element("board").value;
  const window = element("window").value;
  try {
    const document = await get(`/v1/boards/${encodeURIComponent(board)}?window=${window}&limit=100`);
    shown = document;
    element("heading").textContent = describeHeading(document);
    element("entries").replaceChildren(...document.entries.map(row));
    render();
    await refreshBoards();
  } catch (error) {
    const freshness = element("freshness");
    freshness.textContent = `The board cannot be read: ${error.message}`;
    freshness.classList.add("stale");
  }
}

async function refreshBoards() {
  const { boards } = await get("/v1/boards");
  const select = element("board");
  const known = new Set(Array.from(select.options, (option) => option.value));
  for (const { board } of boards) {
    if (!known.has(board)) select.append(new Option(board, board));
  }
  const wanted = view.get("board");
  if (wanted !== null && select.value !== wanted && boards.some(({ board }) => board === wanted)) {
    select.value = wanted;
    await refresh();
  }
}

function choose() {
  view.set("board", element("board").value);
  view.set("window", element("window").value);
  history.replaceState(null, "", `?${view}`);
  refresh();
}

element("window").value = view.get("window") ?? "all";
element("board").addEventListener("change", choose);
element("window").addEventListener("change", choose);
setInterval(refresh, REFRESH_MS);
setInterval(render, 1000);
refresh();
