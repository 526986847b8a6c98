// The items of a job as lists with random access. `at(index)` returns the item, or undefined while it is being loaded;
// `onChange` is called when items have arrived.


const PAGE = 60;
const PAGES_KEPT = 40;

/** The items of a job that runs, in order of completion. */
export class ArrivingItems {
  constructor(onChange) {
    this.onChange = onChange;
    this.items = new Map();
    this.order = [];
  }

  get count() {
    return this.order.length;
  }

  at(index) {
    return this.items.get(this.order[index]);
  }

  add(item) {
    if (!this.items.has(item.item)) this.order.push(item.item);
    this.items.set(item.item, item);
    this.onChange();
  }

  /** Read the list of items from the API, after events were lost. */
  async reload(api, job, signal) {
    for (let next = ""; next !== null; ) {
      const page = await api.get(`v1/jobs/${job.id}/items?limit=200${next && `&cursor=${encodeURIComponent(next)}`}`, { signal });
      for (const item of page.items) this.add(item);
      next = page.items.length ? page.next : null;
    }
  }
}

/** All items of a job that has ended, by number or most suspicious first. Any page can be read. */
export class EndedItems {
  constructor(api, job, signal, onChange, order = "") {
    Object.assign(this, { api, job, signal, onChange, order, count: job.counts.total });
    this.pages = new Map();
  }

  at(index) {
    const number = Math.floor(index / PAGE);
    let page = this.pages.get(number);
    if (!page) {
      page = { items: null };
      void this.load(number, page);
    }
    this.pages.delete(number); // the most recent page is the last one
    this.pages.set(number, page);
    if (this.pages.size > PAGES_KEPT) this.pages.delete(this.pages.keys().next().value);
    return page.items?.[index % PAGE];
  }

  async load(number, page) {
    try {
      const path = `v1/jobs/${this.job.id}/items?offset=${number * PAGE}&limit=${PAGE}${this.order}`;
      page.items = (await this.api.get(path, { signal: this.signal })).items;
      this.onChange();
    } catch (error) {
      this.pages.delete(number);
      if (error.name !== "AbortError") setTimeout(this.onChange, 2000);
    }
  }
}

/** The items that pass a filter, in the order of the API. Its pages can be read only one after another. */
export class FilteredItems {
  constructor(api, job, query, signal, onChange) {
    Object.assign(this, { api, job, query, signal, onChange });
    this.items = [];
    this.next = "";
    this.loading = null;
  }

  /** The number of items that are known so far. */
  get count() {
    return this.items.length;
  }

  get complete() {
    return this.next === null;
  }

  at(index) {
    if (index >= this.items.length - PAGE / 2) void this.more();
    return this.items[index];
  }

  /** Load the next page, if there is one. */
  more() {
    if (this.next === null) return Promise.resolve();
    this.loading ??= this.load().finally(() => (this.loading = null));
    return this.loading;
  }

  async load() {
    const cursor = this.next && `&cursor=${encodeURIComponent(this.next)}`;
    const path = `v1/jobs/${this.job.id}/items?limit=${PAGE}&${this.query}${cursor}`;
    const page = await this.api.get(path, { signal: this.signal });
    this.items.push(...page.items);
    this.next = page.next;
    this.onChange();
  }
}

/** Return the link of the best small image of an item, or null. */
export function pictureOf(item) {
  const middle = item.frames?.length ? item.frames[Math.floor(item.frames.length / 2)] : null;
  const links = [item.links?.overlay, item.links?.["contact-sheet"], item.links?.preview, middle?.links?.overlay, middle?.links?.preview];
  return links.find((link) => link) ?? null;
}

/** Return the flags of all masks of an item. An event carries them as counts. */
export function flagsOf(item) {
  if (item.flags) return Object.keys(item.flags);
  const masks = [...(item.masks ?? []), ...(item.frames ?? []).flatMap((frame) => frame.masks)];
  return [...new Set(masks.flatMap((mask) => mask.flags))];
}
