// The masks of the shown frame: how they are drawn, their measures and what is suspicious about them.

import { el, fill } from "../core/dom.js";
import { errorWords, flagWords } from "../core/error_words.js";
import { colourOf } from "./palette.js";

const STYLES = { fill: "Fill", outline: "Outline", probability: "Probability" };

export class MaskPanel {
  constructor(viewer) {
    this.viewer = viewer;
    this.element = el("section", { class: "masks", "aria-label": "Masks" });
  }

  /** Show the masks of a frame. */
  show(frame) {
    if (frame.error) {
      const { meaning, advice } = errorWords(frame.error.code, frame.error.detail);
      fill(this.element, el("div", { class: "box problem" }, el("strong", {}, meaning), " ", advice));
      return;
    }
    fill(this.element, frame.masks.map((mask, number) => this.card(mask, number)));
  }

  card(mask, number) {
    const { viewer } = this;
    const settings = viewer.settings[number];
    const visible = el("input", { type: "checkbox", id: `show-${number}`, ".checked": settings.visible, on: { change: () => viewer.change(number, { visible: visible.checked }) } });
    const opacity = el("input", {
      type: "range", min: "0", max: "100", ".value": String(Math.round(settings.opacity * 100)), "aria-label": `Opacity of ${mask.prompt}`,
      on: { input: () => viewer.change(number, { opacity: Number(opacity.value) / 100 }) },
    });
    const styles = Object.entries(STYLES).filter(([style]) => style !== "probability" || mask.links.probability);
    const style = el(
      "select",
      { "aria-label": `Style of ${mask.prompt}`, on: { change: () => viewer.change(number, { style: style.value }) } },
      styles.map(([value, words]) => el("option", { value, selected: value === settings.style }, words)),
    );
    const chip = el("span", { class: "chip" });
    chip.style.background = `rgb(${colourOf(number).join(" ")})`;
    return el(
      "div",
      { class: "mask" },
      el("div", { class: "mask-name" }, visible, chip, el("label", { for: `show-${number}` }, mask.prompt)),
      el("div", { class: "mask-style" }, opacity, style),
      measures(mask),
      mask.flags.length > 0 && el("ul", { class: "flagged" }, mask.flags.map((flag) => el("li", {}, `⚑ ${flagWords(flag)}`))),
    );
  }

  /** Turn the masks of a prompt on or off, by keyboard. */
  toggle(number) {
    this.element.querySelector(`#show-${number}`)?.click();
  }
}

function measures(mask) {
  if (mask.empty) return el("p", { class: "hint" }, "The mask is empty.");
  const area = mask.area_mm2 ? `${mask.area_px.toLocaleString("en")} px (${mask.area_mm2.toFixed(1)} mm²)` : `${mask.area_px.toLocaleString("en")} px`;
  const rows = [
    ["Area", area],
    ["Category", mask.category],
    ["Mean probability", mask.mean_probability.toFixed(3)],
    ["Pieces", String(mask.components)],
    ["Box", mask.bbox && `${mask.bbox[2]} × ${mask.bbox[3]} at (${mask.bbox[0]}, ${mask.bbox[1]})`],
    ["Centre", mask.centroid && mask.centroid.map((place) => place.toFixed(1)).join(", ")],
    ["Touches", mask.border.join(", ")],
  ];
  return el("dl", { class: "measures" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
