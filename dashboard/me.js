// Who looks at the page. It is known on this device only.

const KEY = "podium.me";

// Where the browser keeps nothing, it is known until the page is closed.
let me = null;
try {
  me = localStorage.getItem(KEY);
} catch {
  me = null;
}

export const whoIsMe = () => me;

export function setMe(user) {
  me = user;
  try {
    if (user === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, user);
  } catch {
    return;
  }
}
