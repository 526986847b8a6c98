// The API key or token of the signed-in user. It is kept in memory or, if the user wants this, in the session storage
// of the tab. It is never written to a cookie, to the URL or to the local storage.

const SLOT = "maskrelay.key";
let key = sessionStorage.getItem(SLOT);

export function currentKey() {
  return key;
}

export function signIn(newKey, { keep }) {
  key = newKey;
  if (keep) sessionStorage.setItem(SLOT, newKey);
  else sessionStorage.removeItem(SLOT);
}

export function signOut() {
  key = null;
  sessionStorage.removeItem(SLOT);
}
