// Suggestions for prompts, from the targets on which the model was trained.

const MOST = 8;
//: The lowest similarity at which a prompt is suggested for another one, from 0 to 1.
const ALIKE = 0.75;

function words(text) {
  return text.toLowerCase().match(/[\p{L}\p{N}-]+/gu) ?? [];
}

function targetOf(prompt) {
  return plain(prompt.split(/\s+in\s+/i, 1)[0]);
}

/** Lower case, one space between words, each word in the singular. */
function plain(text) {
  return words(text)
    .map((word) => (word.length > 3 ? word.replace(/s$/, "") : word))
    .join(" ");
}

/** Return at most eight targets that contain every typed word in the prompt or a synonym, the best first. */
export function suggestions(targets, typed, modality = "") {
  const asked = words(typed);
  const possible = targets.filter((target) => !modality || target.modality.split(" ")[0] === modality);
  const fitting = possible.filter((target) => {
    const text = [target.prompt, ...target.synonyms].join(" ").toLowerCase();
    return asked.every((word) => text.includes(word));
  });
  const begins = (target) => (target.prompt.toLowerCase().startsWith(typed.toLowerCase().trim()) ? 0 : 1);
  return fitting.sort((one, other) => begins(one) - begins(other)).slice(0, MOST);
}

/** Return the modalities of the targets, each once. */
export function modalitiesOf(targets) {
  return [...new Set(targets.map((target) => target.modality.split(" ")[0]))];
}

/** Return whether the model was trained on the target of the prompt, in the stated place if one is stated. */
export function isKnown(targets, prompt) {
  const place = words(prompt.split(/\s+in\s+/i).slice(1).join(" "));
  const named = (target) => [target.target, ...target.synonyms].some((name) => plain(name) === targetOf(prompt));
  const sites = new Set(targets.flatMap((target) => words(target.site)));
  const modalities = new Set(targets.flatMap((target) => words(target.modality.split(" ")[0])));
  const fits = (target) =>
    place.every((word) => (!modalities.has(word) || words(target.modality).includes(word)) && (!sites.has(word) || target.site === "any organ" || words(target.site).includes(word)));
  return targets.some((target) => named(target) && fits(target));
}

/** Return the training prompt that is most similar to an unknown prompt, or null. */
export function didYouMean(targets, prompt) {
  if (!prompt.trim() || isKnown(targets, prompt)) return null;
  const place = new Set(words(prompt.split(/\s+in\s+/i).slice(1).join(" ")));
  let best = null;
  for (const target of targets) {
    const likeness = Math.max(...[target.target, ...target.synonyms].map((name) => similarity(plain(name), targetOf(prompt))));
    const shared = [...words(target.site), ...words(target.modality)].filter((word) => place.has(word)).length;
    const score = likeness + shared / 100;
    if (likeness >= ALIKE && (best === null || score > best.score)) best = { score, prompt: target.prompt };
  }
  return best?.prompt ?? null;
}

/** Return the similarity of two texts from 0 to 1: the share of their letters that both have in the same order. */
export function similarity(one, other) {
  let row = new Array(other.length + 1).fill(0);
  for (const letter of one) {
    const next = [0];
    for (let place = 1; place <= other.length; place += 1) {
      next[place] = letter === other[place - 1] ? row[place - 1] + 1 : Math.max(row[place], next[place - 1]);
    }
    row = next;
  }
  return (2 * row[other.length]) / Math.max(one.length + other.length, 1);
}
