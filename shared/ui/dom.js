// Builds and updates the page's elements.
//
// Values reach the document as text nodes and attributes only; there is no innerHTML in this folder, so an id or a
// message that looks like markup stays text. `morph` updates what is on the screen in place: a refresh keeps the focus,
// the selection, the scroll position and what is folded open.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "onsubmit", "onchange", "oninput"];

/** An element. `props`: attributes; handlers as functions; `vars`: CSS custom properties; null and false leave out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (HANDLERS.includes(name)) node[name] = value;
    else if (name === "vars") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flat(children));
  return node;
}

/** A child or nested lists of them as nodes; null and false are left out. */
export function flat(children) {
  return [children]
    .flat(Infinity)
    .filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (one instanceof Node ? one : document.createTextNode(String(one))));
}

/** Makes the children of `parent` like `fresh`. Elements with the same `data-key` are the same; others by place. */
export function morph(parent, fresh) {
  let at = parent.firstChild;
  for (const next of flat(fresh)) {
    const match = find(at, next);
    if (!match) {
      parent.insertBefore(next, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else parent.insertBefore(match, at);
    update(match, next);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function keyOf(node) {
  return node.dataset?.key;
}

function find(at, next) {
  const key = keyOf(next);
  for (let node = at; node; node = key ? node.nextSibling : null) {
    if (node.nodeName === next.nodeName && keyOf(node) === key) return node;
  }
  return null;
}

function update(node, next) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== next.nodeValue) node.nodeValue = next.nodeValue;
    return;
  }
  // What the reader has folded open or typed is theirs.
  const isTheirs = (name) => name === "style" || (name === "open" && node.nodeName === "DETAILS");
  for (const { name } of [...node.attributes])
    if (!isTheirs(name) && !next.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of [...next.attributes]) {
    if (!isTheirs(name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  if (node.style.cssText !== next.style.cssText) node.style.cssText = next.style.cssText;
  for (const name of HANDLERS) node[name] = next[name];
  if (node.nodeName === "SELECT" && node === document.activeElement) return;
  morph(node, [...next.childNodes]);
}

/** What a screen reader says and the page does not show. */
export function hidden(text) {
  return h("span", { class: "hidden" }, text);
}
