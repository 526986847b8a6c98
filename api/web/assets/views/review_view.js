// The review of a job by keyboard: one item at a time with its masks, and a gallery of all items.

import { button, el, field, fill } from "../core/dom.js";
import { ThumbnailLoader } from "../core/image_loader.js";
import { flagsOf, pictureOf } from "../core/item_lists.js";
import { flagWords } from "../core/error_words.js";
import { problemBox } from "../core/problem_box.js";
import { fragment, replaceQuery } from "../core/routes.js";
import { countText, itemName, jobName } from "../core/text.js";
import { VirtualGrid } from "../core/virtual_grid.js";
import { ItemViewer } from "../viewer/item_viewer.js";
import { MaskPanel } from "../viewer/mask_panel.js";
import { itemsOf, Reviews, SELECTIONS } from "./review_queue.js";

const MARKS = { accept: "✓ Accepted", reject: "✗ Rejected" };

export async function reviewView({ api, signal, announce }, { job: id, query }) {
  const job = await api.get(`v1/jobs/${id}`, { signal });
  return new ReviewView({ api, signal, announce, job, selection: SELECTIONS[query.get("show")] ? query.get("show") : "all" }).view();
}

class ReviewView {
  constructor(parts) {
    Object.assign(this, parts);
    const { api, signal, job } = parts;
    this.reviews = new Reviews(
      api,
      job,
      (error) => fill(this.notes, problemBox(error)),
      (pending) => (this.verdict.dataset.pending = pending),
    );
    // The browser asks before it closes the page while a verdict is not stored yet.
    addEventListener("beforeunload", (event) => this.reviews.pending > 0 && event.preventDefault(), { signal });
    this.thumbnails = new ThumbnailLoader(api, signal);
    this.viewer = new ItemViewer({ api, signal, onFrame: (frame) => this.panel.show(frame) });
    this.panel = new MaskPanel(this.viewer);
    this.grid = new VirtualGrid({ label: "Items to review", rowHeight: 150, minWidth: 130, signal, render: (index) => this.card(index) });
    this.notes = el("div");
    this.title = el("h2", { class: "item-title" });
    this.verdict = el("p", { class: "verdict", role: "status" });
    this.buttons = el("div", { class: "review-buttons" });
    this.summary = el("div");
    this.read = new Map();
    addEventListener("keydown", (event) => this.key(event), { signal });
    this.select(parts.selection);
  }

  view() {
    const { job } = this;
    const select = el("select", { on: { change: () => this.select(select.value) } }, Object.entries(SELECTIONS).map(([name, { words }]) => el("option", { value: name, selected: name === this.selection }, words)));
    const gallery = el("div", { class: "gallery scrolls", tabindex: "0", role: "group", "aria-label": "Gallery" }, this.grid.element);
    return {
      title: `Review of ${jobName(job)}`,
      content: [
        el("p", { class: "trail" }, el("a", { href: fragment(`/jobs/${job.id}`) }, `← ${jobName(job)}`)),
        el("div", { class: "heading" }, el("h1", {}, "Review"), field("Show", select)),
        this.notes,
        el(
          "div",
          { class: "workbench" },
          el("div", { class: "left" }, el("div", { class: "heading" }, this.title, this.verdict), this.viewer.element, this.buttons),
          el("div", { class: "side panel" }, this.panel.element, keys(), el("details", { on: { toggle: (event) => event.target.open && void this.summarise() } }, el("summary", {}, "Results of the review"), this.summary)),
        ),
        gallery,
      ],
    };
  }

  select(selection) {
    this.selection = selection;
    replaceQuery({ show: selection });
    this.index = 0;
    this.items = itemsOf(selection, this.api, this.job, this.signal, () => this.arrived());
    this.grid.refresh();
    this.showing = null;
    fill(this.title, "Loading …");
    void (this.items.more?.() ?? Promise.resolve(this.items.at(0))).then(() => this.arrived(), (error) => this.failed(error));
  }

  failed(error) {
    if (!this.signal.aborted) fill(this.notes, problemBox(error));
  }

  arrived() {
    this.grid.setCount(this.items.count);
    for (const [index, card] of [...this.grid.cards]) if (card.querySelector("[aria-busy]")) this.grid.refresh(index);
    if (this.showing === null) this.go(this.index);
  }

