// The list of jobs. Its filters are in the URL, so that a filtered list can be shared or bookmarked.

import { button, check, el, field, fill } from "../core/dom.js";
import { follow } from "../core/event_stream.js";
import { problemBox } from "../core/problem_box.js";
import { fragment, replaceQuery } from "../core/routes.js";
import { countText, jobName, STATES, timeText } from "../core/text.js";
import { progressBar, stateLabel } from "./progress.js";

const PAGE = 50;
const GROUPS = { "": "All", active: "Unfinished", ended: "Ended" };
const ACTIVE = ["accepted", "running", "cancelling", "finishing"];
const ENDED = ["succeeded", "partial", "failed", "cancelled"];

/** Return whether a job passes the filters `state`, `text` and `flagged`. */
export function passes(job, { state, text, flagged }) {
  const states = state === "active" ? ACTIVE : state === "ended" ? ENDED : state ? [state] : null;
  if (states && !states.includes(job.state)) return false;
  if (flagged && Object.keys(job.flags ?? {}).length === 0) return false;
  return !text || `${job.id} ${jobName(job)}`.toLowerCase().includes(text.toLowerCase());
}

export async function jobsView({ api, signal, announce }, { query }) {
  const filters = { state: query.get("state") ?? "", text: query.get("text") ?? "", flagged: query.get("flagged") ?? "" };
  const jobs = new Map();
  const rows = el("ul", { class: "jobs", "aria-label": "Jobs" });
  const below = el("div", { class: "below" });
  let next = null;

  function render() {
    const shown = [...jobs.values()].filter((job) => passes(job, filters));
    fill(rows, shown.map(row));
    const none = jobs.size === 0 && next === null ? emptyWords() : shown.length === 0 && el("p", {}, "No job passes the filters.");
    fill(below, none, next !== null && button(`Load older jobs (${countText(jobs.size, "job")} so far)`, () => load().then(render)));
  }

  async function load() {
    const page = await api.get(`v1/jobs?limit=${PAGE}${next ? `&cursor=${encodeURIComponent(next)}` : ""}`, { signal });
    for (const job of page.jobs) jobs.set(job.id, job);
    next = page.next;
  }

  function changed(name, value) {
    filters[name] = value;
    replaceQuery(filters);
    render();
    announce(countText(rows.childElementCount, "job"));
  }

  await load();
  render();
  followJobs(api, signal, jobs, render, below);
  return {
    title: "Jobs",
    content: [
      el("div", { class: "heading" }, el("h1", {}, "Jobs"), el("a", { class: "button primary", href: "#/submit" }, "Submit images")),
      filterForm(filters, changed),
      rows,
      below,
    ],
  };
}

/** Keep the jobs current. New jobs are put before the others. */
async function followJobs(api, signal, jobs, render, below) {
  const take = async (event) => {
    if (event.event !== "job") return;
    const news = JSON.parse(event.data);
    const known = jobs.get(news.id);
    if (known) {
      Object.assign(known, news);
    } else {
      const older = [...jobs];
      const job = await api.get(`v1/jobs/${news.id}`, { signal });
      jobs.clear();
      for (const [id, one] of [[job.id, job], ...older]) jobs.set(id, one);
    }
    render();
  };
  try {
    await follow(api, "v1/events", signal, (event) => void take(event).catch(() => {}));
  } catch (error) {
    if (!signal.aborted) below.prepend(problemBox(error));
  }
}

function row(job) {
  const flagged = Object.values(job.flags ?? {}).reduce((sum, number) => sum + number, 0);
  return el(
    "li",
    { class: "panel job" },
    el(
      "div",
      { class: "heading" },
      el("a", { class: "name", href: fragment(`/jobs/${job.id}`) }, jobName(job)),
      stateLabel(job.state),
    ),
    progressBar(job),
    el(
      "p",
      { class: "facts" },
      el("time", { datetime: job.created_at }, timeText(job.created_at)),
      flagged > 0 && ` · ${countText(flagged, "suspicious mask")}`,
      job.redrive_of && " · repeats failed items of an earlier job",
    ),
  );
}

function filterForm(filters, changed) {
  const choices = { ...GROUPS, ...STATES };
  delete choices.waiting;
  const options = Object.entries(choices).map(([value, words]) => el("option", { value, selected: value === filters.state }, words));
  const state = el("select", { on: { change: (event) => changed("state", event.target.value) } }, options);
  const text = el("input", { type: "search", ".value": filters.text, on: { input: (event) => changed("text", event.target.value) } });
  const flagged = el("input", {
    type: "checkbox",
    ".checked": filters.flagged === "1",
    on: { change: (event) => changed("flagged", event.target.checked ? "1" : "") },
  });
  return el(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter the jobs", on: { submit: (event) => event.preventDefault() } },
    field("State", state),
    field("Name or id", text),
    check("With suspicious masks only", flagged),
  );
}

function emptyWords() {
  return el("p", { class: "panel" }, "You have no jobs yet. ", el("a", { href: "#/submit" }, "Submit your first images."));
}
