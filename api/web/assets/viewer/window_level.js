// A window over the grey levels of a preview. A preview has 8 bits, so this changes the display only, not the values
// that the model saw.

export const FULL = { centre: 127.5, width: 255 };
export const PRESETS = {
  "As the model saw it": FULL,
  "More contrast": { centre: 127.5, width: 128 },
  "Dark details": { centre: 56, width: 112 },
  "Bright details": { centre: 199, width: 112 },
};

export function isFull({ centre, width }) {
  return centre === FULL.centre && width === FULL.width;
}

/** Return the displayed level for each of the 256 levels. */
export function levels({ centre, width }) {
  return Uint8ClampedArray.from({ length: 256 }, (_, level) => ((level - (centre - width / 2)) / width) * 255);
}

/** Return the window after a drag by this share of the image: to the right is wider, downwards is darker. */
export function dragged({ centre, width }, right, down) {
  return {
    centre: Math.min(255, Math.max(0, centre + down * 255)),
    width: Math.min(510, Math.max(2, width + right * 255)),
  };
}

/** Return a canvas with the bitmap's samples in the window. */
export function windowed(bitmap, window) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const shown = levels(window);
  const { data } = image;
  for (let at = 0; at < data.length; at += 4) {
    data[at] = shown[data[at]];
    data[at + 1] = shown[data[at + 1]];
    data[at + 2] = shown[data[at + 2]];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
