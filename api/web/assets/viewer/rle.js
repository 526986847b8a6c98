// Masks from run lengths in the compressed text format of COCO. The runs follow the columns from top to bottom, and the
// first run consists of zeros.

/** Return the run lengths of the text. Throws RangeError if the text is not in this format. */
export function runLengths(text) {
  const counts = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let shift = 0;
    let group;
    do {
      if (place === text.length) throw new RangeError("The run lengths end within a number.");
      group = text.charCodeAt(place++) - 48;
      if (group < 0 || group > 63) throw new RangeError("The run lengths contain an unknown character.");
      value += (group & 0x1f) * 2 ** shift; // not <<, which is limited to 32 bits
      shift += 5;
    } while (group & 0x20);
    if (group & 0x10) value -= 2 ** shift;
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}

/** Return the mask as { width, height, inside }, where `inside` has a 0 or 1 for each pixel, row by row. */
export function decodeRle({ size: [height, width], counts }) {
  const inside = new Uint8Array(width * height);
  let place = 0;
  runLengths(counts).forEach((length, number) => {
    if (length < 0 || place + length > inside.length) throw new RangeError("The run lengths exceed the size of the mask.");
    if (number % 2 === 1) fillRun(inside, width, height, place, length);
    place += length;
  });
  if (place !== inside.length) throw new RangeError("The run lengths do not add up to the size of the mask.");
  return { width, height, inside };
}

function fillRun(inside, width, height, start, length) {
  let column = Math.floor(start / height);
  let row = start % height;
  for (let left = length; left > 0; left -= 1) {
    inside[row * width + column] = 1;
    row += 1;
    if (row === height) {
      row = 0;
      column += 1;
    }
  }
}
