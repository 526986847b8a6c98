// A volume in one plane, in three planes, or in three dimensions, drawn by NiiVue, which is loaded only for this.

import { pathOf } from "../core/api_client.js";
import { el, fill } from "../core/dom.js";
import { colourOf } from "./palette.js";
import { emptyVolume, frameSize, unzipped } from "./volume_image.js";

const LIBRARY = "../vendor/niivue-0.69.0.js";
//: The numbers that NiiVue gives to the ways to show a volume.
const MODES = { axial: 0, coronal: 1, sagittal: 2, planes: 3, solid: 4 };
//: The largest volume in voxels. It takes four times as many bytes in the memory of the graphics processor.
const MOST_VOXELS = 300e6;
//: As on the slices, the right of the patient is on the left. NiiVue's key for the next mode would contradict the list.
const OPTIONS = {
  isRadiologicalConvention: true, isCornerOrientationText: true, show3Dcrosshair: true, crosshairWidth: 0.3, backColor: [0, 0, 0, 1],
  dragAndDropEnabled: false, loadingText: "", logLevel: "error", viewModeHotKey: "",
};
//: The previews that are loaded at the same time.
const AT_ONCE = 4;

export class VolumeViewer {
  /** `previews` is a PreviewCache, and `settings` are those of each mask: `{ visible, opacity }`. */
  constructor({ api, signal, previews, settings }) {
    Object.assign(this, { api, signal, previews, settings });
    this.canvas = el("canvas", { "aria-label": "Volume", role: "img", tabindex: "0" });
    this.stage = el("div", { class: "stage volume" }, this.canvas);
    this.note = el("p", { class: "hint" });
    this.element = el("div", {}, this.stage, this.note);
    signal.addEventListener("abort", () => this.close());
  }

  /** Show the volume of an item. It is loaded when it is first shown. */
  async show(item, mode) {
    this.mode = mode;
    this.loading ??= this.load(item);
    try {
      await this.loading;
    } catch (error) {
      if (error.name !== "AbortError") this.note.textContent = `The volume cannot be shown. ${error.message}`;
      return;
    }
    this.niivue.setSliceType(MODES[this.mode]);
    this.stage.dataset.shown = this.mode;
  }

  async load(item) {
    if (!this.canvas.ownerDocument.createElement("canvas").getContext("webgl2")) throw new Error("This browser has no WebGL 2.");
    const [width, height, depth] = item.grid.shape;
    if (width * height * depth > MOST_VOXELS) throw new Error("It is too large for a browser. Open the label volume in another program.");
    this.note.textContent = "Loading the volume …";
    const [{ Niivue, NVImage }, labels] = await Promise.all([import(LIBRARY), this.labels(item)]);
    const image = await this.image(item, labels);
    this.signal.throwIfAborted();
    this.niivue = new Niivue(OPTIONS);
    await this.niivue.attachToCanvas(this.canvas);
    for (const [name, bytes] of [["image.nii", image], ["labels.nii", labels]]) {
      if (bytes) this.niivue.addVolume(await NVImage.loadFromFile({ file: new File([bytes], name), ...(name === "image.nii" ? { cal_min: 0, cal_max: 255 } : {}) }));
    }
    this.prompts = (item.frames.find((frame) => frame.masks.length)?.masks ?? []).map((mask) => mask.prompt);
    this.recolour();
    fill(this.note, image ? "The image is made from the previews, as the model saw it. Click or use the arrow keys to move the crosshair." : "This job has no previews, so only the masks are shown.");
  }

  async labels(item) {
    return unzipped(await this.api.blob(`${pathOf(item.links.nifti)}?redirect=false`, { signal: this.signal }));
  }

  /** Return the volume of the grey levels, or null if not all frames have previews. */
  async image(item, labels) {
    if (!item.frames.every((frame) => frame.links?.preview || frame.error)) return null;
    const { file, put } = emptyVolume(labels, item.grid);
    const [width, height] = frameSize(item.grid);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    let next = 0;
    const run = async () => {
      while (next < item.frames.length) {
        const number = next++;
        const { frame, links } = item.frames[number];
        if (!links?.preview) continue;
        context.drawImage(await this.previews.load(links.preview), 0, 0, width, height);
        put(frame, context.getImageData(0, 0, width, height).data);
        this.note.textContent = `Loading the volume … ${number + 1} of ${item.frames.length} slices`;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
    return file;
  }

  /** Draw the visible masks, all with the opacity of the most opaque one: NiiVue has one opacity for all labels. */
  recolour() {
    const volume = this.niivue?.volumes.at(-1);
    if (!volume) return;
    const shown = this.prompts.map((_, number) => this.settings[number]).map((setting) => (setting?.visible ? setting.opacity : 0));
    const colours = this.prompts.map((_, number) => colourOf(number));
    const channel = (place) => [0, ...colours.map((colour) => colour[place])];
    volume.setColormapLabel({ R: channel(0), G: channel(1), B: channel(2), A: [0, ...shown.map((opacity) => (opacity > 0 ? 255 : 0))], I: [0, ...colours.map((_, number) => number + 1)], labels: ["", ...this.prompts] });
    volume.opacity = Math.max(...shown, 0);
    this.niivue.updateGLVolume();
  }

  /** Move the crosshair by so many voxels across the shown plane. */
  step(steps) {
    const most = Math.max(...(this.niivue?.volumes[0].dims ?? [0]));
    steps = Math.max(-most, Math.min(most, steps));
    const across = { coronal: [0, steps, 0], sagittal: [steps, 0, 0] }[this.mode] ?? [0, 0, steps];
    this.niivue?.moveCrosshairInVox(...across);
  }

  /** Give the memory of the graphics processor back. */
  close() {
    const context = this.niivue?.gl;
    this.niivue?.cleanup();
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    this.niivue = null;
  }
}
