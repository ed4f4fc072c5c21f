// Shows who is logged in, or an invitation instead of the boards.

import { make, write } from "./element.js";
import { texts } from "./texts.js";

const CLOSED = "closed";

const who = make("span");
const button = make("button");
const account = make("div", { id: "account" }, who, button);
const says = make("p", { id: "login-says", role: "status" });
const enter = make("button", {}, texts.logIn);
const heading = make("h2");
const audience = make("p");
const invitation = make("main", { id: "invitation" }, heading, audience, enter);

export function startAccount({ logIn, logOut, isForAdmins, place }) {
  write(heading, isForAdmins ? texts.adminInvitation : texts.invitation);
  write(audience, isForAdmins ? texts.adminInvitationWhy : texts.invitationWhy);
  place.before(account);
  document.querySelector("header").append(says);
  document.querySelector("main").before(invitation);
  enter.addEventListener("click", logIn);
  button.addEventListener("click", () => (button.dataset.does === "out" ? logOut() : logIn()));
}

/** `user` is null for a login without a user id; `isOpen` says whether the boards can be read. */
export function showAccount({ isLoggedIn, user, words, isBusy, canLogIn, isOpen }) {
  const hadFocus = document.querySelector("main:not(#invitation)").contains(document.activeElement);
  document.body.classList.toggle(CLOSED, !isOpen);
  // A long id is cut off: the title shows all of it.
  write(who, isLoggedIn ? texts.loggedIn(user) : "");
  who.title = user ?? "";
  write(button, isLoggedIn ? texts.logOut : texts.logIn);
  button.dataset.does = isLoggedIn ? "out" : "in";
  button.hidden = !isLoggedIn && !canLogIn;
  enter.hidden = !canLogIn;
  button.disabled = enter.disabled = isBusy;
  invitation.hidden = isOpen;
  write(says, words);
  if (!isOpen && hadFocus) enter.focus();
}
