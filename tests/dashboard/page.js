// What a user can do on the page and read from it. Only this file knows the page's elements.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { eventually } from "./eventually.js";

export const WINDOWS = { day: "Today", week: "This week", month: "This month", all: "All time" };

/// A number as the page shows it, and the number of such a text.
export const shown = (number) => number.toLocaleString("en").replaceAll(",", "\u202f").replace("-", "\u2212");
export const value = (text) => Number(text.replaceAll("\u202f", "").replace("\u2212", "-"));

export class Page {
  constructor(tab, url) {
    this.tab = tab;
    this.url = url;
    /// The URLs of all requests so far.
    this.requests = [];
    tab.on("request", (request) => this.requests.push(request.url()));
  }

  /// The page in another tab of this window.
  async another(view = {}) {
    const page = new Page(await this.tab.context().newPage(), this.url);
    await page.open(view, { ready: false });
    return page;
  }

  async open(view, { ready = true, path = "/" } = {}) {
    const address = new URL(path, this.url);
    address.search = new URLSearchParams(view);
    await this.tab.goto(address.href);
    if (ready) await this.ready();
  }

  /// Waits until every part shows the view, even an empty board.
  async ready() {
    await eventually("a board on the page", async () => {
      assert.match(await this.freshness(), / ago/);
      assert.equal(await this.isBusy(), false);
    });
  }

  /// Whether a part of the page is still loading.
  async isBusy() {
    return await this.tab.locator("[aria-busy=true]").filter({ visible: true }).count() > 0;
  }

  /// The view as given in the URL.
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

  /// The displayed age of the board in seconds.
  async age() {
    const [, count, unit] = /(\d+) (s|min|h) ago/.exec(await this.freshness());
    return count * { s: 1, min: 60, h: 3600 }[unit];
  }

  /// The banner's text, or null.
  async alarm() {
    const alarm = this.tab.locator("#alarm");
    return await alarm.isVisible() ? alarm.innerText() : null;
  }

