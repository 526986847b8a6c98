// The display of an error: what happened, what to do, and the code for a report.

import { el } from "./dom.js";
import { errorWords } from "./error_words.js";

/** Return a box about an error that `Api` has thrown. */
export function problemBox(error) {
  if (!error.code) throw error;
  const { meaning, advice } = errorWords(error.code, error.message);
  const places = error.places.map((place) => el("li", {}, place.detail));
  return el(
    "div",
    { class: "box problem", role: "alert" },
    el("p", {}, el("strong", {}, meaning), " ", advice),
    places.length > 0 && el("ul", {}, places),
    el("p", { class: "code" }, "Code: ", el("code", {}, error.code)),
  );
}
