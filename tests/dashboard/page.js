// What a user does with the page and reads from it. Only this file knows the page's elements.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { eventually } from "./eventually.js";

export const WINDOWS = { day: "Today", week: "This week", month: "This month", all: "All time" };

export class Page {
  constructor(tab, url) {
    this.tab = tab;
    this.url = url;
    /// The addresses of all requests so far.
    this.requests = [];
    tab.on("request", (request) => this.requests.push(request.url()));
  }

  async open(view, { ready = true } = {}) {
    const query = new URLSearchParams(view).toString();
    await this.tab.goto(`${this.url}/${query && `?${query}`}`);
    if (ready) await this.ready();
  }

  /// Waits until a board is shown, be it empty.
  async ready() {
    await eventually("a board on the page", async () => {
      assert.match(await this.freshness(), /^Updated/);
      assert.equal(await this.tab.locator("[aria-busy=true]").count(), 0);
    });
  }

  /// The view as its address tells it.
  view() {
    return Object.fromEntries(new URL(this.tab.url()).searchParams);
  }

  title() {
    return this.tab.title();
  }

  text(selector) {
    return this.tab.locator(selector).innerText();
  }

  // Freshness.

  freshness() {
    return this.text("#freshness");
  }

  /// The banner's text; null while there is none.
  async alarm() {
    const alarm = this.tab.locator("#alarm");
    return await alarm.isVisible() ? alarm.innerText() : null;
  }

  /// Whether the board is marked as old, by its look and in words.
  async isMarkedAsOld() {
    const [old, words] = await this.tab.locator("main").evaluate((main) => [
      main.classList.contains("old"),
      /as of \d\d:\d\d:\d\d/.test(main.innerText),
    ]);
    assert.equal(old, words, "an old board is marked by more than its look");
    return old;
  }

  // The board.

  /// The rows of the table, as numbers and texts.
  entries() {
    return this.#rows("table#board");
  }

  #rows(selector) {
    return this.tab.locator(selector).evaluate((table) => {
      const columns = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
      const number = (text) => Number(text.replace(/[^\d]/g, ""));
      return [...table.tBodies[0].rows].map((row) => {
        const cell = (name) => row.cells[columns.indexOf(name)];
        const rank = cell("Rank").textContent;
        return {
          rank: Number.parseInt(rank, 10),
          tied: /=/.test(rank) && /tied/.test(rank),
          user: row.dataset.user,
          name: cell("Name").textContent.trim(),
          points: number(cell("Points").textContent),
          activities: number(cell("Activities").textContent),
          change: cell("Change").textContent.trim(),
        };
      });
    });
  }

  /// The first three ranks above the table.
  podium() {
    return this.tab.locator("#podium > li").evaluateAll((places) => places.map((place) => ({
      text: place.innerText,
      top: place.getBoundingClientRect().top,
      height: place.getBoundingClientRect().height,
    })));
  }

  /// What stands in place of a board.
  main() {
    return this.text("main");
  }

  // Windows and programs.

  tab_(window) {
    return this.tab.getByRole("tab", { name: WINDOWS[window], exact: true });
  }

  async chooseWindow(window) {
    await this.tab_(window).click();
  }

  async window() {
    const selected = this.tab.getByRole("tab", { selected: true });
    const name = await selected.innerText();
    return Object.keys(WINDOWS).find((window) => WINDOWS[window] === name.trim());
  }

  windowDates() {
    return this.text("#window-dates");
  }

  #boards() {
    return this.tab.getByRole("navigation", { name: "Boards" });
  }

  async chooseBoard(name) {
    await this.#boards().getByText(name, { exact: true }).click();
  }

  boardsText() {
    return this.#boards().innerText();
  }

  currentBoard() {
    return this.#boards().locator("[aria-current=page]").innerText();
  }

  // Pages.

  #pages() {
    return this.tab.getByRole("navigation", { name: "Pages" });
  }

  async turn(to) {
    await this.#pages().getByRole("button", { name: to, exact: true }).click();
  }

  canTurn(to) {
    return this.#pages().getByRole("button", { name: to, exact: true }).isEnabled();
  }

  pagesText() {
    return this.#pages().innerText();
  }

  async chooseRows(rows) {
    await this.tab.getByLabel("Rows").selectOption(String(rows));
  }
}
