// The card of an item in a grid: a small picture, its name, its state and what is suspicious about it.

import { el } from "../core/dom.js";
import { errorWords, flagWords } from "../core/error_words.js";
import { flagsOf, pictureOf } from "../core/item_lists.js";
import { fragment } from "../core/routes.js";
import { countText, itemName } from "../core/text.js";
import { stateLabel } from "./progress.js";

/** Return the card. While the item is not loaded, `item` is undefined. */
export function itemCard(job, item, thumbnails) {
  if (!item) return el("div", { class: "card waiting", "aria-busy": "true" }, "Loading …");
  const link = pictureOf(item);
  const name = itemName(item);
  return el(
    "a",
    { class: "card", href: fragment(`/jobs/${job.id}/items/${item.item}`) },
    link ? thumbnails.canvas(link, `Small picture of ${name}`) : el("div", { class: "thumbnail blank" }, item.error ? "No image" : "No picture"),
    el("span", { class: "name" }, name),
    el("span", { class: "facts" }, stateLabel(item.state), remark(item)),
  );
}

function remark(item) {
  if (item.error) return el("span", { class: "remark" }, errorWords(item.error.code, item.error.detail).meaning);
  const flags = flagsOf(item);
  if (flags.length === 0) return null;
  const title = flags.map(flagWords).join("; ");
  return el("span", { class: "remark flagged", title }, `⚑ ${countText(flags.length, "flag")}: ${title}`);
}
