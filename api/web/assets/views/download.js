// Files of the API that the user saves.

import { el } from "../core/dom.js";

/** Save the file at `path` under this name. The file is loaded with the key first, because a link cannot send it. */
export async function download(api, path, name) {
  const separator = path.includes("?") ? "&" : "?";
  const blob = await api.blob(path.includes("/artifacts/") ? `${path}${separator}redirect=false` : path);
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
