import { get } from "./api.js";
import { change, newId } from "./change.js";
import { posting } from "./config.js";
import { styled } from "./demand.js";
import { make, say } from "./element.js";
import { kindsOf, versionAt } from "./policy.js";
import { texts } from "./texts.js";
import { userPath } from "./view.js";

const WATCH_EVERY_MS = 1000;
const WATCH_SECONDS_MAX = 120;

// Fields that only some kinds need. Who posts for themselves may not send points.
const NUMBERS = posting === "self" ? ["quantity"] : ["quantity", "points"];

const TYPED = { autocomplete: "off", autocapitalize: "none" };
const COUNTED = { type: "number", min: 0, disabled: "" };
const form = make("form", { id: "post", hidden: "", novalidate: "" },
  make("h2", {}, texts.postHead),
  make("label", {}, texts.user, " ", make("input", { name: "user_id", ...TYPED })),
  make("label", {}, texts.program, " ", make("input", { name: "program_id", list: "program-ids", ...TYPED })),
  make("label", {}, texts.kind, " ", make("select", { name: "kind" })),
  make("p", { id: "post-hint" }),
  make("label", { hidden: "" }, texts.quantity, " ", make("input", { name: "quantity", ...COUNTED })),
  make("label", { hidden: "" }, texts.points, " ", make("input", { name: "points", ...COUNTED })),
  make("button", {}, texts.post),
  make("p", { id: "post-result", role: "status" }));
// The form comes with its style, and posts without it.
await styled("post.css").catch(() => {});
document.querySelector("main:not(#invitation)").append(form);
const fieldOf = (name) => form.elements.namedItem(name);
const tell = (text) => say("post-result", text);

// The kinds that the form offers; null while they are not known.
let kinds = null;
let posted = 0;
// Its answer was lost. Sent again with the same id, it counts once.
let unanswered = null;

/** Offers the kinds of the scoring policy. While it cannot be loaded, one types a kind. */
async function offerKinds() {
  try {
    const { versions } = (await get("/v1/policy")).document;
    kinds = kindsOf(versionAt(versions, Date.now())).filter(({ needs }) => needs === null || NUMBERS.includes(needs));
  } catch {}
  const old = fieldOf("kind");
  const field = kinds === null
    ? make("input", { value: old.value, ...TYPED })
    : make("select", {}, ...kinds.map(({ kind, name }) => new Option(name, kind, false, kind === old.value)));
  field.name = "kind";
  field.setAttribute("aria-describedby", "post-hint");
  old.replaceWith(field);
  showKind();
}

function showKind() {
  const chosen = kinds?.find(({ kind }) => kind === fieldOf("kind").value);
  for (const name of NUMBERS) {
    const field = fieldOf(name);
    field.disabled = field.labels[0].hidden = kinds !== null && chosen?.needs !== name;
    field.max = chosen?.max ?? "";
  }
  say("post-hint", kinds === null ? texts.kindsUnknown : chosen?.words ?? "");
}

// Not the points: an activity may be worth none.
async function activitiesOf(user) {
  try {
    return (await get(userPath("global", user, "window=all&around=0"))).document.entry.activities;
  } catch ({ code }) {
    // Comparing with NaN is false, so an unknown number is no progress.
    return code === "user_not_on_board" ? 0 : NaN;
  }
}

function activityOf(fields) {
  const isAgain = unanswered !== null && Object.entries(fields).every(([name, value]) => unanswered[name] === value);
  return isAgain ? unanswered : { activity_id: newId("page"), ...fields };
}

const labelOf = (field) => fieldOf(field)?.labels?.[0].firstChild.textContent.trim();

/** "user_id is empty" becomes "User is empty". */
function inWords({ field, detail }) {
  const label = field && labelOf(field);
  if (!label) return detail;
  return detail.startsWith(field) ? `${label}${detail.slice(field.length)}` : `${label}: ${detail}`;
}

async function refuse(error) {
  tell(inWords(error));
  // The policy may have changed.
  await offerKinds();
  const input = error.field && fieldOf(error.field);
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

function conflict({ fields }) {
  tell(texts.conflict(fields?.length > 0 ? ` (${fields.join(", ")})` : ""));
}

async function submit(onBoard) {
  const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
  for (const name of NUMBERS) fields[name] = fields[name] ? Number(fields[name]) : undefined;
  const activity = activityOf(fields);
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  posted += 1;
  tell(texts.posting);
  try {
    const before = await activitiesOf(activity.user_id);
    const [result] = (await change("POST", "/v1/activities", activity)).results;
    unanswered = null;
    if (result.error) await refuse(result.error);
    else if (result.status === "duplicate") {
      tell(texts.duplicate(activity.activity_id));
      onBoard();
    } else return { user: activity.user_id, before, accepted: texts.accepted(result.activity_id) };
  } catch (problem) {
    unanswered = problem.unreachable ? activity : null;
    if (problem.unreachable) tell(`${problem.message} ${texts.mayHaveArrived}`);
    else if (problem.code === "conflict") conflict(problem);
    else await refuse(problem.results?.[0]?.error ?? { field: problem.field, detail: problem.message });
  }
  return null;
}

async function watch({ user, before, accepted }, onBoard) {
  const watched = posted;
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  tell(`${accepted} ${texts.watching}`);
  while (seconds() < WATCH_SECONDS_MAX) {
    await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
    // Only the latest activity is watched.
    if (watched !== posted) return;
    if ((await activitiesOf(user)) > before) {
      tell(`${accepted} ${texts.appeared(seconds())}`);
      onBoard();
      return;
    }
  }
  tell(`${accepted} ${texts.notYet}`);
}

/** Posts for this user only; without one, there is no form. */
export function postFor(user) {
  const input = fieldOf("user_id");
  form.hidden = user === null;
  input.value = user ?? "";
  input.readOnly = true;
  if (user !== null) offerKinds();
}

export function startPosting(onBoard) {
  const button = form.querySelector("button");
  if (posting === "anyone") {
    form.hidden = false;
    offerKinds();
  }
  form.addEventListener("change", showKind);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    const accepted = await submit(onBoard);
    button.disabled = false;
    if (accepted !== null) watch(accepted, onBoard);
  });
}
