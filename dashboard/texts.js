// The texts that modules show.

import { count, decimal, number } from "./format.js";

export const texts = {
  loading: "Loading…",
  unloaded: "A part of this page cannot be loaded.",

  states: { live: "Live", late: "Late", stuck: "Not updating", offline: "Offline", loading: "Loading", none: "No board" },
  ago: (time) => `· ${time} ago`,
  measures: ({ lag_seconds, backlog }) =>
    `Lag ${lag_seconds === null ? "not measured yet" : `${decimal(lag_seconds)} s`} · backlog ${number(backlog)}`,
  waiting: (time) => `The server has not answered for ${time}. Still waiting.`,
  offline: "You are offline.",
  unreachable: (why) => `Cannot load the latest board. ${why} This page keeps trying.`,
  boardFrom: (time) => `This board is from ${time}.`,
  asOf: (time) => `as of ${time}`,
  stale: (why, isNamed) => `${isNamed ? "It" : "This board"} is out of date: ${why}.`,
  staleAge: (time) => `it was last updated at least ${time} ago`,
  staleLag: (time) => `activities take at least ${time} to be counted`,
  staleBacklog: (backlog) => `at least ${count(backlog, "activity is", "activities are")} waiting to be counted`,

  close: "Close",
  me: "This is me",
  notMe: "This is not me",
  rankHead: "Rank",
  name: "Name",
  points: "Points",
  activities: "Activities",
  neighbours: "Neighbours",
  concealed: {
    anonymous: "Only admins and this person see this. On boards, this person is anonymous.",
    hidden: "Only admins and this person see this. This person is hidden from boards.",
  },

  how: "How points work",
  pointsSince: (date) => `Since ${date}`,
  pointsFrom: (date) => `From ${date}`,
  ruleCaps: "What is at most a day counts for each person and program.",
  ruleTies: "Equal points share a rank, and the ranks after them are skipped.",
  ruleCorrections: "Points can be corrected: an activity taken out, or points added or taken away. Each correction has a reason.",
  ruleLate: (hours) => `What arrives more than ${hours} h after the end of a day, week or month does not count in that one, but in all time.`,
  ruleZone: (zone) => `Days, weeks and months begin at midnight of ${zone}, and weeks on Monday.`,

  byProgram: "Points by program",
  programsFailed: (programs) => `${count(programs, "program")} could not be loaded.`,
  programsLeft: (programs) => `These are of the first ${programs} programs.`,
  noPrograms: "No points in any of these programs.",

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
  daysLeft: (days, hours) => `${count(days, "day")}${hours > 0 ? ` ${hours} h` : ""} left`,
  hoursLeft: (hours, minutes) => `${hours} h${minutes > 0 ? ` ${minutes} min` : ""} left`,
  minutesLeft: (minutes) => (minutes > 0 ? `${minutes} min left` : "Less than 1 min left"),
  leftOf: { day: "today", week: "this week", month: "this month" },
};
