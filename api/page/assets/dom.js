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

/** Show these children, and touch none that is shown already: focus stays where it is. */
export function show(node, ...children) {
  const wanted = [...el(node.tagName, {}, ...children).childNodes];
  const shown = [...node.childNodes];
  wanted.forEach((child, place) => {
    if (place >= shown.length) node.append(child);
    else if (!child.isEqualNode(shown[place])) shown[place].replaceWith(child);
  });
  shown.slice(wanted.length).forEach((child) => child.remove());
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
