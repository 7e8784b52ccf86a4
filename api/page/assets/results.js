// What a job leaves behind, to collect: its checkpoints and artifacts, file by file.

import { byId, el, show } from "/assets/dom.js";
import { Refused, Unreachable, get, words } from "/assets/api.js";
import { count } from "/assets/format.js";
import { link } from "/assets/save.js";

/** The list of files of one job. */
export class Results {
  #path;
  #seen = ""; // what the lists stand for
  #open = new Map(); // files of the checkpoints that were opened, by step
  #checkpoints = [];
  #artifacts = [];

  constructor(path) {
    this.#path = path;
  }

  /** Ask again if `mark`, which stands for what has happened to the job, is a new one. */
  async look(mark) {
    if (mark === this.#seen) return;
    try {
      const [checkpoints, artifacts] = await Promise.all(
        ["checkpoints", "artifacts"].map((what) => get(`${this.#path}/${what}`)),
      );
      this.#checkpoints = checkpoints.body.data;
      this.#artifacts = artifacts.body.data;
      this.#seen = mark;
    } catch (error) {
      // The page says so elsewhere, and the next look asks again.
      if (!(error instanceof Refused) && !(error instanceof Unreachable)) throw error;
      return;
    }
    this.#draw();
  }

  #draw() {
    const some = this.#checkpoints.length + this.#artifacts.length > 0;
    const parts = some
      ? [this.#table("Checkpoints", this.#checkpoints.flatMap((c) => this.#checkpoint(c))),
         this.#table("Files", this.#artifacts.map((a) => this.#artifact(a)))]
      : [el("p", { class: "note" }, "Nothing yet. Checkpoints, models, evaluations and the report come here.")];
    show(byId("results"), ...parts.filter((part) => part !== null));
    for (const button of byId("results").querySelectorAll("button[data-step]"))
      button.onclick = () => this.#toggle(Number(button.dataset.step));
  }

  #table(caption, rows) {
    if (!rows.length) return null;
    const body = el("tbody", {}, ...rows);
    return el("table", { class: "facts" }, el("caption", {}, caption), body);
  }

  #checkpoint({ step, stage, bytes, pinned }) {
    const files = this.#open.get(step);
    const about = [stage, pinned ? "pinned" : null].filter(Boolean).join(" · ");
    const button = el(
      "button",
      { type: "button", class: "quiet", "data-step": step, "aria-expanded": String(Boolean(files)) },
      `step ${count(step)}`,
    );
    const head = el("tr", {}, el("th", { scope: "row" }, button, el("small", {}, about)), size(bytes));
    const place = `${this.#path}/checkpoints/${step}/files/`;
    return [head, ...(files ?? []).map((f) => row(place, f.path, "", f.bytes))];
  }

  #artifact({ path, kind, bytes }) {
    return row(`${this.#path}/artifacts/`, path, kind, bytes);
  }

  async #toggle(step) {
    if (this.#open.has(step)) this.#open.delete(step);
    else
      try {
        const { body } = await get(`${this.#path}/checkpoints/${step}`);
        this.#open.set(step, body.files);
      } catch (error) {
        byId("refused").hidden = false;
        byId("refused").textContent = words(error);
        return;
      }
    this.#draw();
    byId("results").querySelector(`button[data-step="${step}"]`)?.focus();
  }
}

function row(place, path, kind, bytes) {
  const address = place + path.split("/").map(encodeURIComponent).join("/");
  const name = el("th", { scope: "row" }, link(address, path, {}, bytes), el("small", {}, ` ${kind}`));
  return el("tr", { class: "file" }, name, size(bytes));
}

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const place = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** place;
  return el("td", {}, `${place && value < 100 ? value.toFixed(1) : count(value)} ${units[place]}`);
}
