// The list of one kind of record, and the dialog in which one of them is edited.

import { make, say, write } from "../element.js";
import { isUser } from "../view.js";
import { go, parse } from "./address.js";
import { ID_FIELDS, put, read, remove } from "./directory.js";
import { makeForm, textField } from "./form.js";
import { makeButton, makeList } from "./list.js";
import { WRONG_ID } from "./profiles.js";

/**
 * `described` has:
 * - `kind`, a list of the directory; `one`, what a record is called; `title` and `about`, words for the list
 * - `nameOf(record)`; `columns`, which are `[head, text(record)]`; `tools`, buttons beside the title
 * - `others()`, which resolves to records that the directory lacks
 * - `fields`, those of the form besides the id; `whenOpened()`, which prepares them
 * - `asSaved(record)` and `whenDeleted(record)`, what a record means in words; `links(id)`, contents for the dialog
 */
export function startEditor(panel, described) {
  const { kind, one, fields, nameOf, asSaved, whenDeleted, links = () => [], whenOpened = () => {} } = described;
  const idField = ID_FIELDS[kind];
  const list = makeList(panel, described);

  const heading = make("h2", { id: `heading-${kind}` });
  const linked = make("p");
  const id = textField(idField, "Id", "");
  const asking = makeButton("Delete…", () => ask(true), { class: "danger" });
  const buttons = [make("button", { class: "primary" }, "Save"), makeButton("Cancel", () => dialog.close()), asking];
  const form = makeForm({ key: kind, fields: [id, ...fields], buttons, send });
  const meaning = make("p");
  const keeping = makeButton("Keep", () => ask(false));
  const deleting = makeButton("Delete", submitDeletion, { class: "danger" });
  const question = make("div", { class: "confirm", role: "alert" }, meaning, make("div", { class: "buttons" }, keeping, deleting));
  const dialog = make("dialog", { "aria-labelledby": heading.id }, heading, linked, form.element, question);
  document.body.append(dialog);

  // The record when it was read last; null if there is none.
  let current = null;
  // Whose row gets the focus.
  let edited = "";
  // Whether a login has ended, so that what is not saved is kept as a draft.
  let isKept = false;

  async function open(subject) {
    say("said", "");
    const isNew = subject === "";
    current = isNew ? null : await read(kind, subject);
    edited = subject;
    write(heading, isNew ? `Add a ${one}` : nameOf(current ?? { [idField]: subject }));
    id.control.readOnly = !isNew;
    asking.hidden = current === null;
    linked.replaceChildren(...(isNew ? [] : links(subject)));
    whenOpened();
    form.show({ ...current, [idField]: subject }, subject, isNew || current !== null ? "" : `Nothing is set for ${subject} yet.`);
    ask(false);
    dialog.showModal();
    (isNew ? id : fields[0]).control.focus();
  }

  const isSame = (a, b) => a === b || (a !== null && b !== null && fields.every(({ name }) => a[name] === b[name]));

  async function send(values) {
    const subject = values[idField] ?? "";
    if (!isUser(subject)) return form.refuse({ field: idField, detail: `Id ${WRONG_ID}` });
    const now = await read(kind, subject);
    if (!isSame(now, current)) return tellChange(subject, now);
    const { outcome, other_case = [], ...record } = await put(kind, subject, values);
    edited = subject;
    const done = outcome === "unchanged" ? `Nothing to change: ${asSaved(record)}` : `Saved: ${asSaved(record)} Boards show it within two snapshots.`;
    settle(other_case.length === 0 ? done : `${done} The same but for capitals, and another ${one}: ${other_case.join(", ")}.`);
  }

  // The API takes the last one. Here nobody replaces what they have not seen.
  function tellChange(subject, now) {
    const before = current === null ? "There is one already" : "Meanwhile this was saved";
    const what = now === null ? `${subject} was deleted meanwhile.` : `${before}: ${asSaved(now)}`;
    current = now;
    form.tell(`${what} Press Save again to replace that, or Cancel to leave it.`);
  }

  function ask(isAsked) {
    question.hidden = !isAsked;
    form.element.hidden = isAsked;
    if (!isAsked) return;
    write(meaning, whenDeleted(current));
    keeping.focus();
  }

  async function submitDeletion() {
    deleting.disabled = true;
    try {
      await remove(kind, edited);
      settle(`Deleted: ${edited}.`);
    } catch (problem) {
      ask(false);
      form.refuse(problem);
    }
    deleting.disabled = false;
  }

  function settle(words) {
    dialog.close();
    say("said", words);
    list.show();
  }

  function hasUnsaved() {
    if (!form.isChanged()) return false;
    form.tell("This is not saved yet. Press Save, or Cancel to give it up.");
    return true;
  }

  dialog.addEventListener("cancel", (event) => hasUnsaved() && event.preventDefault());
  dialog.addEventListener("close", () => {
    if (isKept) return;
    form.settle();
    const address = parse(location.hash);
    if (address.tab === kind && address.id !== null) go(kind, null, { replace: true });
    list.focus(edited);
  });

  return {
    show: list.show,
    load: list.load,
    async open(subject) {
      try {
        await open(subject);
      } catch ({ message }) {
        go(kind, null, { replace: true });
        say("said", `${message} Try again.`);
      }
    },
    /** Closes the dialog, and returns whether that loses nothing. */
    leave() {
      if (!dialog.open) return true;
      if (hasUnsaved()) return false;
      dialog.close();
      return true;
    },
    /** Closes the dialog until the next login. */
    keep() {
      isKept = true;
      dialog.close();
    },
  };
}
