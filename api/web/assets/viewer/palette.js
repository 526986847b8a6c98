// The colours of masks: the same as on the overlays of the service. People with any kind of colour vision can tell the
// first eight apart.

export const PALETTE = [
  [86, 190, 245],
  [240, 228, 66],
  [0, 178, 128],
  [235, 104, 20],
  [226, 140, 190],
  [30, 110, 210],
  [245, 170, 20],
  [255, 255, 255],
  [220, 38, 127],
  [120, 94, 240],
  [150, 150, 0],
  [166, 110, 70],
  [153, 221, 255],
  [255, 170, 187],
];

/** Return the colour of the mask with this number as [red, green, blue]. */
export function colourOf(number) {
  return PALETTE[number % PALETTE.length];
}
