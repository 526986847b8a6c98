// Images of the API. They need the key in a header, so an <img> cannot load them by itself.

import { el } from "./dom.js";
import { pathOf } from "./api_client.js";

//: The images that are loaded at the same time. Browsers open six connections to a server, and one carries the events.
const AT_ONCE = 4;
//: The loaded thumbnails that are kept.
const KEPT = 400;

/** Loads small versions of images, the latest request first, and keeps the most recent ones. */
export class ThumbnailLoader {
  constructor(api, signal) {
    this.api = api;
    this.signal = signal;
    this.waiting = [];
    this.running = 0;
    this.kept = new Map();
  }

  /** Return a canvas on which the image of the link is drawn as soon as it is loaded. With an empty `alt`, it is only decoration. */
  canvas(link, alt) {
    const described = alt ? { role: "img", "aria-label": alt } : { "aria-hidden": "true" };
    const canvas = el("canvas", { class: "thumbnail", width: 1, height: 1, ...described });
    const known = this.kept.get(link);
    if (known) draw(canvas, known);
    else {
      this.waiting.push({ link, canvas });
      this.next();
    }
    return canvas;
  }

  next() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const { link, canvas } = this.waiting.pop();
      // A card that was scrolled away before its image was loaded is left out.
      if (!canvas.isConnected && canvas.dataset.seen) continue;
      this.running += 1;
      this.load(link, canvas).finally(() => {
        this.running -= 1;
        this.next();
      });
    }
    for (const { canvas } of this.waiting) canvas.dataset.seen = "1";
  }

  async load(link, canvas) {
    try {
      const bitmap = await small(await this.api.blob(`${pathOf(link)}?redirect=false`, { signal: this.signal }));
      this.kept.set(link, bitmap);
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
      draw(canvas, bitmap);
    } catch (error) {
      if (error.name !== "AbortError") canvas.classList.add("missing");
    }
  }
}

async function small(blob) {
  const full = await createImageBitmap(blob);
  const scale = Math.min(1, 320 / Math.max(full.width, full.height));
  if (scale === 1) return full;
  const size = { resizeWidth: Math.max(1, Math.round(full.width * scale)), resizeHeight: Math.max(1, Math.round(full.height * scale)) };
  const bitmap = await createImageBitmap(full, { ...size, resizeQuality: "medium" });
  full.close();
  return bitmap;
}

function draw(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  canvas.classList.add("loaded");
}
