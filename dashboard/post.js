// Posts an activity and watches for it to be on the board. Only where the page may post.

import { get, post } from "./api.js";
import { byId, write } from "./element.js";
import { userPath } from "./view.js";

const WATCH_EVERY_MS = 1000;
const WATCH_MS_MAX = 120_000;

const form = byId("post");
const result = byId("post-result");
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let watched = 0;

async function pointsOf(user) {
  try {
    return (await get(userPath("global", user, "window=all&around=0"))).document.entry.points;
  } catch (problem) {
    if (problem.code === "user_not_on_board") return 0;
    throw problem;
  }
}

function showRefusal({ field, detail }) {
  write(result, field ? `${field}: ${detail}` : detail);
  const input = form.elements.namedItem(field);
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

async function watch(user, before, accepted) {
  watched += 1;
  const watching = watched;
  const begin = performance.now();
  while (performance.now() - begin < WATCH_MS_MAX) {
    await wait(WATCH_EVERY_MS);
    if (watching !== watched) return false;
    // A try that fails is followed by the next one.
    const points = await pointsOf(user).catch(() => before);
    if (points > before) {
      write(result, `${accepted}; on the board after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
      return true;
    }
  }
  write(result, `${accepted}; not on the board after two minutes. The line at the top tells why.`);
  return false;
}

async function submit(onBoard) {
  const activity = Object.fromEntries(new FormData(form));
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  write(result, "Posting …");
  try {
    const before = await pointsOf(activity.user_id).catch(() => 0);
    const { status, activity_id, error } = await post(activity);
    if (status === "rejected") {
      showRefusal(error);
      return;
    }
    const accepted = `${status} as ${activity_id}`;
    write(result, `${accepted}; waiting for it to be on the board …`);
    if (await watch(activity.user_id, before, accepted)) onBoard();
  } catch (problem) {
    showRefusal(problem.results?.[0]?.error ?? { field: problem.field, detail: problem.message });
  }
}

/** `onBoard` is called when a posted activity has reached the board. */
export function startPosting(onBoard) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(onBoard);
  });
}
