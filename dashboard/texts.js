// The texts that modules show, for one to translate or reword by replacing this file. Names of files, ids and what the
// API answers are not among them, nor the texts of index.html, which stand there.

import { count, decimal, number } from "./format.js";

export const texts = {
  page: "Podium",
  windows: { day: "Today", week: "This week", month: "This month", season: "Season", all: "All time" },
  allPrograms: "All programs",
  teams: "Teams",
  anonymous: "Anonymous",
  now: "Now",
  earlier: "Earlier…",
  sinceFirst: "Since the first activity",
  otherCase: "The same but for capitals:",
  loading: "Loading…",
  searching: "Searching…",
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

  tied: "tied",
  points: "Points",
  heads: ["Rank", "Name", "Points", "Activities", "Change"],
  teamHeads: ["Rank", "Team", "Score", "Members", "Points"],
  // One and many.
  point: ["point", "points"],
  activity: ["activity", "activities"],
  member: ["member", "members"],
  pointCount: (points) => count(points, "point"),
  activityCount: (activities) => count(activities, "activity", "activities"),
  people: (people) => count(people, "person", "people"),
  teamCount: (teams) => count(teams, "team"),
  scored: (by) => `by ${by.replace("top:", "the best ")}`,
  periodStates: { provisional: "provisional", closed: "closed" },
  late: (activities) => `${count(activities, "activity", "activities")} too late`,
  includesLate: "late ones included",
  noRow: (row, last) => `There is no row ${number(row)}. The last row is ${number(last)}: press Previous to go there.`,
  emptyPeriod: "No one has points in this period.",
  emptyBoard: "No one has points here yet. Points appear soon after the first activity.",
  longerWindow: "You can also choose a longer window.",
  range: (rows, listed) => `${rows} of ${number(listed)}`,
  unlisted: (listed, people) => `(the first ${number(listed)} of ${number(people)} are listed)`,
  newcomer: "new",
  noChange: "no change",
  up: (places) => `up ${count(places, "place")}`,
  down: (places) => `down ${count(places, "place")}`,

  race: "Points over time",
  atMoment: "Points at a moment",
  time: "Time",
  program: "Program",
  share: "Share",
  others: "others",
  noLines: "This chart appears after two board updates with points.",
  noShares: "No program has more than 0 points yet.",

  notSaved: (why) => `The download failed. ${why} Try again.`,

  seconds: (seconds) => `${seconds} s`,
  minutes: (minutes) => `${minutes} min`,
  hours: (hours) => `${hours} h`,
  days: (days) => `${days} days`,

  noAnswer: "The server did not answer in time.",
  noServer: "The server cannot be reached.",
  serverError: (status) => `The server answered with error ${status}.`,
  refused: { 401: "Log in first.", 403: "You may not do this. Ask whoever runs this page for the right to." },

  byProgram: "Points by program",

  marks: { me: "me", team: "my team", chosen: "chosen" },
  myTeam: "This is my team",
  notMyTeam: "This is not my team",

  leads: (name, isShared) => (isShared ? `${name} shares the lead now` : `${name} leads now`),
};
