// Submission: files or addresses, prompts, options, a preview of what will happen, and the upload.

import { button, el, field, fill } from "../core/dom.js";
import { problemBox } from "../core/problem_box.js";
import { fragment } from "../core/routes.js";
import { bytesText, countText, shareText } from "../core/text.js";
import { chosenFiles, droppedFiles, isLitter } from "../submit/dropped_files.js";
import { outputsFor, readKind } from "../submit/file_kinds.js";
import { OptionFields } from "../submit/option_fields.js";
import { PromptInput } from "../submit/prompt_input.js";
import { snippets } from "../submit/snippets.js";
import { randomKey, submitJob } from "../submit/uploading.js";

const LISTED = 6;
const MADE = {
  mask: "a mask image per prompt", overlay: "a picture with the masks drawn on it", seg: "a DICOM SEG", "contact-sheet": "a contact sheet",
  nifti: "a NIfTI label volume", preview: "a preview for this page", probability: "probability maps", geojson: "outlines (GeoJSON)", report: "a run card of the whole job",
};

export async function submitView({ api, signal, announce }) {
  const { prompts: targets } = await api.get("v1/prompts", { signal });
  const state = { files: [], skipped: 0, kinds: new Map(), sources: [], prompts: [], key: randomKey() };
  const plan = el("section", { class: "panel", "aria-label": "What will happen" });
  const chosen = el("div", { "aria-live": "polite" });
  const options = new OptionFields(() => render());
  const prompts = new PromptInput(targets, (list) => ((state.prompts = list), render()));
  const result = el("div");
  const submit = button("Submit", () => void start(), "primary large");

  async function add(found) {
    const known = new Set(state.files.map(({ path, file }) => `${path} ${file.size}`));
    for (const one of found) {
      if (isLitter(one.path)) state.skipped += 1;
      else if (!known.has(`${one.path} ${one.file.size}`)) state.files.push(one);
    }
    render();
    for (const { file } of state.files) if (!state.kinds.has(file)) state.kinds.set(file, await readKind(file));
    render();
  }

  function request() {
    const kinds = new Set(state.files.map(({ file }) => state.kinds.get(file) ?? "unknown"));
    if (state.sources.length) kinds.add("ZIP"); // anything may be at an address
    const count = countText(state.files.length + state.sources.length, "file");
    const name = `${state.prompts.slice(0, 2).join(", ")}${state.prompts.length > 2 ? " …" : ""} · ${count}`;
    return { files: state.files, sources: state.sources, prompts: state.prompts, options: options.values(outputsFor(kinds), name), key: state.key };
  }

  function render() {
    const asked = request();
    fill(chosen, fileList(state, () => (Object.assign(state, { files: [], skipped: 0 }), render())));
    fill(plan, planOf(state, asked));
    submit.disabled = asked.prompts.length === 0 || asked.files.length + asked.sources.length === 0;
  }

  async function start() {
    submit.disabled = true;
    const asked = request();
    const total = asked.files.reduce((sum, { file }) => sum + file.size, 0);
    const bar = el("progress", { max: Math.max(total, 1), value: 0, "aria-label": "Upload" });
    const words = el("p", {}, "Uploading …");
    fill(result, el("div", { class: "progress" }, bar, words));
    result.scrollIntoView({ block: "nearest" });
    announce("Uploading.");
    try {
      const job = await submitJob(api, asked, signal, (sent, completed) => {
        bar.value = sent;
        words.textContent = `${completed} of ${countText(asked.files.length, "file")}, ${bytesText(sent)} of ${bytesText(total)} (${shareText(sent, total)})`;
      });
      announce("The job is accepted.");
      location.hash = fragment(`/jobs/${job.id}`);
    } catch (error) {
      if (signal.aborted) return;
      fill(result, problemBox(error));
      submit.disabled = false;
    }
  }

  render();
  return {
    title: "Submit",
    content: [
      el("h1", {}, "Submit images"),
      el("section", { class: "panel", "aria-label": "Images" }, el("h2", {}, "1. Images"), dropZone(add), chosen, addressField(state, render)),
      el("section", { class: "panel", "aria-label": "Prompts" }, el("h2", {}, "2. Prompts"), prompts.element),
      options.element,
      plan,
      el("div", { class: "actions" }, submit),
      result,
    ],
  };
}

