// One job: its live progress, its errors in words, its items as a grid, and what can be done with it.

import { button, confirmed, el, field, fill } from "../core/dom.js";
import { flagWords } from "../core/error_words.js";
import { follow } from "../core/event_stream.js";
import { ThumbnailLoader } from "../core/image_loader.js";
import { ArrivingItems, EndedItems, FilteredItems } from "../core/item_lists.js";
import { problemBox } from "../core/problem_box.js";
import { fragment, replaceQuery } from "../core/routes.js";
import { durationText, isEnded, jobName, STATES, timeText } from "../core/text.js";
import { VirtualGrid } from "../core/virtual_grid.js";
import { download } from "./download.js";
import { failureList } from "./failure_list.js";
import { itemCard } from "./item_card.js";
import { progressBar, stateLabel } from "./progress.js";

export async function jobView({ api, signal, announce }, { job: id, query }) {
  const job = await api.get(`v1/jobs/${id}`, { signal });
  const parts = { state: el("span"), progress: el("div"), actions: el("div", { class: "actions" }), notes: el("div"), facts: el("dl", { class: "facts" }) };
  const failures = el("div");
  const items = itemGrid(api, job, query.get("flag") ?? "", signal);

  function render() {
    fill(parts.state, stateLabel(job.state));
    fill(parts.progress, progressBar(job));
    fill(parts.actions, actions(api, job, parts.notes));
    fill(parts.facts, facts(job));
  }

  async function ended() {
    Object.assign(job, await api.get(`v1/jobs/${id}`, { signal }));
    render();
    items.showEnded();
    announce(`The job has ended: ${STATES[job.state]}.`);
    fill(failures, await failureList(api, job, signal));
  }

  render();
  if (isEnded(job)) {
    items.showEnded();
    fill(failures, await failureList(api, job, signal));
  } else {
    items.showArriving();
    void followJob(api, job, signal, { render, ended, items, notes: parts.notes });
  }
  return {
    title: jobName(job),
    content: [
      el("p", { class: "trail" }, el("a", { href: "#/jobs" }, "← Jobs")),
      el("div", { class: "heading" }, el("h1", {}, jobName(job)), parts.state),
      el("section", { class: "panel", "aria-label": "Progress" }, parts.progress, warnings(job), parts.actions, parts.notes, parts.facts),
      failures,
      items.element,
    ],
  };
}

async function followJob(api, job, signal, { render, ended, items, notes }) {
  const take = (event) => {
    if (event.event === "item") items.arrived(JSON.parse(event.data));
    else if (event.event === "dropped") void items.reload();
    else if (event.event === "job" || event.event === "end") {
      Object.assign(job, JSON.parse(event.data));
      render();
    }
    return event.event === "end";
  };
  const interrupted = (is) => {
    const words = "The connection is interrupted. The page continues as soon as the service answers.";
    if (is && !notes.textContent) fill(notes, el("p", { class: "box", role: "status" }, words));
    else if (!is && notes.textContent === words) fill(notes);
  };
  try {
    await follow(api, `v1/jobs/${job.id}/events?from=start`, signal, take, interrupted);
    if (!signal.aborted) await ended();
  } catch (error) {
    if (!signal.aborted) fill(notes, problemBox(error));
  }
}

/** The grid of items, which changes its source when the job ends or a flag is chosen. */
function itemGrid(api, job, flag, signal) {
  const thumbnails = new ThumbnailLoader(api, signal);
  const grid = new VirtualGrid({ label: "Items", rowHeight: 250, minWidth: 190, signal, render: (index) => itemCard(job, source.at(index), thumbnails) });
  const changed = () => {
    grid.setCount(source.count);
    for (const index of grid.cards.keys()) if (waits(grid, index)) grid.refresh(index);
  };
  const arriving = new ArrivingItems(changed);
  let source = arriving;
  const filter = el("div", { class: "filters" });

  function showEnded() {
    source = flag ? new FilteredItems(api, job, `flag=${flag}`, signal, changed) : new EndedItems(api, job, signal, changed);
    if (flag) void source.more();
    fill(filter, flagFilter(job, flag, choose));
    grid.refresh();
    grid.setCount(source.count);
  }

  function choose(chosen) {
    flag = chosen;
    replaceQuery({ flag });
    showEnded();
  }

  return {
    element: el("section", { "aria-label": "Items of the job" }, el("h2", {}, "Items"), filter, grid.element),
    showArriving: () => grid.setCount(arriving.count),
    showEnded,
    arrived: (item) => arriving.add(item),
    reload: () => arriving.reload(api, job, signal).catch(() => {}),
  };
}

