// Corrections: takes activities back and adjusts points, and lists what was corrected.

import { get } from "../api.js";
import { change, newId } from "../change.js";
import { make, say, write } from "../element.js";
import { count, fullTime, number } from "../format.js";
import { isUser, userPath } from "../view.js";
import { go } from "./address.js";
import { choiceField, hiddenField, makeForm, numberField, textField } from "./form.js";
import { WRONG_ID } from "./profiles.js";

const PAGE_CORRECTIONS = 100;
const LISTED_MAX = 10_000;

const VOID = "void";
const ADJUST = "adjust";

const signed = (points) => `${points > 0 ? "+" : ""}${count(points, "point")}`;

// What is sent again has the same id, so it counts once.
const id = hiddenField("correction_id");
const what = choiceField("what", "What to correct", [
  [VOID, "Void an activity.", "It does not count any more, as if it had never been posted. Boards of periods that are closed keep it, and say so."],
  [ADJUST, "Adjust points.", "Adds points to someone in a program, or takes some away."],
]);
const person = textField("user_id", "Person", "The id of the person.");
const activity = textField("voids", "Activity", "The id of the activity, as it was posted.");
const program = textField("program_id", "Program", "The id of the program.");
const points = numberField("points", "Points", "Such as 15 or \u22125; from \u22121\u202f000\u202f000 to 1\u202f000\u202f000.");
const reason = textField("reason", "Reason", "For whoever asks later: 1 to 200 characters. It is kept for good.");

const form = makeForm({
  key: "corrections",
  fields: [id, what, person, activity, program, points, reason],
  buttons: [make("button", { class: "primary" }, "Review")],
  send: review,
});
const heading = make("h3", { tabindex: "-1" }, "This is what will change");
const meaning = make("ul");
const failure = make("p", { class: "note", role: "alert" });
const confirm = make("button", { type: "button", class: "primary" }, "Correct");
const back = make("button", { type: "button" }, "Back");
const reviewed = make("div", { class: "confirm", hidden: "" }, heading, meaning, failure, make("div", { class: "buttons" }, confirm, back));

const whose = make("input", { "aria-label": "Person whose corrections to list", placeholder: "Id of a person", autocomplete: "off", autocapitalize: "none", dir: "auto" });
const search = make("form", { class: "buttons", role: "search" }, whose, make("button", {}, "List"));
const listed = make("p", { class: "hint", role: "status" });
const list = make("ol", { class: "history" });
const more = make("button", { type: "button", hidden: "" }, "Load more");

// The correction that waits for its confirmation.
let correction = null;
// The person whose corrections are listed, those that were read, and the cursor of the next page.
let shown = { user: null, corrections: [], next: null };
let timeZone = null;

function showFields() {
  const isVoid = what.value() === VOID;
  activity.element.hidden = !isVoid;
  program.element.hidden = points.element.hidden = isVoid;
}

function startAnew(user) {
  form.show({ correction_id: newId("admin"), what: what.value(), user_id: user }, "");
  showFields();
  leaveReview();
}

function leaveReview() {
  correction = null;
  reviewed.hidden = true;
  form.element.hidden = false;
}

const correctionOf = ({ correction_id, what, user_id, voids, program_id, points, reason }) =>
  ({ correction_id, user_id, ...(what === VOID ? { voids } : { program_id, points }), reason });

// The API checks the rest.
function check(values) {
  for (const field of [person, activity, program]) {
    const value = values[field.name];
    if (value !== undefined && !isUser(value ?? "")) return { field: field.name, detail: `${field.label} ${value === null ? "is empty" : WRONG_ID}` };
  }
  if ("points" in values && !Number.isSafeInteger(values.points)) return { field: "points", detail: "Points must be a whole number" };
  return values.reason === null ? { field: "reason", detail: "Reason is empty" } : null;
}

async function review(values) {
  const sent = correctionOf(values);
  const fault = check(sent);
  if (fault) return form.refuse(fault);
  form.tell("");
  const lines = sent.voids === undefined ? await adjustmentInWords(sent) : voidInWords(sent);
  meaning.replaceChildren(...[...lines, `Reason: ${sent.reason}`].map((line) => make("li", {}, line)));
  write(failure, "");
  correction = sent;
  form.element.hidden = true;
  reviewed.hidden = false;
  heading.focus();
  go("corrections", sent.user_id);
}

const voidInWords = ({ user_id, voids }) => [
  `The activity ${voids} of ${user_id} is taken out of all time, and of each day, week, month and season that is not closed yet: its points, and one activity.`,
  "A void cannot be taken back. The points can be given again by an adjustment.",
];

async function adjustmentInWords({ user_id, program_id, points }) {
  const change = points < 0 ? `${user_id} loses ${count(-points, "point")}` : `${user_id} gets ${count(points, "point")}`;
  return [`${change} in the program ${program_id}, in the day, week, month and season of now and in all time.`, await pointsInWords(user_id, program_id, points)];
}

