// What the page shows, in the fragment of the address: "#people", "#people&id=ann", and "#people&id=" for a new one.

const TABS = ["people", "teams", "programs", "seasons", "corrections"];

export function parse(hash) {
  const [tab, ...rest] = hash.replace(/^#/, "").split("&");
  return { tab: TABS.includes(tab) ? tab : TABS[0], id: new URLSearchParams(rest.join("&")).get("id") };
}

export const write = (tab, id) => `#${tab}${id === null ? "" : `&${new URLSearchParams({ id })}`}`;

/** Shows a tab, and one of its records if an id is given. */
export function go(tab, id, { replace = false } = {}) {
  const hash = write(tab, id);
  if (replace) history.replaceState(null, "", hash);
  else location.hash = hash;
}
