// The input of prompts: a combobox with suggestions, and the chosen prompts as a list.

import { button, el, field, fill } from "../core/dom.js";
import { didYouMean, modalitiesOf, suggestions } from "./prompt_suggestions.js";

export class PromptInput {
  /** `targets` are those of GET /v1/prompts. `onChange` is called when the list of prompts has changed. */
  constructor(targets, onChange) {
    Object.assign(this, { targets, onChange });
    this.prompts = [];
    this.chosen = -1;
    this.list = el("ul", { id: "suggestions", role: "listbox", class: "suggestions", "aria-label": "Suggested prompts", hidden: true });
    this.input = el("input", {
      type: "text", role: "combobox", autocomplete: "off", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "suggestions",
      on: { input: () => this.suggest(), focus: () => this.suggest(), keydown: (event) => this.key(event), blur: () => setTimeout(() => this.close(), 150) },
    });
    this.modality = el(
      "select",
      { on: { change: () => this.suggest() } },
      el("option", { value: "" }, "Any"),
      modalitiesOf(targets).map((modality) => el("option", { value: modality }, modality)),
    );
    this.chips = el("ul", { class: "chips", "aria-label": "Chosen prompts" });
    this.doubts = el("div", { "aria-live": "polite" });
    this.element = el(
      "div",
      {},
      el(
        "div",
        { class: "prompt-row" },
        field("Modality", this.modality),
        el("div", { class: "combobox" }, field("Prompt", this.input, "Type what to segment, for example “liver”, and press Enter. Each prompt gives one mask."), this.list),
        button("Add", () => this.add(this.input.value), "", { "aria-label": "Add the prompt" }),
      ),
      this.chips,
      this.doubts,
    );
  }

  add(text) {
    const prompt = text.trim();
    if (prompt && !this.prompts.includes(prompt)) this.prompts.push(prompt);
    this.input.value = "";
    this.close();
    this.render();
  }

  replace(prompt, other) {
    this.prompts = [...new Set(this.prompts.map((one) => (one === prompt ? other : one)))];
    this.render();
  }

  remove(prompt) {
    this.prompts = this.prompts.filter((one) => one !== prompt);
    this.render();
    this.input.focus();
  }

  render() {
    fill(
      this.chips,
      this.prompts.map((prompt) => el("li", {}, prompt, button("×", () => this.remove(prompt), "quiet", { "aria-label": `Remove the prompt ${prompt}` }))),
    );
    const doubts = this.prompts.map((prompt) => [prompt, didYouMean(this.targets, prompt)]).filter(([, nearest]) => nearest);
    fill(
      this.doubts,
      doubts.map(([prompt, nearest]) =>
        el("p", { class: "box warning" }, `The model was not trained on “${prompt}”. Did you mean `, button(nearest, () => this.replace(prompt, nearest)), "?"),
      ),
    );
    this.onChange(this.prompts);
  }

  suggest() {
    this.shown = suggestions(this.targets, this.input.value, this.modality.value).filter((target) => !this.prompts.includes(target.prompt));
    this.chosen = -1;
    fill(
      this.list,
      this.shown.map((target, place) =>
        el(
          "li",
          { id: `suggestion-${place}`, role: "option", "aria-selected": "false", on: { pointerdown: (event) => (event.preventDefault(), this.add(target.prompt)) } },
          target.prompt,
        ),
      ),
    );
    const open = this.shown.length > 0 && document.activeElement === this.input;
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      this.add(this.chosen >= 0 ? this.shown[this.chosen].prompt : this.input.value);
    } else if (event.key === "Escape") {
      this.close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.list.hidden) this.suggest();
      this.choose(this.chosen + (event.key === "ArrowDown" ? 1 : -1));
    }
  }

  choose(place) {
    const options = [...this.list.children];
    if (options.length === 0) return;
    this.chosen = (place + options.length) % options.length;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === this.chosen)));
    options[this.chosen].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", `suggestion-${this.chosen}`);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
