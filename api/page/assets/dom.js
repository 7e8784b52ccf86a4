// Elements from data. Text stays text: nothing here, or anywhere on the page, parses markup.

/** The element with this id; the templates have it. */
export const byId = (id) => document.getElementById(id);

/** Make an element; attributes that are null, undefined or false are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Show these children, and touch nothing where they are shown already: focus stays. */
export function show(node, ...children) {
  const wanted = el(node.tagName, {}, ...children);
  const same =
    wanted.childNodes.length === node.childNodes.length &&
    [...wanted.childNodes].every((child, i) => child.isEqualNode(node.childNodes[i]));
  if (!same) node.replaceChildren(...wanted.childNodes);
}

/** Wait this many seconds, or until `bell` rings. */
export function rest(seconds, bell) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      bell?.removeEventListener("ring", end);
      resolve();
    };
    const timer = setTimeout(end, seconds * 1000);
    bell?.addEventListener("ring", end);
  });
}

/** Rings to end a wait early. */
export class Bell extends EventTarget {
  ring() {
    this.dispatchEvent(new Event("ring"));
  }
}
