// Sign-in at an identity provider: the authorization code flow with PKCE (RFC 7636). There is no client secret.

const SLOT = "maskrelay.sign-in";

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** The address to which the identity provider sends the user back. It must be registered there. */
function returnAddress() {
  return new URL(".", document.baseURI).href;
}

/** Leave the page for the identity provider. */
export async function leaveForProvider(oidc) {
  const pending = { verifier: random(), state: random(), route: location.hash };
  sessionStorage.setItem(SLOT, JSON.stringify(pending));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
  const address = new URL(oidc.authorization_endpoint);
  const parameters = {
    response_type: "code",
    client_id: oidc.client_id,
    redirect_uri: returnAddress(),
    scope: oidc.scope,
    state: pending.state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  location.assign(address);
}

/**
 * If the user comes back from the identity provider, return the access token, otherwise null. The answer is removed
 * from the URL first. Throws an Error if the provider refuses.
 */
export async function tokenFromProvider(readFacts) {
  const answer = new URLSearchParams(location.search);
  const stored = sessionStorage.getItem(SLOT);
  if (!answer.has("state") || stored === null) return null;
  const pending = JSON.parse(stored);
  sessionStorage.removeItem(SLOT);
  history.replaceState(null, "", `${returnAddress()}${pending.route}`);
  if (answer.get("state") !== pending.state) throw new Error("The answer does not belong to this sign-in.");
  if (!answer.has("code")) throw new Error(answer.get("error_description") ?? answer.get("error") ?? "There is no code.");
  const { oidc } = await readFacts();
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    code: answer.get("code"),
    redirect_uri: returnAddress(),
    client_id: oidc.client_id,
    code_verifier: pending.verifier,
  });
  const response = await fetch(oidc.token_endpoint, { method: "POST", body, credentials: "omit" });
  if (!response.ok) throw new Error(`The identity provider answered with status ${response.status}.`);
  return (await response.json()).access_token;
}

/** Return the ways to sign in to this service. */
export async function readSignInFacts() {
  return (await fetch("v1/sign-in")).json();
}
