// The kind of a file by its first bytes, for the preview of a submission. The service decides by itself.

const HEAD_BYTES = 360;

/** Return "picture", "TIFF", "DICOM", "NIfTI", "ZIP" or "unknown" for the first bytes of a file. */
export function kindOf(head) {
  const text = (from, to) => String.fromCharCode(...head.subarray(from, to));
  if (text(128, 132) === "DICM" || ((head[0] === 2 || head[0] === 8) && head[1] === 0 && head.length > 8 && /^[A-Z]{2}$/.test(text(4, 6)))) return "DICOM";
  if (text(1, 4) === "PNG" || (head[0] === 0xff && head[1] === 0xd8) || text(8, 12) === "WEBP" || text(0, 2) === "BM" || text(0, 3) === "GIF") return "picture";
  if (/^(II[*+]\0|MM\0[*+])/.test(text(0, 4))) return "TIFF";
  if (/^PK(\x03\x04|\x05\x06)/.test(text(0, 4))) return "ZIP";
  if ((head[0] === 0x1f && head[1] === 0x8b) || /^n(\+|i)1/.test(text(344, 347)) || text(4, 7) === "n+2") return "NIfTI";
  return "unknown";
}

/** Read the beginning of a file, and return its kind. */
export async function readKind(file) {
  return kindOf(new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()));
}

const OUTPUTS = {
  picture: ["mask", "overlay"],
  unknown: ["mask", "overlay"],
  TIFF: ["mask", "overlay"],
  DICOM: ["mask", "overlay", "seg", "contact-sheet"],
  NIfTI: ["nifti", "contact-sheet"],
  ZIP: ["mask", "overlay", "seg", "contact-sheet"],
};

/**
 * Return the outputs for files of these kinds: what the service makes by default, and previews for this page. They have
 * to be named, because a list of outputs replaces the defaults.
 */
export function outputsFor(kinds) {
  const wanted = new Set([...kinds].flatMap((kind) => OUTPUTS[kind]));
  return [...wanted, "preview"];
}