  /** Show the item with this index in the selection. */
  async go(index) {
    if (this.items.count === 0) {
      if (this.items.complete !== false) fill(this.title, "There is nothing to review in this selection.");
      return;
    }
    const last = this.index;
    this.index = Math.max(0, Math.min(index, this.items.count - 1));
    const item = this.items.at(this.index);
    for (const place of [last, this.index]) this.grid.refresh(place);
    this.grid.reveal(this.index);
    this.showing = item ?? null; // a key that is pressed before the item is known must not judge the item before it
    if (!item) {
      fill(this.title, "Loading …");
      return;
    }
    fill(this.title, itemName(item));
    this.renderReview();
    try {
      const whole = await this.whole(item);
      if (this.showing !== item || this.signal.aborted) return;
      this.viewer.show(whole);
      this.readAhead();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Return a promise of the item with its run lengths. */
  whole(item) {
    if (!this.read.has(item.item)) {
      if (this.read.size > 30) this.read.delete(this.read.keys().next().value);
      const reading = this.api.get(`v1/jobs/${this.job.id}/items/${item.item}?rle=true`, { signal: this.signal });
      reading.catch(() => this.read.delete(item.item));
      this.read.set(item.item, reading);
    }
    return this.read.get(item.item);
  }

  /** Read the next items and their images, so that they are shown at once. */
  readAhead() {
    for (let index = this.index + 1; index <= this.index + 3 && index < this.items.count; index += 1) {
      const next = this.items.at(index);
      if (next) this.whole(next).then((item) => item.links?.preview && this.viewer.cache.load(item.links.preview)).catch(() => {});
    }
  }

  judge(verdict) {
    const item = this.showing;
    if (!item) return;
    void this.reviews.change(item, this.index, { verdict });
    this.announce(`${itemName(item)}: ${verdict === "accept" ? "accepted" : "rejected"}.`);
    if (this.index + 1 < this.items.count) void this.go(this.index + 1);
    else {
      this.grid.refresh(this.index);
      this.renderReview();
      this.announce("This was the last item.");
    }
  }

  set(news) {
    if (!this.showing) return;
    void this.reviews.change(this.showing, this.index, news);
    this.grid.refresh(this.index);
    this.renderReview();
  }

  undo() {
    const index = this.reviews.undo();
    if (index === null) return;
    this.announce("Undone.");
    void this.go(index);
  }

  comment() {
    if (!this.showing) return;
    const review = this.reviews.of(this.showing);
    const text = el("textarea", { rows: "4", maxlength: "2000", ".value": review.comment ?? "" });
    const dialog = el("dialog", { "aria-label": "Comment", on: { close: () => dialog.remove() } });
    const save = () => {
      dialog.close();
      this.set({ comment: text.value.trim() || null });
    };
    dialog.append(field(`Comment on ${itemName(this.showing)}`, text, "Ctrl and Enter saves."), el("div", { class: "actions" }, button("Back", () => dialog.close()), button("Save", save, "primary")));
    text.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && save());
    document.body.append(dialog);
    dialog.showModal();
    text.focus();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const actions = {
      ArrowRight: () => this.judge("accept"),
      ArrowLeft: () => this.judge("reject"),
      f: () => this.set({ flag: !this.reviews.of(this.showing).flag }),
      c: () => this.comment(),
      u: () => this.undo(),
      n: () => this.go(this.index + 1),
      p: () => this.go(this.index - 1),
      ArrowDown: () => this.viewer.step(1),
      ArrowUp: () => this.viewer.step(-1),
      o: () => this.viewer.prompts.forEach((_, number) => this.panel.toggle(number)),
    };
    if (!this.showing) return;
    if (/^[1-5]$/.test(event.key)) this.set({ grade: Number(event.key) });
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  }

  renderReview() {
    const review = this.reviews.of(this.showing);
    const words = [MARKS[review.verdict] ?? "No verdict yet", review.grade && `grade ${review.grade}`, review.flag && "⚑ flagged", review.comment && "with a comment"];
    fill(this.verdict, words.filter(Boolean).join(" · "));
    this.verdict.className = `verdict ${review.verdict ?? ""}`;
    const pressed = (is) => ({ "aria-pressed": String(is) });
    fill(
      this.buttons,
      button("← Reject", () => this.judge("reject"), "", pressed(review.verdict === "reject")),
      button("Accept →", () => this.judge("accept"), "", pressed(review.verdict === "accept")),
      el("div", { class: "group", role: "group", "aria-label": "Grade" }, [1, 2, 3, 4, 5].map((grade) => button(String(grade), () => this.set({ grade }), "", { ...pressed(review.grade === grade), "aria-label": `Grade ${grade}` }))),
      button("⚑ Flag", () => this.set({ flag: !review.flag }), "", pressed(review.flag)),
      button("Comment", () => this.comment(), "", pressed(Boolean(review.comment))),
      button("Undo", () => this.undo()),
    );
  }

  card(index) {
    const item = this.items.at(index);
    if (!item) return el("div", { class: "card waiting", "aria-busy": "true" }, "…");
    const review = this.reviews.of(item);
    const flags = flagsOf(item).map(flagWords).join("; ");
    const link = pictureOf(item);
    const state = MARKS[review.verdict] ?? (flags ? "⚑" : "");
    return el(
      "button",
      { type: "button", class: `card ${review.verdict ?? ""}`, "aria-current": index === this.index ? "true" : null, title: flags || null, on: { click: () => void this.go(index) } },
      link ? this.thumbnails.canvas(link, "") : el("div", { class: "thumbnail blank" }),
      el("span", { class: "name" }, itemName(item)),
      el("span", { class: "facts" }, state || "·"),
    );
  }

  async summarise() {
    const { reviewed, items, readers, agreement } = await this.api.get(`v1/jobs/${this.job.id}/reviews?sample=50`, { signal: this.signal });
    const lines = readers.map((reader) => {
      const { error_rate: rate, reviewed: seen, interval } = reader.sample ?? {};
      const estimate = rate !== null && rate !== undefined && `; of ${countText(seen, "random item")} without flags, ${(100 * rate).toFixed(0)} % are wrong (95 % interval ${interval.map((bound) => (100 * bound).toFixed(0)).join(" to ")} %)`;
      return el("li", {}, `${reader.you ? "You" : reader.reader}: ${reader.accepted} accepted, ${reader.rejected} rejected, ${reader.flagged} flagged`, estimate);
    });
    const kappas = agreement.map(({ readers: [one, other], items: both, kappa }) => el("li", {}, `${one} and ${other}: Cohen's κ ${kappa === null ? "cannot be computed" : kappa.toFixed(2)} over ${countText(both, "item")}`));
    fill(this.summary, el("p", {}, `${reviewed} of ${countText(items, "item")} have a verdict.`), el("ul", {}, lines, kappas));
  }
}

function keys() {
  const rows = [["→", "accept"], ["←", "reject"], ["1–5", "grade"], ["f", "flag"], ["c", "comment"], ["u", "undo"], ["n, p", "next, previous"], ["o", "masks on or off"], ["↑ ↓", "slices"]];
  return el("details", { open: true }, el("summary", {}, "Keyboard"), el("dl", { class: "keys" }, rows.map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)))));
}
