// Elements made from names, attributes and children. Text is always inserted as text, never as HTML.

/**
 * Return a new element.
 *
 * `attributes` may contain `class`, `on` (listeners by event), `data` (data attributes), properties that start with a
 * dot (such as `.value`), and attributes. The values true and false mean that an attribute is present or absent; null
 * and undefined are ignored. Children are nodes, text, or lists of them; null and false are left out.
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) setAttribute(element, key, value);
  element.append(...nodes(children));
  return element;
}

function setAttribute(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key === "on") {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (key === "data") {
    Object.assign(element.dataset, value);
  } else if (key.startsWith(".")) {
    element[key.slice(1)] = value;
  } else {
    element.setAttribute(key, value === true ? "" : value);
  }
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace everything in `element` with these children. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Return a button. `kind` is a class: "primary", "danger" or "quiet". */
export function button(label, onClick, kind = "", attributes = {}) {
  return el("button", { type: "button", class: kind, on: { click: onClick }, ...attributes }, label);
}

/** Return a labelled form control. The hint describes the control to screen readers, too. */
export function field(label, control, hint = null) {
  const id = `field-${(field.count = (field.count ?? 0) + 1)}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    control,
    hint && el("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

/** Return a checkbox with its label. */
export function check(label, control) {
  control.id = `field-${(field.count = (field.count ?? 0) + 1)}`;
  return el("div", { class: "check" }, control, el("label", { for: control.id }, label));
}

/** Ask a question in a dialog. Resolves to true if the user chose the action. */
export function confirmed(question, action) {
  return new Promise((resolve) => {
    const dialog = el(
      "dialog",
      { "aria-labelledby": "question", on: { close: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) } },
      el("p", { id: "question" }, question),
      el(
        "div",
        { class: "actions" },
        button("Back", () => dialog.close("no")),
        button(action, () => dialog.close("yes"), "danger"),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