function dropZone(add) {
  const files = el("input", { type: "file", multiple: true, class: "unseen", tabindex: "-1", "aria-label": "Files", on: { change: (event) => void add(chosenFiles(event.target)) } });
  const folder = el("input", { type: "file", webkitdirectory: true, class: "unseen", tabindex: "-1", "aria-label": "Folder", on: { change: (event) => void add(chosenFiles(event.target)) } });
  const zone = el(
    "div",
    { class: "drop" },
    el("p", {}, "Drop images, DICOM folders, NIfTI volumes or ZIP archives here"),
    el("div", { class: "actions" }, button("Choose files", () => files.click()), button("Choose a folder", () => folder.click())),
    files,
    folder,
  );
  const over = (is) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", is);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    void droppedFiles(event.dataTransfer).then(add);
  });
  return zone;
}

function addressField(state, render) {
  const area = el("textarea", {
    rows: "2",
    spellcheck: "false",
    on: { input: () => ((state.sources = area.value.split(/\s+/).filter(Boolean)), render()) },
  });
  return el("details", {}, el("summary", {}, "Or give addresses of images in a store"), field("Addresses", area, "One per line, for example s3://bucket/series/ or https://host/image.png. The operator decides which stores the service may read."));
}

function fileList(state, clear) {
  if (state.files.length === 0) return null;
  const lines = state.files.slice(0, LISTED).map(({ path, file }) => el("li", {}, path, el("span", { class: "hint" }, ` ${state.kinds.get(file) ?? "…"}, ${bytesText(file.size)}`)));
  const more = state.files.length - LISTED;
  return [
    el("ul", { class: "files" }, lines, more > 0 && el("li", { class: "hint" }, `and ${countText(more, "more file")}`)),
    button("Remove all files", clear, "quiet"),
  ];
}

/** Say what the submission will do, and show it as a command and as a program. */
function planOf(state, asked) {
  const number = asked.files.length + asked.sources.length;
  if (number === 0 || asked.prompts.length === 0) {
    return [el("h2", {}, "3. What will happen"), el("p", { class: "hint" }, number === 0 ? "Add images first." : "Add at least one prompt.")];
  }
  const kinds = new Map();
  for (const { file } of asked.files) kinds.set(state.kinds.get(file) ?? "…", (kinds.get(state.kinds.get(file) ?? "…") ?? 0) + 1);
  const bytes = asked.files.reduce((sum, { file }) => sum + file.size, 0);
  const what = [...kinds].map(([kind, many]) => (kind === "picture" ? countText(many, "picture") : countText(many, `${kind} file`)));
  const unknown = kinds.get("unknown");
  return [
    el("h2", {}, "3. What will happen"),
    el(
      "ul",
      {},
      asked.files.length > 0 && el("li", {}, `${countText(asked.files.length, "file")} (${what.join(", ")}), ${bytesText(bytes)}, will be uploaded to this service.`),
      asked.sources.length > 0 && el("li", {}, `${countText(asked.sources.length, "address", "addresses")} will be read by the service.`),
      state.skipped > 0 && el("li", {}, `${countText(state.skipped, "file")} of the operating system will be left out.`),
      unknown > 0 && el("li", { class: "flagged" }, `${countText(unknown, "file")} may not be an image. Each of them fails on its own; the others are not affected.`),
      kinds.has("DICOM") && el("li", {}, "DICOM files of one series become one item."),
      el("li", {}, `Only pixels and the ${countText(asked.prompts.length, "prompt")} are sent to the model. Each image gets ${countText(asked.prompts.length, "mask")}.`),
      el("li", {}, `For each item, the service makes ${asked.options.outputs.map((output) => MADE[output]).join(", ")}, as far as its kind allows.`),
    ),
    copyTabs(asked),
  ];
}

function copyTabs(asked) {
  const url = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const texts = snippets({ url, paths: asked.files.map(({ path }) => path), sources: asked.sources, prompts: asked.prompts, options: asked.options });
  const blocks = { curl: "curl", python: "Python", cli: "Command line" };
  return el(
    "details",
    {},
    el("summary", {}, "Copy as curl, Python or command line"),
    Object.entries(blocks).map(([name, label]) =>
      el("div", { class: "snippet" }, el("div", { class: "heading" }, el("h3", {}, label), navigator.clipboard && copyButton(label, texts[name])), el("pre", { tabindex: "0", "aria-label": label }, el("code", {}, texts[name]))),
    ),
  );
}

function copyButton(label, text) {
  const copy = button("Copy", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  }, "", { "aria-label": `Copy as ${label}` });
  return copy;
}
