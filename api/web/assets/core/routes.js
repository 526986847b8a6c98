// The routes of the page. They are in the fragment of the URL, which browsers do not send to the server.

const PATTERNS = [
  ["submit", /^\/submit$/],
  ["jobs", /^\/jobs$/],
  ["job", /^\/jobs\/(?<job>[a-z0-9]+)$/],
  ["item", /^\/jobs\/(?<job>[a-z0-9]+)\/items\/(?<item>\d+)$/],
  ["review", /^\/jobs\/(?<job>[a-z0-9]+)\/review$/],
];

/** Return the route of a fragment: its name, its parameters and its query. An unknown fragment is the list of jobs. */
export function parseRoute(fragment) {
  const [path, query = ""] = fragment.replace(/^#/, "").split("?", 2);
  for (const [name, pattern] of PATTERNS) {
    const found = pattern.exec(path);
    if (found) return { name, ...found.groups, query: new URLSearchParams(query) };
  }
  return { name: "jobs", query: new URLSearchParams() };
}

/** Return the fragment for a path and a query. Empty values of the query are left out. */
export function fragment(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

/** Replace the query of the current URL without leaving the view. */
export function replaceQuery(query) {
  const path = location.hash.replace(/^#/, "").split("?", 1)[0];
  history.replaceState(null, "", fragment(path, query));
}
