// The bar of whoever looks at the page. Only who has chosen a row of their own, or is logged in, loads it.

import { serverTime, timeLeft } from "./calendar.js";
import { byId, heard, make, portray, write } from "./element.js";
import { personOf } from "./person.js";
import { placeOf, placeOfTeam } from "./place.js";
import { texts } from "./texts.js";
import { TEAMS } from "./view.js";

const bar = byId("you");
const who = make("span", { class: "who", dir: "auto" });
const [rank, gaps, time, window] = ["rank", "gaps", "time", "window"].map((name) => make("span", { class: name }));
bar.replaceChildren(heard(texts.you), " ", who, " ", rank, " ", gaps, " ", make("span", { class: "left" }, time, " ", window));

function show(person, place) {
  portray(who, person);
  write(who, person.name ?? person.user_id);
  write(rank, place.rank);
  write(gaps, place.gaps);
  gaps.title = gaps.textContent;
}

/**
 * `team` is the board of the own team, or null. `board` and `you` are answers, undefined until there are some;
 * `absent` is why there is none about `me`, as a code.
 */
export function showYou({ me, team, view, board, you, absent, now }) {
  const teams = view.board === TEAMS ? board?.document.entries ?? [] : [];
  const at = teams.findIndex(({ team_id }) => `team:${team_id}` === team);
  if (at >= 0) {
    show({ user_id: teams[at].team_id, name: teams[at].title }, placeOfTeam(teams, at));
  } else if (you) show(you.document.entry, placeOf(you.document));
  else if (absent !== "user_not_on_board") show(personOf(me), { rank: "", gaps: "" });
  else show(personOf(me), { rank: "", gaps: view.period === null ? texts.noPoints : texts.noPointsThen });
  bar.dataset.of = at >= 0 ? "team" : "person";
  const left = board && view.period === null ? timeLeft(board.document.window, serverTime(board, now)) : "";
  write(time, left);
  write(window, left && texts.leftOf[view.window]);
}