  /// Whether the board is marked as old. The style and the text must agree.
  async isMarkedAsOld() {
    const [old, words] = await this.tab.locator("main").evaluate((main) => [
      main.classList.contains("old"),
      /as of \d\d:\d\d:\d\d/.test(main.innerText),
    ]);
    assert.equal(old, words, "an old board is marked by its style and by text");
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
      const number = (text) => Number(text.replace("\u2212", "-").replace(/[^\d-]/g, ""));
      return [...table.tBodies[0].rows].map((row) => {
        const text = (name) => row.cells[columns.indexOf(name)]?.textContent.trim() ?? "";
        const rank = text("Rank");
        const cell = row.cells[columns.indexOf("Name")];
        return {
          rank: number(rank),
          tied: /=/.test(rank) && /tied/.test(rank),
          // The name, or the id of someone without one.
          user: cell.querySelector(".name").textContent,
          // The label next to the name, such as "me".
          mark: cell.querySelector(".mark")?.textContent ?? "",
          points: number(text("Points")),
          activities: number(text("Activities")),
          change: text("Change"),
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

  /// The text with the board's sums.
  sums() {
    return this.text("#sums");
  }

  /// Scrolls to the end of the page and back, screen by screen.
  async scrollThrough() {
    await this.tab.evaluate(async () => {
      const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      const end = () => document.documentElement.scrollHeight - innerHeight;
      for (let top = 0; top < end(); top += innerHeight) {
        scrollTo(0, top);
        await painted();
      }
      for (let top = end(); top >= 0; top -= innerHeight) {
        scrollTo(0, top);
        await painted();
      }
      scrollTo(0, 0);
    });
  }

  /// The text of the board section.
  board() {
    return this.tab.getByRole("tabpanel").innerText();
  }

  /// The text of the page's main part.
  main() {
    return this.text("main");
  }

  async focusUser(user) {
    await this.#nameOf(user).focus();
  }

  #nameOf(user) {
    return this.tab.locator(`table#board tr[data-user="${user}"]`).getByRole("button");
  }

  /// The user in whose row the focus is.
  focusedUser() {
    return this.tab.evaluate(() => document.activeElement.closest("tr")?.dataset.user ?? null);
  }

  async scrollTo(top) {
    await this.tab.evaluate((top) => scrollTo(0, top), top);
    return this.scrollTop();
  }

  scrollTop() {
    return this.tab.evaluate(() => scrollY);
  }

  async key(key) {
    await this.tab.keyboard.press(key);
  }

  // Windows and programs.

  async chooseWindow(window) {
    await this.tab.getByRole("tab", { name: WINDOWS[window], exact: true }).click();
  }

  /// The tabs that are shown, by what they say.
  async tabs() {
    return (await this.tab.getByRole("tab").allTextContents()).map((text) => text.trim());
  }

  async chooseSeason(title) {
    await this.tab.getByRole("tab", { name: title, exact: true }).click();
  }

  async focusWindow() {
    await this.tab.getByRole("tab", { selected: true }).focus();
  }

  async window() {
    const selected = this.tab.getByRole("tab", { selected: true });
    const name = await selected.innerText();
    return Object.keys(WINDOWS).find((window) => WINDOWS[window] === name.trim());
  }

  windowDates() {
    return this.text("#window-dates");
  }

  /// The periods to choose from.
  periods() {
    return this.tab.locator("#period option").allTextContents();
  }

  async choosePeriod(name) {
    await this.tab.getByRole("combobox", { name: "Period", exact: true }).selectOption(name);
  }

  #boards() {
    return this.tab.getByRole("navigation", { name: "Boards" });
  }

  async chooseBoard(name) {
    await this.#boards().getByText(name, { exact: true }).click();
  }

  /// The boards to choose from, with name, points and share of all positive points in percent, NaN if they have none.
  boards() {
    return this.#boards().getByRole("listitem").filter({ visible: true }).evaluateAll((items) => items.map((item) => {
      const [name, ...rest] = item.innerText.split(/\n|\t/).map((part) => part.trim()).filter(Boolean);
      const text = rest.join(" ");
      return {
        name,
        points: Number(text.match(/\u2212?[\d\u202f]+/)[0].replaceAll("\u202f", "").replace("\u2212", "-")),
        share: Number(text.match(/(\d+) ?%/)?.[1]),
      };
    }));
  }

  /// The names of the boards to choose from, also of those without points.
  boardNames() {
    return this.#boards().getByRole("listitem").filter({ visible: true }).locator(".name").allTextContents();
  }

  async filterPrograms(text) {
    await this.tab.getByRole("searchbox", { name: "Filter programs" }).fill(text);
  }

  async currentBoard() {
    const text = await this.#boards().locator("[aria-current=page]").innerText();
    return text.split("\n")[0].trim();
  }

  // Pages.

  #pages() {
    return this.tab.getByRole("navigation", { name: "Pages" });
  }

  async turn(to) {
    await this.#pages().getByRole("button", { name: to, exact: true }).click();
  }

  hasPages() {
    return this.tab.locator("nav#pages").isVisible();
  }

  /// Whether each of the buttons that turn pages is enabled.
  turns() {
    return Promise.all(["First", "Previous", "Next", "Last"].map((to) => this.canTurn(to)));
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

  // Users.

  #search() {
    return this.tab.getByRole("combobox", { name: "Find a name or id" });
  }

  async type(text) {
    await this.#search().fill("");
    await this.#search().pressSequentially(text);
  }

  async find(text) {
    await this.#search().fill(text);
    await this.tab.getByRole("button", { name: "Find", exact: true }).click();
  }

  /// The suggested names, or ids of those without one, and the one selected with the arrow keys.
  async suggestions() {
    const options = this.tab.getByRole("option").filter({ visible: true });
    const users = await options.evaluateAll((all) => all.map((option) => option.querySelector(".name").textContent));
    const reached = await options.evaluateAll((all) =>
      all.findIndex((option) => option.getAttribute("aria-selected") === "true"));
    return { users, reached: users[reached] ?? null };
  }

  /// What the search says below its box.
  searchNote() {
    return this.tab.locator("#search-note").innerText();
  }

  async chooseUser(user) {
    await this.#nameOf(user).click();
  }

  /// Clicks into the row of a user, but not on the name.
  async clickRow(user) {
    await this.tab.locator(`table#board tr[data-user="${user}"] td`).nth(2).click();
  }

  /// Chooses the first user in the table.
  async chooseFirst() {
    await this.tab.locator("table#board tbody tr").first().getByRole("button").click();
  }

  /// The text about the chosen user, or null.
  async user() {
    const section = this.tab.locator("section#user");
    return await section.isVisible() ? section.innerText() : null;
  }

  neighbours() {
    return this.#rows("section#user table");
  }

  /// The browser's validation message for the search text.
  refusal() {
    return this.#search().evaluate((input) => input.validationMessage && `${input.validationMessage} ${input.title}`);
  }

  async markOf(wanted) {
    return (await this.entries()).find(({ user }) => user === wanted).mark;
  }

  /// What the page has stored on the device.
  remembered() {
    return this.tab.evaluate(() => ({ ...localStorage }));
  }

  /// The bar of who looks at the page, in one line of words; null if there is none.
  async you() {
    const bar = this.tab.locator("#you");
    return await bar.isVisible() ? (await bar.innerText()).replace(/[\u2068\u2069]/g, "").replace(/\s+/g, " ").trim() : null;
  }

  async pressYou() {
    await this.tab.locator("#you").click();
  }

  /// Why the last action failed, as it is announced; empty if it did not.
  notice() {
    return this.text("#notice[role=status]");
  }

  async press(button) {
    await this.tab.getByRole("button", { name: button, exact: true }).click();
  }

  async focusButton(button) {
    await this.tab.getByRole("button", { name: button, exact: true }).focus();
  }

  hasButton(button) {
    return this.tab.getByRole("button", { name: button, exact: true }).isVisible();
  }

  /// Opens the data tables below the charts.
  async openTables() {
    await this.tab.locator("figure details").evaluateAll((all) => all.forEach((details) => { details.open = true; }));
  }

  /// The data table below a chart.
  numbersOf(figure) {
    return this.tab.locator(`figure#${figure} table`).evaluate((table) => ({
      heads: [...table.tHead.rows[0].cells].map((cell) => cell.textContent),
      rows: [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
    }));
  }

  /// The points at the moment that is read in the chart over time: the time, then name and points of each line.
  /// Read in one step, since a new snapshot may draw the chart again just now.
  reading() {
    return this.tab.evaluate(() => {
      const reading = document.querySelector("figure#race .reading");
      return reading?.hidden ?? true ? null : [...reading.children].map((line) => [...line.childNodes].map((part) => part.textContent));
    });
  }

  /// The chart over time as a screen reader has it.
  #plot() {
    return this.tab.locator("figure#race").getByRole("slider");
  }

  async focusPlot() {
    await this.#plot().focus();
  }

  /// Points at a part of the chart's width, 0 to 1.
  async hoverPlot(part) {
    // In one step, as above.
    const { width, height } = await this.tab.evaluate(() => document.querySelector("#race [role=slider]").getBoundingClientRect().toJSON());
    await this.#plot().hover({ position: { x: width * part, y: height / 2 } });
  }

  plotText() {
    return this.#plot().getAttribute("aria-valuetext");
  }

  /// The numbers at the axis of the chart over time, from the bottom up.
  axis() {
    return this.tab.locator("figure#race svg text[text-anchor=end]").evaluateAll((all) =>
      all.map((text) => text.textContent).filter((text) => /^\u2212?[\d\u202f]+$/.test(text))).then((all) => all.map(value));
  }

  /// Whether the line at zero in the chart over time differs from the others.
  hasZeroLine() {
    return this.tab.locator("figure#race svg").evaluate((chart) => {
      const strokes = (name) => [...chart.querySelectorAll(`path.${name}`)].map((path) => getComputedStyle(path).stroke);
      const zeros = strokes("zero");
      return zeros.length === 1 && !strokes("grid").includes(zeros[0]);
    });
  }

  /// The length of a row's bar, as a part of the row.
  bar(user) {
    return this.tab.locator(`table#board tr[data-user="${user}"]`).evaluate((row) => {
      const style = getComputedStyle(row);
      return style.getPropertyValue("--points") / style.getPropertyValue("--leader");
    });
  }

  /// The labels of the lines over time.
  linesDrawn() {
    return this.tab.locator("figure#race svg text.label").evaluateAll((labels) =>
      labels.map((label) => (label.querySelector("title") ?? label).textContent));
  }

  // Quests and coins.

  #quests() {
    return this.tab.getByRole("region", { name: "Quests" });
  }

  #quest(title) {
    return this.#quests().locator("> ul > li").filter({ has: this.tab.getByRole("heading", { name: title, exact: true }) });
  }

  hasQuests() {
    return this.#quests().isVisible();
  }

  /// What the page says of each quest, one text for each line.
  quests() {
    return this.#quests().locator("> ul > li").evaluateAll((all) => all.map((quest) =>
      [...quest.children].filter(({ tagName }) => tagName !== "DETAILS").map(({ textContent }) => textContent).filter(Boolean)));
  }

  async scrollToQuests() {
    await this.#quests().scrollIntoViewIfNeeded();
  }

  async toggleFinders(quest) {
    await this.#quest(quest).getByText("Latest finders").click();
  }

  async moreFinders(quest) {
    await this.#quest(quest).getByRole("button", { name: "More" }).click();
  }

  async pressFinder(quest, name) {
    await this.#quest(quest).getByRole("button", { name, exact: true }).click();
  }

  /// The names of those who found the coin of a quest, whether there is a button for more, and then who was first.
  finders(quest) {
    return this.#quest(quest).locator("details").evaluate((details) => {
      const names = (list) => [...details.querySelectorAll(`${list} > li > .name`)].map(({ textContent }) => textContent);
      const [first] = names("div:not([hidden]) > ul");
      return { names: names(":scope > ul"), isCut: details.querySelector(":scope > button").checkVisibility(), ...(first && { first }) };
    });
  }

  /// How far one is with a quest: the parts of its bar, and what is said of it; null without a bar.
  async progress(quest) {
    const bars = await this.#quest(quest).getByRole("progressbar").filter({ visible: true }).evaluateAll((all) =>
      all.map(({ value, max, nextElementSibling }) => [value, max, nextElementSibling.textContent.replace(/[\u2068\u2069]/g, "")]));
    return bars[0] ?? null;
  }

  questText(quest) {
    return this.#quest(quest).innerText();
  }

  /// What the card of a person says of coins, with what is open of it.
  async userCoins() {
    return (await this.text("#user-coins")).replace(/\n+/g, "\n");
  }

  /// Opens or closes a part of what the card says of coins.
  async toggleCoins(summary) {
    await this.tab.locator("#user-coins").getByText(summary).click();
  }

  /// The note on a coin that was just found; empty if there is none.
  coinNews() {
    return this.text("#coin-news");
  }

  // Downloads.

  /// Downloads what is shown as "CSV" or "JSON".
  async download(format) {
    const [download] = await Promise.all([this.tab.waitForEvent("download"), this.press(`Download as ${format}`)]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
  }

  // Login.

  /// Logs in, from the page over the provider's page and back.
  async logIn(account) {
    await this.press("Log in");
    await this.chooseAccount(account);
    await this.ready();
  }

  /// Chooses an account on the provider's page.
  async chooseAccount(account) {
    await this.tab.getByRole("link", { name: account, exact: true }).click();
  }

  /// Confirms on the provider's page.
  async confirmLogout() {
    await this.press("Yes");
  }

  /// Who is logged in, as the page says it; empty if nobody is.
  async account() {
    return (await this.text("#account span")).trim();
  }

  /// What the page says about the login.
  loginSays() {
    return this.text("#login-says");
  }

  /// The text of the invitation that stands for the boards, or null if the boards are there.
  async invitation() {
    const invitation = this.tab.locator("#invitation");
    const boards = this.tab.locator("main:not(#invitation)");
    const [isInvited, hasBoards] = await Promise.all([invitation.isVisible(), boards.isVisible()]);
    assert.equal(isInvited, !hasBoards, "either the invitation or the boards are there");
    return isInvited ? invitation.innerText() : null;
  }

  /// What the page has stored until the tab is closed.
  kept() {
    return this.tab.evaluate(() => ({ ...sessionStorage }));
  }

  /// What the page has stored for longer.
  async outlives() {
    const cookies = await this.tab.context().cookies(this.url);
    const others = await this.tab.evaluate(async () => ({
      local: { ...localStorage },
      databases: await indexedDB.databases(),
      caches: await caches.keys(),
      cookie: document.cookie,
    }));
    return { ...others, cookies };
  }

  /// The addresses of the tab's history.
  async history() {
    const session = await this.tab.context().newCDPSession(this.tab);
    const { entries } = await session.send("Page.getNavigationHistory");
    return entries.map(({ url }) => url);
  }

  // Posting.

  /// The user in the form, and whether one can change it.
  async postsFor() {
    const user = this.#post().getByRole("textbox", { name: "User" });
    return { user: await user.inputValue(), isFree: await user.isEditable() };
  }

  async postAsSelf({ program, kind, ...numbers }) {
    const fields = this.#post();
    await fields.getByRole("combobox", { name: "Program", exact: true }).fill(program);
    await this.chooseKind(kind);
    for (const [name, number] of Object.entries(numbers)) await fields.getByLabel(name).fill(number);
    await fields.getByRole("button", { name: "Post" }).click();
  }

  #post() {
    return this.tab.locator("form#post");
  }

  #kind() {
    return this.#post().getByLabel("Kind");
  }

  /// Chooses a kind by its name or id, or types it where none is offered.
  async chooseKind(kind) {
    await eventually("the kinds, or that there are none", async () => assert.notEqual(await this.kindHint(), ""));
    if (await this.#kind().evaluate((field) => field.matches("select"))) await this.#kind().selectOption(kind);
    else await this.#kind().fill(kind);
  }

  /// The names of the kinds that the form offers; empty where one types a kind.
  kinds() {
    return this.#kind().locator("option").allTextContents();
  }

  /// What the form says of the chosen kind.
  kindHint() {
    return this.text("#post-hint");
  }

  /// The number fields that the form shows, each with its maximum.
  numbers() {
    return this.#post().getByRole("spinbutton").evaluateAll((all) =>
      all.map((field) => `${field.labels[0].innerText.trim()} ${field.max}`.trim()));
  }

  canPost() {
    return this.#post().isVisible();
  }

  async post({ user, ...activity }) {
    await this.#post().getByRole("textbox", { name: "User" }).fill(user);
    await this.postAsSelf(activity);
  }

  /// The label of the field that is marked as wrong.
  async wrongField() {
    const label = await this.#post().locator("[aria-invalid=true]").evaluate((field) => field.labels[0].innerText);
    return label.trim().split(/\s/)[0].toLowerCase();
  }

  postResult() {
    return this.text("#post-result");
  }

  // Browser state.

  /// Waits until changes are painted.
  async settle() {
    await this.tab.evaluate(() => new Promise((resolve) => {
      requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve)));
    }));
  }

  /// What causes horizontal scrolling. The list of programs and the data tables may scroll by themselves.
  wider() {
    return this.tab.evaluate(() => {
      const name = (element) => `${element.tagName} ${element.id} ${element.className}`;
      const page = document.documentElement;
      const wide = page.scrollWidth > innerWidth ? [`the page: ${page.scrollWidth} px`] : [];
      for (const element of document.body.querySelectorAll("*")) {
        if (element.closest("nav[aria-label=Boards], .data, svg") || !element.checkVisibility()) continue;
        const { right, width } = element.getBoundingClientRect();
        if (width > 1 && right > innerWidth + 1) wide.push(`${name(element)} ends at ${right}`);
        const scrolls = ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
        if (scrolls && element.scrollWidth > element.clientWidth) wide.push(`${name(element)} scrolls`);
      }
      return wide;
    });
  }

  focused() {
    return this.tab.evaluate(() => document.activeElement.innerText);
  }

  /// Whether the focused element is on the screen with a visible outline.
  seesFocus() {
    return this.tab.evaluate(() => {
      const { top, bottom, left, right } = document.activeElement.getBoundingClientRect();
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      const isShown = outlineStyle !== "none" && Number.parseFloat(outlineWidth) > 0;
      return isShown && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
    });
  }

  /// Sets the device's clock forward, until the page is loaded again, and shows the page.
  async passTime(seconds, { show = true } = {}) {
    await this.#set({ seconds, hidden: show ? false : null });
  }

  /// Makes the page believe that its tab is hidden.
  async hide() {
    await this.#set({ hidden: true });
  }

  async unhide() {
    await this.#set({ hidden: false });
  }

  /// In one step, since the page may leave for a login as soon as the time has passed.
  async #set(wanted) {
    await this.tab.evaluate(({ seconds = 0, hidden }) => {
      const { now } = Date;
      Date.now = () => now() + 1000 * seconds;
      if (hidden === null) return;
      const visibilityState = hidden ? "hidden" : "visible";
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => visibilityState });
      document.dispatchEvent(new Event("visibilitychange"));
    }, wanted);
  }

  /// The number of requests whose URL matches.
  asked(pattern) {
    return this.requests.filter((url) => pattern.test(url)).length;
  }
}
