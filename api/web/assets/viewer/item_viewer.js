// The viewer of one item: its image, one layer per prompt, and the scroller of a series.

import { el } from "../core/dom.js";
import { itemName } from "../core/text.js";
import { ImageCanvas } from "./image_canvas.js";
import { maskCanvas, probabilityCanvas } from "./mask_layers.js";
import { colourOf } from "./palette.js";
import { PreviewCache } from "./preview_cache.js";
import { decodeRle } from "./rle.js";
import { dragged, FULL } from "./window_level.js";

//: The slices that are loaded in advance in each direction.
const AHEAD = 6;

/** Return the frames of an item. An item with one frame is its own frame. */
export function framesOf(item) {
  return item.frames?.length ? item.frames : [{ ...item, frame: 0 }];
}

export class ItemViewer {
  /** `onFrame(frame, index)` is called when another frame is shown, and `onChange()` when masks are drawn otherwise. */
  constructor({ api, signal, onFrame = () => {}, onChange = () => {} }) {
    Object.assign(this, { api, signal, onFrame, onChange });
    this.cache = new PreviewCache(api, signal);
    this.stage = new ImageCanvas({ signal, onDrag: (tool, right, down) => this.drag(tool, right, down) });
    this.slider = el("input", { type: "range", min: "0", step: "1", "aria-label": "Slice", on: { input: () => this.showFrame(Number(this.slider.value)) } });
    this.ribbon = el("canvas", { class: "ribbon", "aria-hidden": "true" });
    this.position = el("output", {});
    this.scroller = el("div", { class: "scroller" }, this.ribbon, el("div", { class: "scroller-row" }, this.slider, this.position));
    this.note = el("p", { class: "stage-note", hidden: true });
    this.element = el("div", { class: "viewer" }, this.stage.element, this.note, this.scroller);
    this.settings = [];
    this.window = FULL;
  }

  /** Show an item that was read with `rle=true`, at the frame with this index. */
  show(item, index = null) {
    const isOther = this.item?.item !== item.item;
    this.item = item;
    this.frames = framesOf(item);
    const prompts = promptsOf(this.frames);
    if (isOther || prompts.length !== this.settings.length) {
      this.settings = prompts.map((prompt, number) => this.settings[number] ?? { visible: true, opacity: 0.5, style: "fill" });
      this.layers = new Map();
      this.stage.fit();
    }
    this.prompts = prompts;
    this.stage.onScroll = this.frames.length > 1 ? (steps) => this.step(steps) : null;
    this.scroller.hidden = this.frames.length === 1;
    this.slider.max = String(this.frames.length - 1);
    this.drawRibbon();
    this.showFrame(Math.min(index ?? this.startIndex(), this.frames.length - 1));
  }

  /** The frame with the most mask, so that a series opens where there is something to see. */
  startIndex() {
    const areas = this.frames.map((frame) => frame.masks.reduce((sum, mask) => sum + mask.area_px, 0));
    return Math.max(0, areas.indexOf(Math.max(...areas)));
  }

  step(steps) {
    this.showFrame(Math.min(this.frames.length - 1, Math.max(0, this.index + steps)));
  }

  drag(tool, right, down) {
    if (tool === "window") this.setWindow(dragged(this.window, right, down));
    else {
      this.dragged = (this.dragged ?? 0) + down * this.frames.length;
      const steps = Math.trunc(this.dragged);
      this.dragged -= steps;
      if (steps) this.step(steps);
    }
  }

  setWindow(window) {
    this.window = window;
    this.showFrame(this.index);
  }

  /** Change how the masks of a prompt are drawn: `{ visible, opacity, style }`. */
  change(prompt, settings) {
    if (settings.style) for (const key of [...this.layers.keys()]) if (key.startsWith(`${prompt} `)) this.layers.delete(key);
    Object.assign(this.settings[prompt], settings);
    void this.render();
    this.onChange();
  }

  showFrame(index) {
    const isOther = index !== this.index || this.frame !== this.frames[index];
    this.direction = index >= (this.index ?? 0) ? 1 : -1;
    this.index = index;
    this.frame = this.frames[index];
    this.slider.value = String(index);
    this.position.textContent = `${index + 1} / ${this.frames.length}`;
    this.slider.setAttribute("aria-valuetext", `Slice ${index + 1} of ${this.frames.length}`);
    if (isOther) this.onFrame(this.frame, index);
    void this.render();
  }

