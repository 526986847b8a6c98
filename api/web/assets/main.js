// The start of the page: the signed-in user, the current view, and the change from one view to another.

import { announce } from "./core/announce.js";
import { Api } from "./core/api_client.js";
import { el, fill } from "./core/dom.js";
import { readSignInFacts, tokenFromProvider } from "./core/oidc.js";
import { problemBox } from "./core/problem_box.js";
import { parseRoute } from "./core/routes.js";
import { currentKey, signIn, signOut } from "./core/session.js";
import { itemView } from "./views/item_view.js";
import { jobView } from "./views/job_view.js";
import { jobsView } from "./views/jobs_view.js";
import { reviewView } from "./views/review_view.js";
import { signInView } from "./views/sign_in_view.js";
import { submitView } from "./views/submit_view.js";

// A view is a function of the context and the route. It returns { title, content }, and ends what it has started when
// context.signal aborts.
const VIEWS = { submit: submitView, jobs: jobsView, job: jobView, item: itemView, review: reviewView };
const main = document.getElementById("main");
let leave = new AbortController();
let refusal = null;

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const key = currentKey();
  for (const id of ["nav", "sign-out"]) document.getElementById(id).hidden = !key;
  const route = parseRoute(location.hash);
  markCurrentPage(route.name);
  if (!key) {
    const view = await signInView(show, refusal);
    refusal = null;
    if (!signal.aborted) present(view);
    return;
  }
  const api = new Api(key, refused);
  fill(main, el("p", { class: "loading", role: "status" }, "Loading …"));
  try {
    const view = await VIEWS[route.name]({ api, signal, announce }, route);
    if (!signal.aborted) present(view);
  } catch (error) {
    if (signal.aborted) return;
    present({ title: "Error", content: [el("h1", {}, "This page cannot be shown"), problemBox(error)] });
  }
}

function present({ title, content }) {
  fill(main, content);
  document.title = `${title} – maskrelay`;
  // Screen readers continue at the heading of the new view.
  const heading = main.querySelector("h1");
  heading.tabIndex = -1;
  (main.querySelector("[data-focus]") ?? heading).focus({ preventScroll: true });
  scrollTo(0, 0);
}

function markCurrentPage(name) {
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function end() {
  signOut();
  show();
}

/** The service no longer accepts the key or token. Several requests may find this out. */
function refused() {
  if (!currentKey()) return;
  refusal = "You were signed out, because the service no longer accepts your key or token. Sign in again to go on.";
  end();
}

document.getElementById("sign-out").addEventListener("click", () => {
  end();
  announce("You are signed out.");
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
try {
  const token = await tokenFromProvider(readSignInFacts);
  if (token) signIn(token, { keep: true });
} catch (error) {
  refusal = `You could not be signed in. ${error.message}`;
}
show();
