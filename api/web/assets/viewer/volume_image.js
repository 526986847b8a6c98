// The image of a volume as a NIfTI file in memory, made from the previews of its slices, on the grid of its labels.

//: The length of a NIfTI-1 header with its extension flags, in bytes.
const HEADER_BYTES = 352;
const [INTENT_CODE, DATATYPE, BITS, DATA_OFFSET, SLOPE, INTENT_NAME] = [68, 70, 72, 108, 112, 328];
const UINT8 = 2;

/** Return the bytes of a gzip file without their compression. */
export async function unzipped(blob) {
  return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/**
 * Return a function that puts slices into a volume, and the volume itself as the bytes of a NIfTI file.
 *
 * The volume has the header of `labels`, the bytes of a NIfTI file with the label volume, so that both are at the same
 * place in the patient. `grid` is that of the item in the API. `put(frame, samples)` takes the RGBA samples of a frame,
 * row by row, as it is displayed, and keeps the first of the four.
 */
export function emptyVolume(labels, grid) {
  const size = grid.shape[0] * grid.shape[1] * grid.shape[2];
  const file = new Uint8Array(HEADER_BYTES + size);
  file.set(new Uint8Array(labels, 0, HEADER_BYTES - 4)); // without the flag of an extension
  const header = new DataView(file.buffer);
  header.setInt16(INTENT_CODE, 0, true);
  header.setInt16(DATATYPE, UINT8, true);
  header.setInt16(BITS, 8, true);
  header.setFloat32(DATA_OFFSET, HEADER_BYTES, true);
  header.setFloat32(SLOPE, 1, true);
  file.fill(0, INTENT_NAME, INTENT_NAME + 16);
  const voxels = file.subarray(HEADER_BYTES);
  return { file, put: (frame, samples) => putSlice(voxels, grid, grid.places[frame], samples) };
}

/** Return the width and the height of the frames of this grid. */
export function frameSize({ shape, axis, turn }) {
  const [first, second] = shape.filter((_, number) => number !== axis);
  return turn.transpose ? [first, second] : [second, first];
}

/** Undo the orientation for display, and store the slice at its place along the axis of the grid. */
function putSlice(voxels, { shape, axis, turn }, place, samples) {
  const steps = [1, shape[0], shape[0] * shape[1]];
  const [first, second] = [0, 1, 2].filter((number) => number !== axis);
  const [width, height] = frameSize({ shape, axis, turn });
  const [rowStep, columnStep] = turn.transpose ? [steps[second], steps[first]] : [steps[first], steps[second]];
  for (let row = 0; row < height; row += 1) {
    const start = place * steps[axis] + (turn.flip_rows ? height - 1 - row : row) * rowStep;
    for (let column = 0; column < width; column += 1) {
      voxels[start + (turn.flip_columns ? width - 1 - column : column) * columnStep] = samples[4 * (row * width + column)];
    }
  }
}
