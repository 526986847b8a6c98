// The reference of the HTTP API, made from /openapi.json. All text is added as text nodes, never as HTML.

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

// Text with `code` in it, as text nodes and code elements.
const inline = (text) =>
  text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : document.createTextNode(part)));

const paragraphs = (text = "") =>
  text
    .split(/\n\s*\n/)
    .filter((part) => part.trim())
    .map((part) => element("p", {}, ...inline(part.replace(/\s+/g, " "))));

const anchor = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");

const isNull = (schema) => schema.type === "null";

// What a schema allows, as nodes: a link to a named schema, or a short description.
function typeOf(schema = {}) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [element("a", { href: `#schema-${anchor(name)}` }, name)];
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    const shown = choices.filter((choice) => !isNull(choice)).flatMap((choice, place) => [...(place ? [" or "] : []), ...typeOf(choice)]);
    return choices.some(isNull) ? [...shown, " or null"] : shown;
  }
  if (schema.enum) return schema.enum.flatMap((value, place) => [...(place ? [", "] : []), element("code", {}, String(value))]);
  if (schema.const !== undefined) return [element("code", {}, String(schema.const))];
  if (schema.type === "array") return schema.prefixItems ? ["list"] : ["list of ", ...typeOf(schema.items)];
  if (schema.type === "object" && schema.additionalProperties?.type) return ["object of ", ...typeOf(schema.additionalProperties)];
  return [schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "any value")];
}

function table(caption, heads, rows) {
  if (!rows.length) return [];
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...cell))));
  const made = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  made.prepend(element("caption", {}, caption));
  return [made];
}

const contentRows = (content = {}) =>
  Object.entries(content).map(([media, { schema }]) => [[element("code", {}, media)], typeOf(schema)]);

function operation(path, method, described) {
  const title = `${method.toUpperCase()} ${path}`;
  const made = element("section", { id: anchor(title) }, element("h3", {}, element("code", {}, title)));
  made.append(...paragraphs(described.description));
  const scopes = (described.security ?? []).flatMap((needed) => needed.key ?? []);
  made.append(element("p", {}, ...(scopes.length ? ["Needs the scope ", element("code", {}, scopes.join(", ")), "."] : ["Needs no API key."])));
  const parameters = (described.parameters ?? []).map((given) => [
    [element("code", {}, given.name), given.required ? "" : " (optional)"],
    [given.in],
    typeOf(given.schema),
    inline(given.description ?? ""),
  ]);
  made.append(...table("Parameters", ["Name", "In", "Type", "Meaning"], parameters));
  made.append(...table("Body", ["Media type", "Schema"], contentRows(described.requestBody?.content)));
  const answers = Object.entries(described.responses ?? {}).map(([status, answer]) => [
    [status],
    contentRows(answer.content).flatMap(([media, type], place) => [...(place ? [", "] : []), ...media, ": ", ...type]),
    inline(answer.description ?? ""),
  ]);
  made.append(...table("Answers", ["Status", "Content", "Meaning"], answers));
  return { title, node: made };
}

function schemaSection(name, schema) {
  const made = element("section", { id: `schema-${anchor(name)}` }, element("h3", {}, element("code", {}, name)));
  made.append(...paragraphs(schema.description));
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties ?? {}).map(([member, about]) => [
    [element("code", {}, member), required.has(member) ? "" : " (optional)"],
    typeOf(about),
    inline(about.description ?? ""),
  ]);
  made.append(...table("Members", ["Name", "Type", "Meaning"], members));
  return { title: name, node: made };
}

function chapter(title, sections) {
  const list = sections.map(({ title: entry, node }) => element("li", {}, element("a", { href: `#${node.id}` }, entry)));
  document.querySelector("#contents").append(element("h2", {}, title), element("ul", {}, ...list));
  document.querySelector("#reference").append(element("h2", {}, title), ...sections.map(({ node }) => node));
}

function show(api) {
  document.querySelector("#version").textContent = api.info.version;
  document.querySelector("#reference").replaceChildren();
  const byTag = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, described] of Object.entries(operations)) {
      const tag = described.tags?.[0] ?? "other";
      byTag.set(tag, [...(byTag.get(tag) ?? []), operation(path, method, described)]);
    }
  }
  for (const [tag, sections] of byTag) chapter(tag[0].toUpperCase() + tag.slice(1), sections);
  const hooks = Object.entries(api.webhooks ?? {}).map(([name, { post }]) => operation(name, "post", post));
  if (hooks.length) chapter("Callbacks", hooks);
  const schemas = Object.entries(api.components.schemas).sort(([first], [second]) => first.localeCompare(second));
  chapter("Schemas", schemas.map(([name, schema]) => schemaSection(name, schema)));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  show(await answer.json());
} catch (error) {
  const reason = `The OpenAPI document cannot be read (${error.message}). Reload the page to try again.`;
  document.querySelector("#reference").replaceChildren(element("p", { role: "alert" }, reason));
}
