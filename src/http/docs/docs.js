// Shows /openapi.json: operations by tag, their parameters, bodies and answers. Text only ever goes in as text.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete", "options", "head"];
const MOST_STEPS = 8;

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function resolve(api, node) {
  let steps = 0;
  while (node && node.$ref && steps++ < MOST_STEPS) {
    node = node.$ref.replace(/^#\//, "").split("/")
      .reduce((at, key) => at && at[key.replace(/~1/g, "/").replace(/~0/g, "~")], api);
  }
  return node || {};
}

function nameOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const variants = schema.oneOf || schema.anyOf || schema.allOf;
  if (variants) return variants.map(nameOf).join(" | ");
  const type = [].concat(schema.type || "any").join(" | ");
  return type === "array" ? `array of ${nameOf(schema.items)}` : type;
}

// An example value in the schema's shape. `above` are the named schemas it is part of: a schema may contain itself.
function example(api, schema, above) {
  if (schema && schema.$ref) {
    if (above.includes(schema.$ref)) return "…";
    return example(api, resolve(api, schema), [...above, schema.$ref]);
  }
  const node = schema || {};
  if (node.example !== undefined) return node.example;
  if (node.examples && node.examples.length) return node.examples[0];
  if (node.default !== undefined) return node.default;
  if (node.enum) return node.enum[0];
  if (node.allOf) return Object.assign({}, ...node.allOf.map((part) => example(api, part, above)));
  const variants = node.oneOf || node.anyOf;
  if (variants) return example(api, variants.find((one) => one.type !== "null") || variants[0], above);
  if (node.properties) {
    return Object.fromEntries(Object.entries(node.properties).map(([key, one]) => [key, example(api, one, above)]));
  }
  switch ([].concat(node.type || []).find((one) => one !== "null")) {
    case "array": return [example(api, node.items, above)];
    case "integer": case "number": return 0;
    case "boolean": return false;
    case "object": return {};
    default: return "text";
  }
}

function contentOf(api, content) {
  return Object.entries(content || {}).map(([type, media]) => {
    const schema = media.schema;
    const shown = media.example !== undefined ? media.example : schema ? example(api, schema, []) : undefined;
    const text = typeof shown === "string" ? shown : JSON.stringify(shown, null, 2);
    return make("div", {}, make("p", { class: "soft" }, `${type} ${nameOf(schema)}`), text === undefined ? null : make("pre", {}, text));
  });
}

function parametersOf(api, parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((given) => {
    const one = resolve(api, given);
    return make("tr", {},
      make("td", {}, make("code", {}, one.name || "")),
      make("td", { class: "soft" }, `${one.in || ""}${one.required ? ", required" : ""}`),
      make("td", {}, nameOf(one.schema)),
      make("td", {}, one.description || ""));
  });
  return make("div", {}, make("h3", {}, "Parameters"), make("table", {}, ...rows));
}

function operationOf(api, path, method, shared, operation) {
  const body = operation.requestBody ? resolve(api, operation.requestBody) : null;
  const answers = Object.entries(operation.responses || {}).map(([status, given]) => {
    const answer = resolve(api, given);
    return make("div", {}, make("h3", {}, `${status} ${answer.description || ""}`), ...contentOf(api, answer.content));
  });
  const element = make("details", {},
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()), " ",
      make("code", {}, path), " ",
      make("span", { class: "soft" }, operation.summary || "")),
    make("div", {},
      operation.description ? make("p", {}, operation.description) : null,
      parametersOf(api, [...shared, ...(operation.parameters || [])]),
      body ? make("h3", {}, "Body") : null,
      ...(body ? contentOf(api, body.content) : []),
      ...answers));
  element.dataset.words = `${method} ${path} ${operation.summary || ""} ${operation.description || ""}`.toLowerCase();
  return element;
}

function show(api) {
  const info = api.info || {};
  document.title = `${info.title || "API"} ${info.version || ""}`;
  document.getElementById("title").textContent = document.title;
  document.getElementById("about").textContent = info.description || "";
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths || {})) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationOf(api, path, method, item.parameters || [], item[method]));
    }
  }
  const sections = [...groups].map(([tag, operations]) => make("section", {}, make("h2", {}, tag), ...operations));
  document.getElementById("operations").replaceChildren(...sections);
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("section")) {
    let left = 0;
    for (const operation of section.querySelectorAll("details")) {
      operation.hidden = !words.every((word) => operation.dataset.words.includes(word));
      left += operation.hidden ? 0 : 1;
    }
    section.hidden = left === 0;
  }
}

document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
fetch("openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP ${answer.status}`))))
  .then(show)
  .catch((error) => {
    document.getElementById("operations").replaceChildren(make("p", {}, `The document could not be loaded: ${error.message}`));
  });
