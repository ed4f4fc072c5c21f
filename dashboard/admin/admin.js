// Connects the tabs of the admin page, the address and the login.

import { login } from "../config.js";
import { styled } from "../demand.js";
import { byId, say } from "../element.js";
import { go, parse } from "./address.js";
import { openCorrections, startCorrections } from "./corrections.js";
import { isRead, readMore } from "./directory.js";
import { keepDrafts, restoreDrafts } from "./form.js";
import { startPeople } from "./people.js";
import { openSeasons, startSeasons } from "./seasons.js";
import { startPrograms, startTeams } from "./subjects.js";

const tabs = [...document.querySelectorAll("[role=tab]")];
const panelOf = (tab) => byId(tab.getAttribute("aria-controls"));
const nameOf = (tab) => tab.id.slice("tab-".length);

const editors = {
  people: startPeople(byId("panel-people")),
  teams: startTeams(byId("panel-teams")),
  programs: startPrograms(byId("panel-programs")),
};
startSeasons(byId("panel-seasons"));
startCorrections(byId("panel-corrections"));

let user = null;
// The address that is shown.
let address = "";

async function show() {
  const { tab: name, id } = parse(location.hash);
  if (!Object.values(editors).every((editor) => editor.leave())) {
    history.pushState(null, "", location.pathname + address);
    return;
  }
  if (parse(address).tab !== name) say("said", "");
  address = location.hash;
  for (const tab of tabs) {
    const isSelected = nameOf(tab) === name;
    tab.setAttribute("aria-selected", `${isSelected}`);
    tab.tabIndex = isSelected ? 0 : -1;
    panelOf(tab).hidden = !isSelected;
    if (isSelected) document.title = `${tab.textContent} · Admin · Podium`;
  }
  if (name === "seasons") return openSeasons();
  if (name === "corrections") return openCorrections(id);
  await editors[name].load();
  if (id !== null) await editors[name].open(id);
}

// A deployment without login has no admins, and may not even have the addresses.
const NOBODY = "Nobody can log in on this deployment, so nobody can administer it here. Whoever runs Podium can set up a login.";
const NO_ADMIN = "You are logged in, but not as an admin. Ask whoever runs Podium for the right to administer it, then log in again.";

function refuse({ status, message }) {
  byId("refusal").hidden = false;
  byId("admin").hidden = true;
  const isForAdmins = status === 403 || (login === null && (status === 401 || status === 404));
  say("refusal-heading", isForAdmins ? "This page is for admins" : "The directory cannot be shown");
  say("refusal-says", isForAdmins ? (login === null ? NOBODY : NO_ADMIN) : message);
}

async function start() {
  byId("refusal").hidden = true;
  byId("admin").hidden = false;
  try {
    // Only an admin gets them.
    if (!isRead("teams")) {
      await readMore("teams");
      restoreDrafts(user);
    }
    await show();
  } catch (problem) {
    // The page invites to log in.
    if (login === null || problem.status !== 401) refuse(problem);
  }
}

for (const tab of tabs) tab.addEventListener("click", () => go(nameOf(tab), null));
byId("admin").querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const at = tabs.indexOf(event.target);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = tabs.at(to % tabs.length);
  tab.focus();
  tab.click();
});
byId("try-again").addEventListener("click", start);
addEventListener("hashchange", start);
addEventListener("pagehide", keepDrafts);

// Only a deployment with login loads this module.
if (login !== null) {
  const [{ startLogin }] = await Promise.all([import("../login.js"), styled("login.css")]);
  // A new login loads the page again.
  user = startLogin(() => Object.values(editors).forEach((editor) => editor.keep()), byId("to-boards"), true);
}
start();
