// The texts that modules show.

import { count, number } from "./format.js";

export const texts = {
  unloaded: "A part of this page cannot be loaded.",

  marks: { me: "me", team: "my team", chosen: "chosen" },
  myTeam: "This is my team",
  notMyTeam: "This is not my team",

  leads: (name, isShared) => (isShared ? `${name} shares the lead now` : `${name} leads now`),

  you: "You",
  rank: (rank, isTied) => `Rank ${number(rank)}${isTied ? ", tied" : ""}`,
  nextPerson: "the next person",
  personBehind: "the person behind",
  toPass: (points, name) => `${count(points, "point")} to pass ${name}`,
  ahead: (points, name) => (points === 0 ? `level with ${name}` : `${number(points)} ahead of ${name}`),
  behind: (points, name) => (points === 0 ? `level with ${name}` : `${number(points)} behind ${name}`),
  noPoints: "You have no points yet: 1 puts you on the board, unless it does not show you.",
  noPointsThen: "You have no points in this period, or it does not show you.",
  left: (time, window) => `${time} left ${{ day: "today", week: "this week", month: "this month" }[window]}`,
  days: (days, hours) => `${count(days, "day")}${hours > 0 ? ` ${hours} h` : ""}`,
  hours: (hours, minutes) => `${hours} h${minutes > 0 ? ` ${minutes} min` : ""}`,
  minutes: (minutes) => (minutes > 0 ? `${minutes} min` : "Less than 1 min"),
};
