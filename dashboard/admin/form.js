// Forms: fields with hints, refusals beside the fields that they are about, and drafts of what is not saved.

import { make, write } from "../element.js";

const DRAFTS = "podium.admin.drafts";

const forms = [];
let made = 0;

function describe(label, hint, control) {
  made += 1;
  const [input, note, error] = ["input", "hint", "error"].map((part) => `${part}-${made}`);
  control.id = input;
  control.setAttribute("aria-describedby", `${note} ${error}`);
  const place = make("p", { id: error, class: "error" });
  const element = make("div", { class: "field" }, make("label", { for: input }, label), control, make("p", { id: note, class: "hint" }, hint), place);
  return { element, place, control };
}

/** A field of one line of text. Its value is null when it is empty. */
export function textField(name, label, hint, attributes = {}) {
  const control = make("input", { name, autocomplete: "off", autocapitalize: "none", spellcheck: "false", dir: "auto", ...attributes });
  return {
    name,
    label,
    ...describe(label, hint, control),
    value: () => control.value.trim() || null,
    set: (value) => { control.value = value ?? ""; },
  };
}

/** A whole number, or null. What is no number is kept as it is, for the API to refuse. */
export function numberField(name, label, hint) {
  const field = textField(name, label, hint, { inputmode: "numeric" });
  const value = () => {
    const text = field.value()?.replace("\u2212", "-") ?? null;
    return text === null || !/^[+-]?\d+$/.test(text) ? text : Number(text);
  };
  return { ...field, value };
}

export function flagField(name, label, hint) {
  const control = make("input", { type: "checkbox", name });
  return { name, label, ...describe(label, hint, control), value: () => control.checked, set: (value) => { control.checked = value ?? false; } };
}

/** A value that nobody sees, such as an id that is kept over retries. */
export function hiddenField(name) {
  const control = make("input", { type: "hidden", name });
  return { name, label: "", element: control, control, place: make("p"), value: () => control.value, set: (value) => { control.value = value; } };
}

/** One of several values; `choices` are `[value, name, words]`, the first one being the usual. */
export function choiceField(name, label, choices) {
  made += 1;
  const place = make("p", { id: `error-${made}`, class: "error" });
  const inputs = choices.map(([value]) => make("input", { type: "radio", name, value, "aria-describedby": place.id }));
  const options = choices.map(([, title, words], i) => make("label", { class: "choice" }, inputs[i], make("span", {}, make("b", {}, title), ` ${words}`)));
  return {
    name,
    label,
    element: make("fieldset", { class: "field" }, make("legend", {}, label), ...options, place),
    place,
    control: inputs[0],
    value: () => inputs.find((input) => input.checked)?.value ?? choices[0][0],
    set: (value) => { for (const input of inputs) input.checked = input.value === (value ?? choices[0][0]); },
  };
}

/** "The person is not valid: display_name has…" becomes "Name has…". */
export function inWords(detail, field, label) {
  const plain = detail.replace(/^The \w+ is not valid: /, "");
  const words = field && plain.startsWith(field) ? `${label}${plain.slice(field.length)}` : plain;
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

/** A form of these fields. `key` names its draft, and `send` is called when it is submitted, and not again until it is done. */
export function makeForm({ key, fields, buttons, send }) {
  const note = make("p", { class: "note", role: "alert" });
  const element = make("form", { novalidate: "" }, ...fields.map((field) => field.element), note, make("div", { class: "buttons" }, ...buttons));
  // What was shown at first, as text.
  let before = "";
  let of = null;
  let isBusy = false;

  const set = (values) => fields.forEach((field) => field.set(values[field.name]));

  const form = {
    key,
    element,
    fields,
    values: () => Object.fromEntries(fields.map(({ name, value }) => [name, value()])),
    isChanged: () => before !== "" && JSON.stringify(form.values()) !== before,
    draft: () => ({ of, values: form.values() }),
    /** Shows values and words, or the draft of the same subject. */
    show(values, subject, words = "") {
      of = subject;
      set(values);
      before = JSON.stringify(form.values());
      form.tell(words);
      form.restore();
    },
    /** Shows the draft, if there is one of what is shown. */
    restore() {
      const draft = drafts[key];
      if (before === "" || draft?.of !== of) return;
      delete drafts[key];
      set(draft.values);
      element.dispatchEvent(new Event("change"));
      form.tell("What you typed before is here again. It is not saved yet.");
    },
    /** What is shown is saved, or given up. */
    settle() {
      before = "";
    },
    tell(text) {
      for (const { place, control } of fields) {
        write(place, "");
        control.removeAttribute("aria-invalid");
      }
      write(note, text);
    },
    /** Says what is wrong, beside the field if it is one of the form's. */
    refuse({ field, message, detail = message }) {
      const wrong = fields.find(({ name, element }) => !element.hidden && (name === field || name === `${field}_id`));
      form.tell(wrong ? "" : inWords(detail));
      if (!wrong) return;
      write(wrong.place, inWords(detail, field, wrong.label));
      wrong.control.setAttribute("aria-invalid", "true");
      wrong.control.focus();
    },
  };
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isBusy) return;
    isBusy = true;
    element.ariaBusy = "true";
    try {
      await send(form.values());
    } catch (problem) {
      form.refuse(problem);
    } finally {
      isBusy = false;
      element.ariaBusy = "false";
    }
  });
  forms.push(form);
  return form;
}

// Whose drafts are kept; undefined until it is known.
let owner;
let drafts = {};

/** Keeps what is not saved while the browser is away, such as for a login. */
export function keepDrafts() {
  if (owner === undefined) return;
  for (const form of forms) if (form.isChanged()) drafts[form.key] = form.draft();
  try {
    sessionStorage.setItem(DRAFTS, JSON.stringify({ owner, drafts }));
  } catch {}
}

/** What was kept is for whoever typed it. */
export function restoreDrafts(user) {
  owner = user;
  try {
    const kept = JSON.parse(sessionStorage.getItem(DRAFTS));
    sessionStorage.removeItem(DRAFTS);
    if (kept?.owner === user) ({ drafts } = kept);
  } catch {}
  forms.forEach((form) => form.restore());
}
