// People with names in many scripts, for tests.

import { activitiesFor } from "./activities.js";

/// What people are called, by id, from the first to the last of the board. Without a name, the id is shown.
export const NAMES = {
  ann: "Ann Smith",
  yusuf: "يوسف حداد",
  mahesh: "महेश शर्मा",
  quiet: null,
  ivan: "Иван Петров",
  noa: "נועה בן דוד",
  tanaka: "田中 太郎",
  kim: "김민준",
  latin80: "Wolfeschlegelsteinhausen ".repeat(4).slice(0, 80),
  arabic80: "عبدالرحمن ".repeat(8).trim(),
  word80: "W".repeat(80),
  "plain@example.com": undefined,
  jose: "María José Núñez-Ibáñez",
  han80: "長".repeat(80),
  short: "I",
  bob: "Ann Smith",
};
export const ANONYMOUS = "quiet";

const USERS = Object.keys(NAMES);
const LISTED = USERS.filter((user) => user !== ANONYMOUS);

/// Their activities: each has 10 points less than the one before.
export const activitiesOfPeople = () =>
  activitiesFor(Object.fromEntries(USERS.map((user, at) => [user, 10 * (USERS.length - at)])));

/// What a row shows: the name or id, or a word for someone anonymous.
export const shownAs = (user) => (user === ANONYMOUS ? "Anonymous" : NAMES[user] ?? user);

/// Describes them to a stack whose boards have their activities, and waits until the boards show it.
export async function describePeople(stack) {
  await stack.describe({
    ...Object.fromEntries(LISTED.filter((user) => NAMES[user]).map((user) => [user, { display_name: NAMES[user] }])),
    [ANONYMOUS]: { display_name: "Nobody Knows", visibility: "anonymous" },
  });
  await stack.shows(({ entries }) =>
    USERS.every((user) => entries.some((row) => (user === ANONYMOUS ? row.user_id === undefined : row.user_id === user && row.name === (NAMES[user] ?? undefined)))));
}