async function pointsInWords(user, program, points) {
  try {
    const { entry } = (await get(userPath(`program:${program}`, user, "window=all&around=0").replace("/v1/", "/v1/private/"))).document;
    return `That makes ${number(entry.points + points)} instead of ${count(entry.points, "point")} in all time.`;
  } catch ({ code, message }) {
    if (code === "user_not_on_board") return `${user} has no points there so far.`;
    if (code === "board_not_found") return `The program ${program} has no board so far. Check its id: this makes one.`;
    return `The points of now cannot be shown. ${message}`;
  }
}

async function submit() {
  if (confirm.disabled) return;
  confirm.disabled = back.disabled = true;
  write(failure, "");
  say("said", "");
  const { user_id } = correction;
  try {
    const { status, first_correction_id: first } = (await change("POST", "/v1/corrections", correction)).results[0];
    startAnew(user_id);
    say("said", wordsOf(status, first));
    await load(user_id);
  } catch (problem) {
    refuse(problem);
  }
  confirm.disabled = back.disabled = false;
}

function wordsOf(status, first) {
  if (status === "accepted") return "Accepted. It is counted within seconds, and boards show it with the next snapshot.";
  return first === undefined ? "This correction had arrived before. It counts once." : `The activity was voided before, by the correction ${first}. Nothing changed.`;
}

function refuse(problem) {
  const wrong = problem.results?.[0]?.error;
  if (problem.unreachable) write(failure, `${problem.message} The correction may have arrived. Press Correct again: it counts once.`);
  else if (problem.code === "conflict") {
    id.set(newId("admin"));
    leaveReview();
    form.tell(`This was sent before with something else (${problem.fields?.join(", ") ?? "other content"}), and that counts: see the list. To correct more, change what is here and press Review.`);
    load(person.value());
  } else if (wrong) {
    leaveReview();
    form.refuse(wrong);
  } else write(failure, problem.message);
}

// The list.

const titleOf = ({ voids, kind, points, program_id }) =>
  voids === undefined ? `${signed(points)} in ${program_id}` : `Void of the activity ${voids} (${kind}) in ${program_id}`;

function itemOf(each) {
  const time = `${fullTime(timeZone).format(Date.parse(each.received_at))} ${timeZone}`;
  const details = [time, each.posted_by && `by ${each.posted_by}`, `correction ${each.correction_id}`].filter(Boolean).join(" · ");
  return make("li", {}, make("b", {}, titleOf(each)), make("p", { dir: "auto" }, each.reason), make("p", { class: "hint" }, details));
}

function showList() {
  const { user, corrections, next } = shown;
  const latestFirst = [...corrections].sort((a, b) => Date.parse(b.received_at) - Date.parse(a.received_at));
  list.replaceChildren(...latestFirst.map(itemOf));
  more.hidden = next === null || corrections.length >= LISTED_MAX;
  if (user === null) write(listed, "Give the id of a person to see what was corrected.");
  else if (corrections.length === 0) write(listed, `Nothing was corrected for ${user}.`);
  else write(listed, `${count(corrections.length, "correction")} of ${user}${next === null ? "" : ", and there are more"}, the latest first.`);
}

async function readPage(user, cursor) {
  const from = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  return (await get(`/v1/corrections?user_id=${encodeURIComponent(user)}&limit=${PAGE_CORRECTIONS}${from}`)).document;
}

async function load(user) {
  const mine = { user, corrections: [], next: null };
  shown = mine;
  try {
    timeZone ??= (await get("/v1/private/policy")).document.time_zone;
    if (user !== null) {
      const { corrections, next_cursor } = await readPage(user, null);
      Object.assign(mine, { corrections, next: next_cursor });
    }
    // Meanwhile another list may be wanted.
    if (shown === mine) showList();
  } catch ({ message }) {
    if (shown !== mine) return;
    showList();
    write(listed, `What was corrected cannot be shown. ${message}`);
  }
}

async function loadMore() {
  more.disabled = true;
  const mine = shown;
  try {
    const { corrections, next_cursor } = await readPage(mine.user, mine.next);
    Object.assign(mine, { corrections: [...mine.corrections, ...corrections], next: next_cursor });
    if (shown === mine) showList();
  } catch ({ message }) {
    write(listed, `${message} Try again.`);
  }
  more.disabled = false;
}

export function startCorrections(panel) {
  panel.append(
    make("div", { class: "title" }, make("h2", {}, "Corrections")),
    make("p", { class: "hint" }, "An activity is never changed or deleted. A correction says what to count instead, and is kept with its reason."),
    make("div", { class: "sides" },
      make("div", {}, form.element, reviewed),
      make("div", {}, make("h3", {}, "What was corrected"), search, listed, list, more)),
  );
  form.element.addEventListener("change", showFields);
  confirm.addEventListener("click", submit);
  back.addEventListener("click", () => {
    leaveReview();
    person.control.focus();
  });
  more.addEventListener("click", loadMore);
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    const user = whose.value.trim();
    if (!isUser(user)) return write(listed, user === "" ? "Give the id of a person." : `“${user}” ${WRONG_ID}.`);
    load(user);
    go("corrections", user);
  });
  startAnew(null);
}

/** Shows the corrections of a person, or of nobody if that is null. */
export async function openCorrections(user) {
  whose.value = user ?? "";
  if (user !== null && person.value() === null) person.set(user);
  if (shown.user !== user || user === null) await load(user);
}
