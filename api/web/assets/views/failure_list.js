// The failures of a job, grouped by what went wrong, with what to do about each kind.

import { el } from "../core/dom.js";
import { errorWords } from "../core/error_words.js";
import { fragment } from "../core/routes.js";
import { countText, itemName } from "../core/text.js";

//: The failures that are read. A job with more of them has the same problem many times.
const READ = 200;
const NAMED = 8;

/** Return the failures of the job as a section, or null if there are none. */
export async function failureList(api, job, signal) {
  const own = job.error && el("li", {}, words(job.error));
  if (!job.frames.failed && !own) return null;
  const { dead_letters: letters, next } = await api.get(`v1/jobs/${job.id}/dead-letters?limit=${READ}`, { signal });
  const groups = [...grouped(letters).values()];
  const lines = await Promise.all(groups.map(async (group) => el("li", {}, words(group[0].error), " ", await names(api, job, group, signal))));
  return el(
    "section",
    { class: "panel problem", "aria-label": "Failures" },
    el("h2", {}, `${countText(job.frames.failed, "image")} failed`),
    el("ul", {}, own, lines),
    next && el("p", { class: "hint" }, `Only the first ${READ} failures are shown.`),
  );
}

function grouped(letters) {
  const groups = new Map();
  for (const letter of letters) groups.set(letter.error.code, [...(groups.get(letter.error.code) ?? []), letter]);
  return groups;
}

function words(error) {
  const { meaning, advice } = errorWords(error.code, error.detail);
  return [el("strong", {}, meaning), " ", advice];
}

async function names(api, job, letters, signal) {
  const items = [...new Map(letters.map((letter) => [letter.custom_id, letter])).values()];
  const links = await Promise.all(items.slice(0, NAMED).map((letter) => link(api, job, letter, signal)));
  const more = items.length > NAMED && ` and ${items.length - NAMED} more`;
  return el("span", { class: "hint" }, "(", links.map((one, place) => [place > 0 && ", ", one]), more, ")");
}

/** Return a link to the item, with the name of its file. */
async function link(api, job, letter, signal) {
  const item = await api.get(`v1/jobs/${job.id}/items/${letter.item}`, { signal });
  return el("a", { href: fragment(`/jobs/${job.id}/items/${letter.item}`) }, itemName(item));
}
