// The texts that only modules show which are loaded on demand, and those of texts.js.

import { count, decimal, number } from "./format.js";
import { lettersOf } from "./person.js";
import { texts as always } from "./texts.js";

const NAME_LETTERS_MAX = 24;

/** Isolates a name, so that the words around it keep their direction. */
export const isolated = (name) => `\u2068${name}\u2069`;

/** The same, with the end of a long name cut off. */
export function shortened(name) {
  const letters = lettersOf(name);
  return isolated(letters.length > NAME_LETTERS_MAX ? `${letters.slice(0, NAME_LETTERS_MAX).join("")}…` : name);
}

export const texts = {
  ...always,

  close: "Close",
  me: "This is me",
  notMe: "This is not me",
  rankHead: "Rank",
  name: "Name",
  activities: "Activities",

  noSearch: "The search does not work now.",
  nobodyFound: (text) => `No name or id on this board contains “${text}”.`,
  pressFind: "Press Find if it is a whole id.",
  choosePerson: "Choose a person.",
  choosePersonOrId: (text) => `Choose a person, or press Find again if “${text}” is a whole id.`,

  downloading: "Downloading…",
  saved: (file, rows) => `${file} has all ${count(rows, "listed row")}.`,

  neighbours: "Neighbours",
  onlyPerson: "The only person on this board.",
  aboveAll: "At least as many points as everyone else.",
  above: (percent, people) => `At least as many points as ${percent}% of ${count(people, "person", "people")}.`,
  concealed: {
    anonymous: "Only admins and this person see this. On boards, this person is anonymous.",
    hidden: "Only admins and this person see this. This person is hidden from boards.",
  },

  how: "How points work",
  pointsSince: (date) => `Since ${date}`,
  pointsFrom: (date) => `From ${date}`,
  ruleCaps: "What is at most a day counts for each person and program.",
  ruleTies: {
    shared: "Equal points share a rank, and the ranks after them are skipped.",
    earlier: "Of equal points, those that were there first rank higher, by when their last activity that counts occurred.",
  },
  ruleCorrections: "Points can be corrected: an activity taken out, or points added or taken away. Each correction has a reason.",
  ruleLate: (hours, hasSeasons) => `What arrives more than ${hours} h after the end of a ${hasSeasons ? "day, week, month or season" : "day, week or month"} does not count in that one, but in all time.`,
  ruleZone: (zone, hasSeasons) => `${hasSeasons ? "Days, weeks, months and seasons" : "Days, weeks and months"} begin at midnight of ${zone}, and weeks on Monday.`,

  givenPoints: (most) => `0 to ${count(most, "point")}`,
  pointsPer: (points, quantity) => `${count(points, "point")} for each ${number(quantity)}`,
  atMost: (points) => `at most ${number(points)}`,
  atMostPerDay: (points) => `at most ${count(points, "point")} a day`,

  programsFailed: (programs) => `${count(programs, "program")} could not be loaded.`,
  programsLeft: (programs) => `These are of the first ${programs} programs.`,
  noPrograms: "No points in any of these programs.",

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
  leftOf: { day: "today", week: "this week", month: "this month", season: "this season" },

  seasons: "Seasons",
  seasonStates: { over: "over", running: "running", toCome: "to come" },
  seasonOf: (title, dates) => `${title}, ${dates}`,
  // A long title is cut off at its end.
  seasonEnds: (title, days) => `ends ${days === 1 ? "tomorrow" : `in ${count(days, "day")}`} · ${title}`,
  seasonEndsToday: (title, left) => `ends today, ${left} · ${title}`,
  seasonBegins: (title, date, days) => `${title} begins on ${date}, ${days === 1 ? "tomorrow" : `in ${count(days, "day")}`}`,
  otherBoards: "See instead:",

  logIn: "Log in",
  logOut: "Log out",
  loggedIn: (user) => (user === null ? "Logged in" : `Logged in as ${user}`),
  invitation: "Log in to see the boards",
  invitationWhy: "The boards of this page are for people who are logged in.",
  adminInvitation: "Log in as an admin",
  adminInvitationWhy: "This page is for admins of Podium.",
  mayNotRead: "You are logged in, but may not see these boards. Ask whoever runs this page for the right to.",
  mayNotPost: "You are logged in, but may not post. Ask whoever runs this page for the right to.",
  mayNotAdminister: "You are logged in, but not as an admin.",
  loginRefused: "The server does not accept your login. Log in again. If that does not help, tell whoever runs this page.",
  loginExpired: "Your login has expired. It is renewed when you look at this page and do not type.",
  notPosted: "Your login had ended, so nothing was posted. Log in, then post again.",
  loginEndedUnsaved: "Your login had ended, so nothing was saved. Log in, then save again.",
  loginElsewhere: "This login did not begin in this tab, so it was not used. Log in again.",
  noClient: "Nobody can log in here, since this page has no client id at the login provider. Tell whoever runs it.",
  noStorage: "This browser keeps no data for this page, which a login needs. Allow it, then log in again.",
  notSecure: "A login needs HTTPS. Open this page at its https address.",
  logoutUntold: "You are logged out here. The login provider could not be told, so it may still know you.",
  loggingIn: "Logging in…",
  loggingOut: "Logging out…",
  loggedOut: "You are logged out.",
  unsafeProvider: (address) => `The login provider's address is not safe: ${address}`,
  loginEnded: "Your login has ended. Log in again.",
  loginTooOld: "This login took too long, or was used before. Log in again.",
  accessDenied: "The login provider refused the login, or you cancelled it.",
  providerFault: "The login provider has a fault. Try again later.",
  noUser: (why) => `You are logged in, but ${why}. So this page cannot tell which row is yours, nor post for you. Tell whoever runs it.`,
  tokenUnreadable: "the login provider's access token cannot be read",
  claimMissing: (claim) => `your login has no user id: the claim “${claim}” is missing`,
  noSuchId: "the user id of your login cannot be an id here",
  providerSays: (words) => `It says: “${words}”`,
  pageRefused: (error) => `The login provider does not accept this page (${error}). Tell whoever runs it.`,
  wrongClock: "The clock of this device is not right, so the login cannot be checked. Set the clock, then log in again.",
  providerSlow: (host) => `The login provider (${host}) did not answer in time. Try again later.`,
  providerAway: (host) => `The login provider (${host}) cannot be reached. Check your connection, then try again.`,
  loginFailed: (why) => `The login failed: ${why}. Tell whoever runs this page.`,

  kindsUnknown: "The kinds could not be loaded, so type one. Leave empty what it does not need.",
  postHead: "Post an activity",
  user: "User",
  kind: "Kind",
  quantity: "Quantity",
  post: "Post",
  posting: "Posting…",
  conflict: (fields) => `Another activity has this id${fields}. Yours was not counted. Press Post again: it gets a new id.`,
  duplicate: (id) => `Activity ${id} had arrived before. It counts once.`,
  accepted: (id) => `Activity ${id} accepted.`,
  mayHaveArrived: "The activity may have arrived. Press Post again: it counts once.",
  watching: "Waiting for it to appear on the board…",
  appeared: (seconds) => `It appeared on the board after ${decimal(seconds)} s.`,
  notYet: "It is not on the board after two minutes. It is saved: check the board later.",
};
