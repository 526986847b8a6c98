// Sign-in with an API key, or at an identity provider where one is configured.

import { Api } from "../core/api_client.js";
import { button, check, el, field, fill } from "../core/dom.js";
import { leaveForProvider, readSignInFacts } from "../core/oidc.js";
import { problemBox } from "../core/problem_box.js";
import { signIn } from "../core/session.js";

/** Return the view. `onSignedIn` is called when the service has accepted a key. `refusal` is the text of an error. */
export async function signInView(onSignedIn, refusal) {
  const { oidc } = await readSignInFacts().catch(() => ({ oidc: null }));
  const key = el("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, data: { focus: "" } });
  const keep = el("input", { type: "checkbox", ".checked": true });
  const answer = el("div");
  const submit = button("Sign in", null, "primary", { type: "submit" });
  const form = el(
    "form",
    { class: "panel narrow" },
    field("API key", key, "It begins with “mr_”. The operator of the service gives you one."),
    check("Stay signed in when I reload this tab", keep),
    answer,
    submit,
    el("p", { class: "hint" }, "The key is kept in this tab only, and is forgotten when you close the tab or sign out."),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    const error = await refusalOf(key.value.trim());
    submit.disabled = false;
    if (error) {
      fill(answer, problemBox(error));
      key.focus();
      return;
    }
    signIn(key.value.trim(), { keep: keep.checked });
    onSignedIn();
  });
  return {
    title: "Sign in",
    content: [
      el("h1", { class: "centred" }, "Sign in"),
      el("p", { class: "centred" }, "Submit images with prompts, watch the masks arrive, and review them."),
      refusal && el("p", { class: "box problem narrow", role: "alert" }, refusal),
      oidc && el("div", { class: "panel narrow" }, providerChoice(oidc)),
      form,
    ],
  };
}

/** Return the button that leaves for the identity provider. PKCE needs a hash, which browsers compute only over https. */
function providerChoice(oidc) {
  const { host } = new URL(oidc.issuer);
  if (!isSecureContext) return el("p", {}, `You can sign in at ${host} only over https. Ask the operator for the https address of this page.`);
  return button(`Sign in at ${host}`, () => void leaveForProvider(oidc), "primary");
}

/** Return the error with which the service refuses the key, or null. A key that may only submit is accepted. */
async function refusalOf(key) {
  try {
    await new Api(key).get("v1/jobs?limit=1");
    return null;
  } catch (error) {
    if (error.code === "scope_missing") return null;
    if (error.code) return error;
    throw error;
  }
}
