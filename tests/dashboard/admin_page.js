// What an admin can do on the admin page and read from it. Only this file knows the page's elements.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { eventually } from "./eventually.js";
import { visit } from "./visit.js";

/// Opens the admin page at an address such as "people&id=ann" for the test `t`, with the options of `visit`.
export async function visitAdmin(t, stack, address, options = {}) {
  const page = await visit(t, stack, {}, { ready: false, path: `/admin.html#${address}`, ...options });
  return new AdminPage(page);
}

export class AdminPage {
  constructor(page) {
    /// The page as any page of the dashboard: its login, its width, its focus.
    this.page = page;
    this.tab = page.tab;
  }

  // What is on the page, whatever is shown.

  async choose(tab) {
    await this.tab.getByRole("tab", { name: tab, exact: true }).click();
    await this.chosen(tab);
  }

  async chosen(tab) {
    await this.tab.getByRole("tab", { name: tab, exact: true, selected: true }).waitFor();
  }

  address() {
    return new URL(this.tab.url()).hash;
  }

  /// What the page says about the last action.
  async says(words) {
    await eventually(`the words ${words}`, async () => assert.match(await this.page.text("#said"), words));
  }

  /// Why the whole page cannot be used.
  async refuses(words) {
    await eventually(`the refusal ${words}`, async () => assert.match(await this.page.text("#refusal"), words));
    assert.equal(await this.tab.getByRole("tablist").isVisible(), false);
  }

  // Lists.

  #panel() {
    return this.tab.getByRole("tabpanel");
  }

  /// The cells of the rows; the first cell has the name and the id, if these differ.
  async rows() {
    const rows = await this.#panel().locator("tbody tr").evaluateAll((all) =>
      all.map((row) => [...row.cells].map((cell) => [...cell.childNodes].map((part) => part.textContent).filter(Boolean).join(" "))));
    return rows.map((cells) => cells.join(" | "));
  }

  async lists(rows) {
    await eventually(`the rows ${rows}`, async () => assert.deepEqual(await this.rows(), rows));
  }

  /// Waits until there is a list.
  async loaded() {
    await eventually("the list", async () => assert.doesNotMatch(await this.count(), /^(Loading…)?$/));
  }

  /// How many there are, in words.
  count() {
    return this.#panel().getByRole("status").first().innerText();
  }

  async filter(text) {
    await this.#panel().getByRole("searchbox").fill(text);
  }

  async open(name) {
    await this.#panel().getByRole("button", { name, exact: true }).click();
    await this.opened();
  }

  // The dialog.

  #dialog() {
    return this.tab.getByRole("dialog");
  }

  async opened() {
    await this.#dialog().waitFor();
  }

  isOpen() {
    return this.#dialog().isVisible();
  }

  async fill(fields) {
    for (const [label, value] of Object.entries(fields)) await this.#dialog().getByLabel(label, { exact: true }).fill(value);
  }

  value(label) {
    return this.#dialog().getByLabel(label, { exact: true }).inputValue();
  }

  async check(choice) {
    await this.#dialog().getByRole("radio", { name: choice }).or(this.#dialog().getByRole("checkbox", { name: choice })).check();
  }

  async press(button) {
    await this.#dialog().getByRole("button", { name: button, exact: true }).click();
  }

  /// What the dialog says.
  async tells(words) {
    await eventually(`the words ${words}`, async () => assert.match(await this.#dialog().innerText(), words));
  }

  /// The error beside each field that has one, by the field's label.
  errors() {
    return this.tab.locator(".field").filter({ visible: true }).evaluateAll((fields) => Object.fromEntries(fields
      .filter((field) => field.querySelector("[aria-invalid=true]"))
      .map((field) => [field.querySelector("label, legend").textContent, field.querySelector(".error").textContent])));
  }

  async wrong(errors) {
    await eventually("the refusal", async () => assert.deepEqual(await this.errors(), errors));
  }

  // Files.

  async chooseFile(text) {
    const buffer = Buffer.isBuffer(text) ? text : Buffer.from(text);
    await this.#dialog().getByLabel("File").setInputFiles({ name: "people.csv", mimeType: "text/csv", buffer });
  }

  /// The numbers that the dialog shows, by name.
  async numbers(expected) {
    await eventually("the numbers", async () => assert.deepEqual(await this.tab.locator("dialog[open] dl > div").evaluateAll((facts) =>
      Object.fromEntries(facts.map((fact) => [fact.children[0].textContent, Number(fact.children[1].textContent)]))), expected));
  }

  async export() {
    const [download] = await Promise.all([this.tab.waitForEvent("download"), this.page.press("Export CSV")]);
    return readFile(await download.path(), "utf8");
  }

  // Corrections.

  async review({ what, ...fields }) {
    await this.#panel().getByRole("radio", { name: what }).check();
    for (const [label, value] of Object.entries(fields)) await this.#panel().getByLabel(label, { exact: true }).fill(value);
    await this.page.press("Review");
  }

  /// What the page says will change.
  async means(words) {
    await eventually(`the words ${words}`, async () => assert.match(await this.#panel().locator(".confirm").innerText(), words));
  }

  /// What the form says of a correction that was sent with other content.
  async conflicts(words) {
    await eventually(`the words ${words}`, async () => assert.match(await this.#panel().locator("form .note").innerText(), words));
  }

  /// What was corrected for the person who is shown, as texts.
  corrections() {
    return this.#panel().getByRole("listitem").evaluateAll((all) => all.map((each) => [...each.children].map(({ textContent }) => textContent).join(" | ")));
  }
}
