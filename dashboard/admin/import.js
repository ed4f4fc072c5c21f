// Imports profiles from a CSV file: says what would change, then changes it.

import { make, write } from "../element.js";
import { count, number } from "../format.js";
import { delayAfterFailure } from "../refresh.js";
import { put, readAll } from "./directory.js";
import { alikeIn, compare, peopleOf, ROWS_MAX } from "./profiles.js";

const FILE_BYTES_MAX = 8 * 1024 * 1024;
const REQUESTS_AT_ONCE = 4;
const TRIES_MAX = 6;
const RETRY_AFTER_SECONDS_MAX = 60;
const REFUSED_SHOWN_MAX = 20;

const wait = (milliseconds, signal) => new Promise((resolve) => {
  setTimeout(resolve, milliseconds);
  signal.addEventListener("abort", resolve, { once: true });
});

async function textOf(file) {
  if (file.size > FILE_BYTES_MAX) throw new Error(`The file has more than ${FILE_BYTES_MAX / 1024 / 1024} MiB. Divide it, or use the command podium people import.`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    if (!(error instanceof TypeError)) throw new Error("The file cannot be read. Choose it again.");
    throw new Error("The file is not UTF-8. Save it as “CSV UTF-8”, then choose it again.");
  }
}

/** Sends a profile until there is an answer. A request may be sent again: the second one changes nothing. */
async function putSurely(person, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return (await put("people", person.user_id, person)).outcome;
    } catch (problem) {
      if (!problem.unreachable || tries === TRIES_MAX || signal.aborted) throw problem;
      await wait(delayAfterFailure(tries, Math.min(problem.retryAfter, RETRY_AFTER_SECONDS_MAX), Math.random()), signal);
    }
  }
}

/** Whether the API refused this row, so that others may do. */
const isOfRow = ({ status }) => status === 400 || status === 422;

const rowsOf = ({ created, changed, unchanged, refused }) => created + changed + unchanged + refused.length;

/** Sends the rows, some at once. Resolves to what became of them, and why it stopped before the end, if it did. */
async function send(rows, signal, onRow) {
  const done = { created: 0, changed: 0, unchanged: 0, refused: [], stopped: null };
  const left = rows.values();
  async function work() {
    for (const { line, person } of left) {
      if (signal.aborted || done.stopped) return;
      try {
        done[await putSurely(person, signal)] += 1;
      } catch (problem) {
        if (isOfRow(problem)) done.refused.push({ line, reason: problem.message });
        else done.stopped ??= `It stopped at line ${line}. ${problem.message}`;
      }
      onRow(done);
    }
  }
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, work));
  if (rowsOf(done) < rows.length) done.stopped ??= "You stopped it.";
  return done;
}

const fact = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, number(value)));

function refusedList(refused) {
  if (refused.length === 0) return [];
  const items = refused.slice(0, REFUSED_SHOWN_MAX).map(({ line, reason }) => make("li", { dir: "auto" }, `Line ${line}: ${reason}`));
  if (refused.length > items.length) items.push(make("li", {}, `and ${number(refused.length - items.length)} more`));
  return [make("h3", {}, "Refused rows"), make("ul", {}, ...items)];
}

/** `onDone` is called when profiles may have changed. */
export function startImport(opener, onDone) {
  const file = make("input", { type: "file", accept: ".csv,text/csv", id: "import-file", "aria-describedby": "import-hint" });
  const says = make("p", { class: "note", role: "status" });
  const facts = make("dl", { class: "facts" });
  const details = make("div", { class: "details" });
  const progress = make("progress", { "aria-label": "Progress", hidden: "" });
  const apply = make("button", { type: "button", class: "primary", hidden: "" });
  const close = make("button", { type: "button" }, "Close");
  const dialog = make("dialog", { "aria-label": "Import people" },
    make("h2", {}, "Import people from CSV"),
    make("label", { for: "import-file" }, "File"),
    file,
    make("p", { id: "import-hint", class: "hint" },
      `Columns: user_id, display_name, team, visibility. At most ${number(ROWS_MAX)} rows and ${FILE_BYTES_MAX / 1024 / 1024} MiB. A profile becomes what its row says; who is not in the file stays as is. Nothing is written before you confirm it.`),
    says, facts, details, progress,
    make("div", { class: "buttons" }, apply, close));
  document.body.append(dialog);

  // What the file says: the rows to send, those that are refused, and how many change nothing.
  let rows = [];
  let refused = [];
  let unchanged = 0;
  // What runs at the moment: reading a file, or sending its rows.
  let running = new AbortController();
  let isSending = false;

  function tell(words, numbers = [], more = []) {
    write(says, words);
    facts.replaceChildren(...numbers.map(([name, value]) => fact(name, value)));
    details.replaceChildren(...more);
  }

  async function plan() {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    apply.hidden = true;
    const [chosen] = file.files;
    if (chosen === undefined) return tell("");
    tell("Comparing the file with the directory…");
    try {
      const found = peopleOf(await textOf(chosen));
      const directory = await readAll("people", (read) => signal.aborted || tell(`Comparing the file with the directory: ${count(read, "person", "people")} so far…`));
      if (signal.aborted) return;
      const plan = compare(found.people, directory);
      ({ refused } = found);
      rows = [...plan.new, ...plan.changed];
      unchanged = plan.unchanged.length;
      const numbers = [["New", plan.new.length], ["Changed", plan.changed.length], ["Unchanged", unchanged], ["Refused", refused.length]];
      tell("This is what an import would do. Nothing is written yet.", numbers, [...warnings(found, directory), ...refusedList(refused)]);
      write(apply, `Import ${count(rows.length, "profile")}`);
      apply.hidden = rows.length === 0;
    } catch ({ message }) {
      if (!signal.aborted) tell(message);
    }
  }

  function warnings({ people, missing }, directory) {
    const alike = alikeIn(people, directory).map((ids) => make("p", {}, `${ids.join(", ")} differ only in case: they are different people.`));
    if (missing.length === 0) return alike;
    return [make("p", {}, `There is no column ${missing.join(" or ")}. What has no column is taken away, and without visibility a person is listed.`), ...alike];
  }

  async function submit() {
    if (isSending) return;
    isSending = true;
    const { signal } = running;
    apply.hidden = true;
    file.disabled = true;
    write(close, "Stop");
    progress.hidden = false;
    progress.max = rows.length;
    progress.value = 0;
    tell("Importing…");
    const done = await send(rows, signal, (done) => { progress.value = rowsOf(done); });
    isSending = false;
    file.disabled = false;
    progress.hidden = true;
    write(close, "Close");
    const all = [...refused, ...done.refused].sort((a, b) => a.line - b.line);
    const end = done.stopped === null ? "The import is done." : `${done.stopped} What was imported stays. Choose the file again to import the rest.`;
    tell(`${end}${all.length > 0 ? " Correct the refused rows, and import the file again." : ""} Boards show changes within two snapshots.`,
      [["New", done.created], ["Changed", done.changed], ["Unchanged", unchanged + done.unchanged], ["Refused", all.length]], refusedList(all));
    // The same file can be chosen again.
    file.value = "";
    onDone();
  }

  opener.addEventListener("click", () => {
    file.value = "";
    plan();
    dialog.showModal();
  });
  file.addEventListener("change", plan);
  apply.addEventListener("click", submit);
  close.addEventListener("click", () => {
    running.abort();
    if (!isSending) dialog.close();
  });
  dialog.addEventListener("cancel", (event) => isSending && event.preventDefault());
}