  async render() {
    const { frame } = this;
    const link = frame.links?.preview ?? frame.links?.overlay ?? null;
    let bitmap = null;
    try {
      bitmap = link && (await this.cache.load(link));
    } catch (error) {
      if (error.name === "AbortError") return;
    }
    const layers = await Promise.all(frame.masks.map((mask, number) => this.layer(frame, mask, number)));
    if (frame !== this.frame) return; // another frame was chosen while this one was loading
    this.note.hidden = Boolean(frame.links?.preview);
    this.note.textContent = frame.error ? "There is no image to show." : link ? "This job has no previews. The picture has the masks drawn on it already." : "This job has no previews, so only the masks are shown.";
    const [height, width] = frame.masks[0]?.size ?? frame.masks[0]?.rle?.size ?? [bitmap?.height ?? 1, bitmap?.width ?? 1];
    this.stage.setImage(bitmap && !frame.links.preview ? await top(bitmap, width, height) : bitmap, { width, height }, this.window);
    this.stage.setLayers(layers.filter(Boolean), this.description());
    this.element.dataset.shown = `${this.item.item}.${this.index}`;
    this.loadAhead();
  }

  async layer(frame, mask, number) {
    const { visible, opacity, style } = this.settings[number];
    if (!visible || (mask.empty && style !== "probability")) return null;
    const key = `${number} ${frame.frame}`;
    if (!this.layers.has(key)) {
      if (this.layers.size > 60) this.layers.clear();
      this.layers.set(key, await this.drawn(mask, colourOf(number), style));
    }
    const canvas = this.layers.get(key);
    return canvas && { canvas, opacity };
  }

  async drawn(mask, colour, style) {
    if (style === "probability" && mask.links.probability) {
      const bitmap = await this.cache.load(mask.links.probability);
      const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      context.drawImage(bitmap, 0, 0);
      return probabilityCanvas(context.getImageData(0, 0, bitmap.width, bitmap.height).data, bitmap.width, bitmap.height, colour);
    }
    return mask.rle ? maskCanvas(decodeRle(mask.rle), colour, style) : null;
  }

  loadAhead() {
    for (let distance = 1; distance <= AHEAD; distance += 1) {
      for (const index of [this.index + distance * this.direction, this.index - distance * this.direction]) {
        const link = this.frames[index]?.links?.preview;
        if (link && distance <= (index > this.index === this.direction > 0 ? AHEAD : 2)) this.cache.load(link).catch(() => {});
      }
    }
  }

  description() {
    const shown = this.frame.masks.filter((mask, number) => this.settings[number].visible && !mask.empty);
    const slice = this.frames.length > 1 ? `, slice ${this.index + 1} of ${this.frames.length}` : "";
    return `${itemName(this.item)}${slice}. Masks shown: ${shown.map((mask) => mask.prompt).join(", ") || "none"}.`;
  }

  /** Draw where along the series each prompt has a mask, and which slices are suspicious. */
  drawRibbon() {
    const rows = this.prompts.length;
    Object.assign(this.ribbon, { width: Math.max(this.frames.length, 1), height: Math.max(rows * 2, 1) });
    const context = this.ribbon.getContext("2d");
    this.frames.forEach((frame, place) =>
      frame.masks.forEach((mask, number) => {
        if (mask.empty) return;
        context.fillStyle = `rgb(${colourOf(number).join(" ")})`;
        context.fillRect(place, number * 2, 1, 2);
      }),
    );
  }
}

function promptsOf(frames) {
  return frames.reduce((longest, frame) => (frame.masks.length > longest.length ? frame.masks.map((mask) => mask.prompt) : longest), []);
}

/** Cut the legend below an overlay off. */
async function top(bitmap, width, height) {
  const scale = bitmap.width / width;
  const shown = Math.min(bitmap.height, Math.round(height * scale));
  return shown === bitmap.height ? bitmap : createImageBitmap(bitmap, 0, 0, bitmap.width, shown);
}
