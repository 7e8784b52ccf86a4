// Files of the API. A link cannot carry a key: with one, a file is fetched and saved.

import { el } from "/assets/dom.js";
import { file, key, words } from "/assets/api.js";

const MOST_BYTES = 2 ** 28; // what a tab should hold at once

/** A link to a file. `bytes`: its size, where that is known. */
export function link(path, text, attributes = {}, bytes = 0) {
  const held = key.get() !== null;
  return el("a", { href: path, "data-save": held, "data-bytes": bytes, ...attributes }, text);
}

/** Save what links in `section` lead to, where a key is held; `refuse` says what went wrong. */
export function onSave(section, refuse) {
  section.addEventListener("click", async (event) => {
    const clicked = event.target.closest("a[data-save]");
    if (!clicked) return;
    event.preventDefault();
    const path = clicked.getAttribute("href");
    if (Number(clicked.dataset.bytes) > MOST_BYTES) {
      refuse("This file is too large for a browser with a key. On a terminal, laconic checkpoints and laconic artifacts download it.");
      return;
    }
    try {
      const report = clicked.dataset.save === "report";
      const url = URL.createObjectURL(await file(path, report ? "text/html" : "*/*"));
      const name = report ? "report.html" : decodeURIComponent(path.split("/").pop());
      el("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    } catch (error) {
      refuse(words(error));
    }
  });
}
