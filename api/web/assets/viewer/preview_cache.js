// The decoded images that the viewer shows. Neighbouring slices are loaded in advance.

import { pathOf } from "../core/api_client.js";

const MOST_BYTES = 200 << 20;

export class PreviewCache {
  constructor(api, signal) {
    Object.assign(this, { api, signal });
    this.images = new Map();
    this.bytes = 0;
  }

  /** Return a promise of the image of this link, as an ImageBitmap. */
  load(link) {
    let entry = this.images.get(link);
    if (!entry) {
      entry = { image: this.fetch(link), bytes: 0 };
      entry.image.then(
        (bitmap) => this.keep(entry, bitmap),
        () => this.images.delete(link),
      );
    }
    this.images.delete(link); // the most recent image is the last one
    this.images.set(link, entry);
    return entry.image;
  }

  async fetch(link) {
    return createImageBitmap(await this.api.blob(`${pathOf(link)}?redirect=false`, { signal: this.signal }));
  }

  keep(entry, bitmap) {
    entry.bytes = 4 * bitmap.width * bitmap.height;
    this.bytes += entry.bytes;
    for (const [link, oldest] of this.images) {
      if (this.bytes <= MOST_BYTES || oldest === entry) break;
      this.images.delete(link);
      this.bytes -= oldest.bytes;
    }
  }
}
