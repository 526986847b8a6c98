// The choice between the slices of an item and its volume. What draws volumes is loaded when one is first chosen.

import { el, field } from "../core/dom.js";

const VIEWS = { "": "Slices", axial: "Axial plane", coronal: "Coronal plane", sagittal: "Sagittal plane", planes: "Three planes", solid: "3-D" };

export class VolumeChoice {
  /** `slices` are the elements that are hidden while the volume is shown. */
  constructor({ api, signal, item, viewer, slices }) {
    Object.assign(this, { api, signal, item, viewer, slices });
    this.volume = null;
    this.place = el("div", { hidden: true });
    const select = el("select", { on: { change: () => void this.choose(select.value) } }, Object.entries(VIEWS).map(([value, words]) => el("option", { value }, words)));
    const isVolume = item.grid && item.links.nifti && item.frames?.length > 1;
    this.element = isVolume ? el("div", { class: "filters" }, field("View", select)) : null;
  }

  async choose(mode) {
    for (const element of this.slices) element.hidden = mode !== "";
    this.place.hidden = mode === "";
    if (!mode) return;
    const { VolumeViewer } = await import("./volume_viewer.js");
    if (!this.volume) {
      const { api, signal, viewer } = this;
      this.volume = new VolumeViewer({ api, signal, previews: viewer.cache, settings: viewer.settings });
      this.place.append(this.volume.element);
    }
    await this.volume.show(this.item, mode);
  }

  /** Go so many slices further in what is shown. */
  step(steps) {
    (this.place.hidden ? this.viewer : this.volume)?.step(steps);
  }

  recolour() {
    this.volume?.recolour();
  }
}
