// The viewer of one item: the image with its masks, the tools, and everything that is known about them.

import { button, el, field, fill } from "../core/dom.js";
import { fragment, replaceQuery } from "../core/routes.js";
import { durationText, itemName, jobName } from "../core/text.js";
import { ItemViewer } from "../viewer/item_viewer.js";
import { MaskPanel } from "../viewer/mask_panel.js";
import { VolumeChoice } from "../viewer/volume_choice.js";
import { PRESETS } from "../viewer/window_level.js";
import { download } from "./download.js";
import { stateLabel } from "./progress.js";

const TOOLS = { pan: "Move", window: "Window", scroll: "Scroll slices" };
const FILES = {
  overlay: "Overlay", nifti: "Label volume (NIfTI)", "nifti-per-prompt": "Mask volumes (NIfTI)", seg: "DICOM SEG", "contact-sheet": "Contact sheet", geojson: "Outlines (GeoJSON)", labels: "Label names (JSON)",
};

export async function itemView({ api, signal }, { job: id, item: number, query }) {
  const [job, item] = await Promise.all([api.get(`v1/jobs/${id}`, { signal }), api.get(`v1/jobs/${id}/items/${number}?rle=true`, { signal })]);
  const provenance = el("div");
  const viewer = new ItemViewer({
    api,
    signal,
    onFrame: (frame, index) => {
      panel.show(frame);
      fill(provenance, provenanceOf(item, frame));
      if (viewer.frames.length > 1) replaceQuery({ frame: index });
    },
    onChange: () => volume.recolour(),
  });
  const panel = new MaskPanel(viewer);
  viewer.show(item, query.has("frame") ? Number(query.get("frame")) : null);
  const tools = toolbar(viewer);
  const help = keyHelp(viewer);
  const volume = new VolumeChoice({ api, signal, item, viewer, slices: [tools, viewer.element, help] });
  addKeys(viewer, panel, { signal, step: (steps) => volume.step(steps), go: (steps) => go(job, item, steps) });
  return {
    title: itemName(item),
    content: [
      el("p", { class: "trail" }, el("a", { href: fragment(`/jobs/${id}`) }, `← ${jobName(job)}`)),
      el("div", { class: "heading" }, el("h1", {}, itemName(item)), stateLabel(item.state), neighbours(job, item)),
      el("div", { class: "workbench" }, el("div", { class: "left" }, volume.element, tools, viewer.element, volume.place, help), el("div", { class: "side panel" }, el("h2", {}, "Masks"), panel.element, files(api, item), findings(item), provenance)),
    ],
  };
}

function toolbar(viewer) {
  const names = Object.entries(TOOLS).filter(([tool]) => tool !== "scroll" || viewer.frames.length > 1);
  const buttons = names.map(([tool, label]) => {
    const choose = button(label, () => {
      viewer.stage.tool = tool;
      buttons.forEach((other, place) => other.setAttribute("aria-pressed", String(names[place][0] === tool)));
    }, "", { "aria-pressed": String(tool === "pan") });
    return choose;
  });
  const presets = el("select", { on: { change: () => viewer.setWindow(PRESETS[presets.value]) } }, Object.keys(PRESETS).map((name) => el("option", {}, name)));
  return el(
    "div",
    { class: "toolbar", role: "toolbar", "aria-label": "Tools" },
    el("div", { class: "group", role: "group", "aria-label": "What dragging does" }, buttons),
    el("div", { class: "group" }, button("−", () => viewer.stage.zoom(1 / 1.5), "", { "aria-label": "Zoom out" }), button("+", () => viewer.stage.zoom(1.5), "", { "aria-label": "Zoom in" }), button("Fit", () => viewer.stage.fit())),
    field("Window of the display", presets),
  );
}

/** The keyboard of the viewer. Keys in form fields keep their meaning. */
function addKeys(viewer, panel, { signal, step, go }) {
  const actions = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    PageDown: () => step(10),
    PageUp: () => step(-10),
    Home: () => step(-Infinity),
    End: () => step(Infinity),
    "+": () => viewer.stage.zoom(1.5),
    "-": () => viewer.stage.zoom(1 / 1.5),
    0: () => viewer.stage.fit(),
    n: () => go(1),
    p: () => go(-1),
  };
  const listener = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const series = viewer.frames.length > 1;
    const isSlice = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].includes(event.key);
    if (isSlice && !series) return;
    if (/^[1-9]$/.test(event.key)) panel.toggle(Number(event.key) - 1);
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", listener, { signal });
}

function keyHelp(viewer) {
  const slices = viewer.frames.length > 1 ? "Wheel, ↑ ↓ or the slider: slice. Ctrl and wheel: zoom. " : "Wheel: zoom. ";
  return el("p", { class: "hint" }, `${slices}+ − 0: zoom. 1–9: masks on or off. n, p: next and previous item.`);
}

function go(job, item, step) {
  const number = item.item + step;
  if (number >= 0 && number < job.counts.total) location.hash = fragment(`/jobs/${job.id}/items/${number}`);
}

function neighbours(job, item) {
  const link = (step, label) => {
    const number = item.item + step;
    return number >= 0 && number < job.counts.total && el("a", { class: "button", href: fragment(`/jobs/${job.id}/items/${number}`) }, label);
  };
  return el("div", { class: "group" }, link(-1, "← Previous"), link(1, "Next →"));
}

function files(api, item) {
  const links = Object.entries(FILES).flatMap(([kind, words]) => [item.links[kind] ?? []].flat().map((link, place) => [place ? `${words} ${place + 1}` : words, link]));
  if (links.length === 0) return null;
  const save = (link) => () => void download(api, link.slice(link.indexOf("/v1/") + 1), link.split("/").pop());
  return el("details", {}, el("summary", {}, "Files"), el("ul", { class: "plain" }, links.map(([words, link]) => el("li", {}, button(words, save(link), "quiet")))));
}

function findings(item) {
  const names = Object.keys(item.findings ?? {});
  if (names.length === 0) return null;
  return el("details", { open: true }, el("summary", {}, "About the source"), el("ul", {}, names.map((name) => el("li", {}, name.replaceAll("_", " ")))));
}

function provenanceOf(item, frame) {
  const timings = Object.entries(frame.timings_ms ?? {}).map(([stage, milliseconds]) => `${stage} ${durationText(milliseconds / 1000)}`);
  const rows = [
    ["Source file", frame.source_name],
    ["DICOM object", frame.instance],
    ["Intensity window", item.intensity],
    ["Endpoint", frame.endpoint],
    ["Model version", frame.model_version],
    ["Attempts", frame.attempts && String(frame.attempts)],
    ["Time", timings.join(", ")],
    ["Item", String(item.item)],
    ["Custom id", item.custom_id],
  ];
  return el("details", { open: true }, el("summary", {}, "Provenance"), el("dl", { class: "measures" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
}
