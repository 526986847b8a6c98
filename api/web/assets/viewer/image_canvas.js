// A canvas that shows an image with layers on it, and can be zoomed, panned and scrolled.

import { el } from "../core/dom.js";
import { isFull, windowed } from "./window_level.js";

const MOST_ZOOM = 40;

/**
 * `onScroll(steps)` is called for the wheel, `onDrag(tool, right, down)` for a drag with a tool other than "pan". The
 * distances of a drag are shares of the canvas.
 */
export class ImageCanvas {
  constructor({ onScroll, onDrag, signal }) {
    Object.assign(this, { onScroll, onDrag });
    this.canvas = el("canvas", { role: "img", "aria-label": "No image yet" });
    this.element = el("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Image" }, this.canvas);
    this.tool = "pan";
    this.image = null;
    this.size = { width: 1, height: 1 };
    this.layers = [];
    this.view = { zoom: 1, x: 0, y: 0 };
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.element);
    signal.addEventListener("abort", () => observer.disconnect());
    this.listen();
  }

  /** Show an image, or null for a plain background, over a frame of this size in source pixels. */
  setImage(bitmap, size, window) {
    const isSame = size.width === this.size.width && size.height === this.size.height;
    this.image = bitmap && !isFull(window) ? windowed(bitmap, window) : bitmap;
    this.size = size;
    if (!isSame) this.fit();
    this.draw();
  }

  /** Draw these layers over the image: `{ canvas, opacity }`, the first one at the bottom. */
  setLayers(layers, description) {
    this.layers = layers;
    this.canvas.setAttribute("aria-label", description);
    this.draw();
  }

  fit() {
    this.view = { zoom: 1, x: 0, y: 0 };
    this.draw();
  }

  /** Zoom by a factor, and keep the given point of the canvas (in CSS pixels) where it is. */
  zoom(factor, point = { x: this.element.clientWidth / 2, y: this.element.clientHeight / 2 }) {
    const before = this.placement();
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.view.zoom * factor));
    const scale = (before.scale / this.view.zoom) * zoom;
    const spot = { x: (point.x - before.left) / before.scale, y: (point.y - before.top) / before.scale };
    this.view.zoom = zoom;
    this.view.x = point.x - spot.x * scale - (this.element.clientWidth - this.size.width * scale) / 2;
    this.view.y = point.y - spot.y * scale - (this.element.clientHeight - this.size.height * scale) / 2;
    if (zoom === 1) Object.assign(this.view, { x: 0, y: 0 });
    this.draw();
  }

  pan(x, y) {
    this.view.x += x;
    this.view.y += y;
    this.draw();
  }

  /** Where the image is drawn, in CSS pixels, and the CSS pixels of one source pixel. */
  placement() {
    const { clientWidth, clientHeight } = this.element;
    const fitting = Math.min(clientWidth / this.size.width, clientHeight / this.size.height) || 1;
    const scale = fitting * this.view.zoom;
    return {
      scale,
      left: (clientWidth - this.size.width * scale) / 2 + this.view.x,
      top: (clientHeight - this.size.height * scale) / 2 + this.view.y,
    };
  }

  draw() {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = null;
      this.paint();
    });
  }

  paint() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.element;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    const { scale, left, top } = this.placement();
    const box = [left * ratio, top * ratio, this.size.width * scale * ratio, this.size.height * scale * ratio];
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = scale * ratio < 2;
    context.imageSmoothingQuality = "medium";
    context.globalAlpha = 1;
    if (this.image) context.drawImage(this.image, ...box);
    else if (this.layers.length) {
      context.fillStyle = "#30363d";
      context.fillRect(...box);
    }
    for (const { canvas, opacity } of this.layers) {
      context.globalAlpha = opacity;
      context.drawImage(canvas, ...box);
    }
  }

  listen() {
    const { element } = this;
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("dblclick", () => this.fit());
    const pointers = new Map();
    element.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event);
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      if (pointers.size === 2) this.pinch(pointers, event);
      else this.drag(event.clientX - last.clientX, event.clientY - last.clientY);
      pointers.set(event.pointerId, event);
    });
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }

  drag(x, y) {
    if (this.tool === "pan") this.pan(x, y);
    else this.onDrag(this.tool, x / this.element.clientWidth, y / this.element.clientHeight);
  }

  /** Zoom with two fingers. */
  pinch(pointers, event) {
    const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    const last = pointers.get(event.pointerId);
    const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    this.zoom(distance(event) / Math.max(distance(last), 1), this.point(event));
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey || !this.onScroll) this.zoom(1.0015 ** -event.deltaY, this.point(event));
    else this.onScroll(Math.sign(event.deltaY));
  }

  point(event) {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}
