import { get, post } from "./api.js";
import { byId, say } from "./element.js";
import { userPath } from "./view.js";

const WATCH_EVERY_MS = 1000;
const WATCH_SECONDS_MAX = 120;

const form = byId("post");
const tell = (text) => say("post-result", text);

let posted = 0;

async function pointsOf(user) {
  try {
    return (await get(userPath("global", user, "window=all&around=0"))).document.entry.points;
  } catch ({ code }) {
    // Comparing with NaN is false, so unknown points are no progress.
    return code === "user_not_on_board" ? 0 : NaN;
  }
}

function refuse({ field, detail }) {
  tell(field ? `${field}: ${detail}` : detail);
  const input = form.elements.namedItem(field);
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

async function submit(onBoard) {
  const activity = Object.fromEntries(new FormData(form));
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  tell("Posting…");
  try {
    const before = await pointsOf(activity.user_id);
    const { status, activity_id, error } = await post(activity);
    if (error) refuse(error);
    else await watch(activity.user_id, before, `Activity ${activity_id} ${status}`, onBoard);
  } catch (problem) {
    const advice = problem.unreachable ? " Check the board before you post again." : "";
    refuse(problem.results?.[0]?.error ?? { field: problem.field, detail: `${problem.message}${advice}` });
  }
}

async function watch(user, before, accepted, onBoard) {
  posted += 1;
  const watched = posted;
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  tell(`${accepted}. Waiting for it to appear on the board…`);
  while (seconds() < WATCH_SECONDS_MAX) {
    await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
    // Only the latest activity is watched.
    if (watched !== posted) return;
    if ((await pointsOf(user)) > before) {
      tell(`${accepted}. It appeared on the board after ${seconds().toFixed(1)} s.`);
      onBoard();
      return;
    }
  }
  tell(`${accepted}. It is not on the board after two minutes. It is saved: check the board later.`);
}

export function startPosting(onBoard) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(onBoard);
  });
}
