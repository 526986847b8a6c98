// A grid of any number of cards, of which only the visible ones are in the document.

import { el } from "./dom.js";

//: The rows that are rendered above and below the visible ones.
const MARGIN = 2;

export class VirtualGrid {
  /**
   * `render(index)` returns the card with this number. All cards have the height `rowHeight`, and at least the width
   * `minWidth`, in CSS pixels. The grid stops listening when `signal` aborts.
   */
  constructor({ label, rowHeight, minWidth, render, signal }) {
    this.rowHeight = rowHeight;
    this.minWidth = minWidth;
    this.render = render;
    this.count = 0;
    this.cards = new Map();
    this.element = el("div", { class: "grid", role: "list", "aria-label": label });
    const later = () => this.schedule();
    addEventListener("scroll", later, { signal, passive: true, capture: true });
    const observer = new ResizeObserver(later);
    observer.observe(this.element);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  setCount(count) {
    this.count = count;
    this.schedule();
  }

  /** Render the card with this number again, or all cards. */
  refresh(index = null) {
    for (const number of index === null ? [...this.cards.keys()] : [index]) {
      this.cards.get(number)?.remove();
      this.cards.delete(number);
    }
    this.schedule();
  }

  /** Scroll so that the card with this number is visible. */
  reveal(index) {
    const top = Math.floor(index / this.columns()) * this.rowHeight;
    const box = this.element.getBoundingClientRect();
    const frame = scrollFrame(this.element);
    if (box.top + top < frame.top) frame.by(box.top + top - frame.top - 8);
    else if (box.top + top + this.rowHeight > frame.bottom) frame.by(box.top + top + this.rowHeight - frame.bottom + 8);
    this.schedule();
  }

  columns() {
    return Math.max(1, Math.floor(this.element.clientWidth / this.minWidth));
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.update();
    });
  }

  update() {
    const columns = this.columns();
    const width = this.element.clientWidth / columns;
    this.element.style.height = `${Math.ceil(this.count / columns) * this.rowHeight}px`;
    const box = this.element.getBoundingClientRect();
    const frame = scrollFrame(this.element);
    const first = Math.max(0, (Math.floor((frame.top - box.top) / this.rowHeight) - MARGIN) * columns);
    const last = Math.min(this.count, (Math.ceil((frame.bottom - box.top) / this.rowHeight) + MARGIN) * columns);
    for (const [index, card] of this.cards) {
      if (index >= first && index < last) continue;
      card.remove();
      this.cards.delete(index);
    }
    for (let index = first; index < last; index += 1) {
      const card = this.cards.get(index) ?? this.add(index);
      card.style.width = `${width}px`;
      card.style.height = `${this.rowHeight}px`;
      card.style.transform = `translate(${(index % columns) * width}px, ${Math.floor(index / columns) * this.rowHeight}px)`;
    }
  }

  add(index) {
    const card = el(
      "div",
      { class: "cell", role: "listitem", "aria-setsize": this.count, "aria-posinset": index + 1 },
      this.render(index),
    );
    const after = [...this.cards.keys()].filter((number) => number > index);
    const before = after.length ? this.cards.get(Math.min(...after)) : null;
    this.element.insertBefore(card, before); // the order in the document is the order of the cards, for the Tab key
    this.cards.set(index, card);
    return card;
  }
}

/** Return the visible range of whatever scrolls the element: the nearest scrolling ancestor, or the window. */
function scrollFrame(element) {
  const ancestor = element.closest(".scrolls");
  if (!ancestor) return { top: 0, bottom: innerHeight, by: (distance) => scrollBy(0, distance) };
  const box = ancestor.getBoundingClientRect();
  return { top: box.top, bottom: box.bottom, by: (distance) => ancestor.scrollBy(0, distance) };
}
