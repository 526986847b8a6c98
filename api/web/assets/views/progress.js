// The progress of a job as a bar and as words.

import { el } from "../core/dom.js";
import { countText, durationText, isEnded, shareText, STATES } from "../core/text.js";

/** Return a label with the state of a job or an item. The words say what the colour says. */
export function stateLabel(state) {
  return el("span", { class: `state ${state}` }, STATES[state] ?? state);
}

/** Return a progress bar over the frames of a job. */
export function progressBar(job) {
  const { planned = 0, succeeded = 0, failed = 0, cancelled = 0 } = job.frames;
  const done = succeeded + failed + cancelled;
  const bar = el("progress", { "aria-label": "Progress", max: Math.max(planned, 1), value: isEnded(job) ? Math.max(planned, 1) : done });
  return el("div", { class: "progress" }, bar, el("span", {}, progressWords(job)));
}

/** Return what has happened so far, in words. */
export function progressWords(job) {
  const { planned = 0, succeeded = 0, failed = 0, cancelled = 0 } = job.frames;
  const done = succeeded + failed + cancelled;
  const items = countText(job.counts.total, "item");
  if (isEnded(job)) return `${items}, ${countText(planned, "image")}${failed ? `, ${failed} failed` : ""}`;
  const eta = job.eta_s ? `, about ${durationText(job.eta_s)} left` : "";
  const more = job.planned ? "" : " or more";
  return `${done} of ${planned}${more} images (${shareText(done, planned)})${failed ? `, ${failed} failed` : ""}${eta}`;
}
