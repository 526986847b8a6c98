// The files that a user drops or chooses, folders included.

//: Files that operating systems and viewers write next to images.
const LITTER = new Set([".ds_store", "thumbs.db", "desktop.ini", ".directory", "ehthumbs.db"]);

/** Return whether a path belongs to an operating system, and not to the images. */
export function isLitter(path) {
  const parts = path.toLowerCase().split("/");
  return LITTER.has(parts.at(-1)) || parts.at(-1).startsWith("._") || parts.includes("__macosx");
}

/** Return the chosen files of an input as `{ path, file }`. */
export function chosenFiles(input) {
  return [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Return all files of a drop as `{ path, file }`, with those of the dropped folders. */
export async function droppedFiles(transfer) {
  // The entries are only available until the first await.
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ path: entry.name, file: entry });
    else if (entry) await walk(entry, found);
  }
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader returns at most a hundred entries at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await walk(one, found);
  }
}
