import { get, post } from "./api.js";
import { byId, say } from "./element.js";
import { userPath } from "./view.js";

const WATCH_EVERY_MS = 1000;
const WATCH_SECONDS_MAX = 120;

const form = byId("post");
const tell = (text) => say("post-result", text);

let posted = 0;
// Its answer was lost. Sent again with the same id, it counts once.
let unanswered = null;

async function pointsOf(user) {
  try {
    return (await get(userPath("global", user, "window=all&around=0"))).document.entry.points;
  } catch ({ code }) {
    // Comparing with NaN is false, so unknown points are no progress.
    return code === "user_not_on_board" ? 0 : NaN;
  }
}

// crypto.randomUUID needs HTTPS or localhost.
const newId = () => `page-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

function activityOf(fields) {
  const isAgain = unanswered !== null && Object.entries(fields).every(([name, value]) => unanswered[name] === value);
  return isAgain ? unanswered : { activity_id: newId(), ...fields };
}

const labelOf = (field) => form.elements.namedItem(field)?.labels?.[0].firstChild.textContent.trim();

/** "user_id is empty" becomes "User is empty". */
function inWords({ field, detail }) {
  const label = field && labelOf(field);
  if (!label) return detail;
  return detail.startsWith(field) ? `${label}${detail.slice(field.length)}` : `${label}: ${detail}`;
}

function refuse(error) {
  tell(inWords(error));
  const input = error.field && form.elements.namedItem(error.field);
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

function conflict({ fields }) {
  const which = fields?.length > 0 ? ` (${fields.join(", ")})` : "";
  tell(`Another activity has this id${which}. Yours was not counted. Press Post again: it gets a new id.`);
}

async function submit(onBoard) {
  const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
  const activity = activityOf(fields);
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  posted += 1;
  tell("Posting…");
  try {
    const before = await pointsOf(activity.user_id);
    const result = await post(activity);
    unanswered = null;
    if (result.error) refuse(result.error);
    else if (result.status === "duplicate") {
      tell(`Activity ${activity.activity_id} had arrived before. It counts once.`);
      onBoard();
    } else return { user: activity.user_id, before, accepted: `Activity ${result.activity_id} ${result.status}` };
  } catch (problem) {
    unanswered = problem.unreachable ? activity : null;
    if (problem.unreachable) tell(`${problem.message} The activity may have arrived. Press Post again: it counts once.`);
    else if (problem.code === "conflict") conflict(problem);
    else refuse(problem.results?.[0]?.error ?? { field: problem.field, detail: problem.message });
  }
  return null;
}

async function watch({ user, before, accepted }, onBoard) {
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

/** Posts for this user only; without one, there is no form. */
export function postFor(user) {
  const input = form.elements.namedItem("user_id");
  form.hidden = user === null;
  input.value = user ?? "";
  input.readOnly = true;
}

export function startPosting(onBoard) {
  const button = form.querySelector("button");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    const accepted = await submit(onBoard);
    button.disabled = false;
    if (accepted !== null) watch(accepted, onBoard);
  });
}
