// Masks and probability maps as canvases in one colour.

/** Return a canvas on which the pixels of the mask, or those of its outline, have the colour. */
export function maskCanvas(mask, colour, style) {
  const { width, height } = mask;
  const drawn = style === "outline" ? outline(mask, Math.max(1, Math.round(Math.max(width, height) / 450))) : mask.inside;
  return painted(width, height, colour, (pixel) => drawn[pixel] * 255);
}

/** Return a canvas on which the colour is as opaque as the probability. `samples` are the RGBA samples of the map. */
export function probabilityCanvas(samples, width, height, colour) {
  return painted(width, height, colour, (pixel) => samples[4 * pixel]);
}

function painted(width, height, [red, green, blue], opacity) {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const { data } = image;
  for (let pixel = 0, at = 0; pixel < width * height; pixel += 1, at += 4) {
    data[at] = red;
    data[at + 1] = green;
    data[at + 2] = blue;
    data[at + 3] = opacity(pixel);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Return the pixels of the mask that are at most `thickness` from a pixel outside the mask, or from the border. */
export function outline({ width, height, inside }, thickness) {
  const rows = eroded(inside, height, width, width, 1, thickness);
  const deep = eroded(rows, width, height, 1, width, thickness);
  return inside.map((value, pixel) => value & ~deep[pixel] & 1);
}

/** Erode along lines: a pixel stays if all pixels within the distance, on its line, are set. Outside is not set. */
function eroded(pixels, lines, length, lineStep, step, distance) {
  const kept = new Uint8Array(pixels.length);
  for (let line = 0; line < lines; line += 1) {
    let run = 0;
    for (let place = 0; place < length; place += 1) {
      const at = line * lineStep + place * step;
      run = pixels[at] ? run + 1 : 0;
      if (run > 2 * distance) kept[at - distance * step] = 1;
    }
  }
  return kept;
}