function waits(grid, index) {
  return grid.cards.get(index)?.querySelector("[aria-busy]");
}

function flagFilter(job, flag, choose) {
  const flags = Object.entries(job.flags);
  if (flags.length === 0) return el("p", { class: "hint" }, "No mask is suspicious.");
  const options = [["", "All items"], ...flags.map(([name, number]) => [name, `${flagWords(name)} (${number})`])];
  const select = el(
    "select",
    { on: { change: (event) => choose(event.target.value) } },
    options.map(([value, words]) => el("option", { value, selected: value === flag }, words)),
  );
  return field("Show", select);
}

function warnings(job) {
  if (!job.warnings?.length) return null;
  const lines = job.warnings.map(({ prompt, nearest }) =>
    el("li", {}, "The model was not trained on “", prompt, "”.", nearest && [" Did you mean “", el("strong", {}, nearest), "”?"]),
  );
  return el("div", { class: "box warning" }, el("ul", {}, lines));
}

function facts(job) {
  const stages = Object.entries(job.timings ?? {}).filter(([stage]) => stage !== "total");
  const rows = [
    ["Submitted", timeText(job.created_at)],
    ["Items", Object.entries(job.counts).filter(([, number]) => number).map(([state, number]) => `${number} ${state}`).join(", ")],
    ["Slowest stage", job.bottleneck],
    ["Time by stage", stages.map(([stage, seconds]) => `${stage} ${durationText(seconds)}`).join(", ")],
    ["Repeats the failed items of", job.redrive_of && el("a", { href: fragment(`/jobs/${job.redrive_of}`) }, job.redrive_of)],
    ["Reason", job.reason],
    ["Job id", el("code", {}, job.id)],
  ];
  return rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

function actions(api, job, notes) {
  const act = (action) => async (event) => {
    event.target.disabled = true;
    try {
      await action();
    } catch (error) {
      fill(notes, problemBox(error));
    }
    event.target.disabled = false;
  };
  const cancel = async () => {
    if (await confirmed("Cancel this job? Finished results stay available.", "Cancel the job")) await api.send("POST", `v1/jobs/${job.id}/cancel`);
  };
  const redrive = async () => {
    const repeated = await api.send("POST", `v1/jobs/${job.id}/redrive`);
    location.hash = fragment(`/jobs/${repeated.id}`);
  };
  const remove = async () => {
    if (!(await confirmed("Delete this job and all its results? This cannot be undone.", "Delete the job"))) return;
    await api.send("DELETE", `v1/jobs/${job.id}`);
    location.hash = fragment("/jobs");
  };
  const save = (name) => download(api, `v1/jobs/${job.id}/${name}`, `${job.id}-${name.split("/").pop()}`);
  const finished = isEnded(job);
  const masks = job.frames.succeeded > 0;
  return [
    finished && masks && el("a", { class: "button primary", href: fragment(`/jobs/${job.id}/review`) }, "Review the masks"),
    finished && masks && button("Table (CSV)", act(() => save("results.csv"))),
    job.links.report && button("Run card (HTML)", act(() => save("artifacts/report.html"))),
    finished && button("Provenance (JSON)", act(() => save("artifacts/result.json"))),
    finished && job.frames.failed > 0 && button("Run the failed items again", act(redrive)),
    ["accepted", "running"].includes(job.state) && button("Cancel", act(cancel)),
    button("Delete", act(remove), "danger"),
  ];
}
