// The options of a job that most people may want to change.

import { check, el, field } from "../core/dom.js";

const INTENSITIES = ["ct-abdomen", "ct-colon", "ct-liver", "ct-lung", "ct-pancreas", "ct-pelvis", "percentile-positive", "percentile-all", "voi", "none"];

function select(choices) {
  return el("select", {}, Object.entries(choices).map(([value, words]) => el("option", { value }, words)));
}

/** The fields, and their values as the `options` of a job. Options with their default value are left out. */
export class OptionFields {
  constructor(onChange) {
    const controls = {
      name: el("input", { type: "text", maxlength: "200" }),
      intensity: select({ "": "Automatic", ...Object.fromEntries(INTENSITIES.map((name) => [name, name])) }),
      partial_series: select({ "": "The series fails", best_effort: "Segment it as it is", hold: "Segment it, but make no files of the series" }),
      burned_in: select({ "": "Warn", allow: "Allow", refuse: "Refuse" }),
      identifiers: select({ "": "Original UIDs", hashed: "Hashed UIDs", none: "None" }),
      slice_axis: select({ "": "Axial", coronal: "Coronal", sagittal: "Sagittal" }),
      volume: el("input", { type: "number", min: "0", step: "1" }),
      lane: select({ "": "Automatic", interactive: "Interactive", bulk: "Bulk" }),
      probability: el("input", { type: "checkbox" }),
      geojson: el("input", { type: "checkbox" }),
      report: el("input", { type: "checkbox" }),
    };
    this.controls = controls;
    for (const control of Object.values(controls)) control.addEventListener("input", onChange);
    this.element = el(
      "details",
      { class: "panel" },
      el("summary", {}, "Options (the defaults suit most images)"),
      el(
        "div",
        { class: "columns" },
        field("Name of the job", controls.name, "Only you and your group see it. The default is made from the prompts."),
        field("Intensity window", controls.intensity, "How CT and MRI values become 8 bits. Automatic: by modality and body part."),
        field("If slices of a series are missing", controls.partial_series),
        field("Images with burned-in text", controls.burned_in),
        field("Identifiers of DICOM objects in the results", controls.identifiers),
        field("Slices of NIfTI volumes", controls.slice_axis),
        field("Volume of a 4-D NIfTI file", controls.volume, "Counted from 0."),
        field("Queue", controls.lane),
        check("Also make probability maps", controls.probability),
        check("Also make outlines for QuPath (GeoJSON)", controls.geojson),
        check("Also make a run card of the job (HTML)", controls.report),
      ),
    );
  }

  /** Return the options for a job with these default outputs and this default name. */
  values(outputs, name) {
    const { name: own, probability, geojson, report, volume, ...selects } = this.controls;
    const more = Object.entries({ probability, geojson, report }).filter(([, control]) => control.checked);
    const options = { outputs: [...outputs, ...more.map(([output]) => output)] };
    for (const [option, control] of Object.entries(selects)) if (control.value) options[option] = control.value;
    if (volume.value !== "") options.volume = Number(volume.value);
    options.metadata = { name: own.value.trim() || name };
    return options;
  }
}
