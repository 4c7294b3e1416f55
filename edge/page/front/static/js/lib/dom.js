// Elements made without markup: every text enters by textContent, so that none becomes an element.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

// An element with attributes and children (elements or texts). `on` of the attributes holds listeners.
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A text of the device's in which `commands` stand between back quotes.
export function coded(text) {
  return text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));
}

export function show(element, visible) {
  element.hidden = !visible;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}
