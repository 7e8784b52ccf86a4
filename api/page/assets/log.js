// The events of a job, the newest first.

import { byId, el } from "/assets/dom.js";
import { clock, moment } from "/assets/format.js";

const SHOWN = 50;
const KEPT = 5000; // the oldest lines beyond these are only in the API

/** The list of events; feed it events in order. */
export class Log {
  #list = byId("log");
  #more = byId("log-more");
  #older = []; // not shown yet, oldest first

  constructor() {
    this.#more.addEventListener("click", () => this.#showMore());
  }

  add(event) {
    this.#list.prepend(line(event));
    if (this.#list.childElementCount > SHOWN + this.#extra) {
      this.#older.push(this.#list.lastElementChild);
      this.#list.lastElementChild.remove();
    }
    if (this.#older.length > KEPT) this.#older.shift();
    this.#label();
  }

  #extra = 0;

  #showMore() {
    const next = this.#older.splice(-SHOWN).reverse();
    this.#extra += next.length;
    this.#list.append(...next);
    this.#label();
    if (this.#more.hidden) this.#list.lastElementChild?.querySelector("summary")?.focus();
  }

  #label() {
    this.#more.hidden = this.#older.length === 0;
    this.#more.textContent = `Earlier events (${this.#older.length})`;
  }
}

function line(event) {
  const when = el(
    "time",
    { datetime: new Date(event.time * 1000).toISOString(), title: moment(event.time) },
    clock(event.time),
  );
  const kind = el(
    "span",
    { class: "kind" },
    event.level === "info" ? event.type : `${event.level}: ${event.type}`,
  );
  const text = el("span", { class: "text" }, event.message, ...said(event));
  const data = event.data && Object.keys(event.data).length > 0;
  const body = data
    ? el("details", {}, el("summary", {}, text), el("pre", {}, JSON.stringify(event.data, null, 2)))
    : text;
  return el("li", { "data-level": event.level, "data-type": event.type }, when, kind, body);
}

/** Who asked for it, where there are keys to tell people apart, and why. */
function said({ author, reason }) {
  const who = author && author !== "local" ? `by ${author}` : "";
  const words = [who, reason ?? ""].filter(Boolean).join(": ");
  return words ? [el("span", { class: "said" }, ` ${words}`)] : [];
}
