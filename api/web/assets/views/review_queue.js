// The items that are reviewed, in order, and the verdicts of the reader.

import { EndedItems, FilteredItems } from "../core/item_lists.js";

//: The choices of what to review. A query for GET …/items, or null for all items by number.
export const SELECTIONS = {
  all: { words: "All items, suspicious ones first", query: null },
  flagged: { words: "Suspicious items only", query: "flag=any" },
  open: { words: "Without my verdict", query: "review=none" },
  sample: { words: "Random sample of the others", query: "sample=50" },
  rejected: { words: "Rejected by me", query: "review=rejected" },
};

/** Return the list of items of a selection. */
export function itemsOf(selection, api, job, signal, onChange) {
  const { query } = SELECTIONS[selection];
  return query === null ? new EndedItems(api, job, signal, onChange, "&order=suspicion") : new FilteredItems(api, job, query, signal, onChange);
}

/** The reader's own reviews. They are shown at once, and sent one after another. */
export class Reviews {
  /**
   * `onError` is called with the error of a review that could not be stored, and `onPending` with the number of reviews
   * that are not stored yet. They are stored even if the user goes to another view.
   */
  constructor(api, job, onError, onPending) {
    Object.assign(this, { api, job, onError, onPending });
    this.pending = 0;
    this.changed = new Map();
    this.past = [];
    this.sending = Promise.resolve();
  }

  /** Return the review of an item: `{ verdict, grade, flag, comment }`. */
  of(item) {
    const { verdict = null, grade = null, flag = false, comment = null } = this.changed.get(item.item) ?? item.review ?? {};
    return { verdict, grade, flag, comment };
  }

  /** Change parts of the review of an item. Resolves when it is stored. */
  change(item, index, news) {
    const before = this.of(item);
    this.past.push({ item, index, before });
    return this.store(item, before, { ...before, ...news });
  }

  /** Undo the last change. Returns the index of its item, or null. */
  undo() {
    const last = this.past.pop();
    if (!last) return null;
    void this.store(last.item, this.of(last.item), last.before);
    return last.index;
  }

  store(item, before, review) {
    this.changed.set(item.item, review);
    this.onPending((this.pending += 1));
    this.sending = this.sending.then(() => this.put(item, before, review));
    return this.sending;
  }

  async put(item, before, review) {
    try {
      await this.api.send("PUT", `v1/jobs/${this.job.id}/items/${item.item}/review`, review);
    } catch (error) {
      this.changed.set(item.item, before);
      this.onError(error);
    } finally {
      this.onPending((this.pending -= 1));
    }
  }
}
