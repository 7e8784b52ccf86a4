// What may be asked of the job now: a button for each move that the API reports as legal.

import { byId, el } from "/assets/dom.js";
import { get, post, words } from "/assets/api.js";
import { say, wake } from "/assets/connection.js";

const TRIES = 3;

const MOVES = {
  pause: { label: "Pause", done: "Pause requested." },
  resume: { label: "Resume", done: "Back in the queue." },
  stage: {
    label: "Next stage",
    body: { to: "next" },
    done: "Next stage requested: it begins at the next step boundary.",
    title: "Go on with the next stage?",
    text: (job) => `Stage ${job.progress?.stage ?? job.spec.stages[0].name} ends at the next step boundary. The job does not come back to it in this cycle.`,
  },
  cancel: {
    label: "Cancel job",
    done: "Cancel requested.",
    title: "Cancel this job?",
    text: () => "It ends for good and cannot be resumed. Checkpoints and figures stay.",
  },
};

/** The row of buttons of one job. */
export class Actions {
  #path;
  #seen = null; // the job as the reader sees it, and its entity tag
  #buttons = new Map();
  #group = byId("actions");
  #dialog = byId("confirm");
  #asking = null;

  constructor(path) {
    this.#path = path;
    this.#dialog.addEventListener("close", () => {
      const move = this.#asking;
      this.#asking = null;
      if (this.#dialog.returnValue === "yes" && move) this.#act(move);
    });
  }

  /** Draw a button for each legal move; those that stay are left alone, so focus stays too. */
  show(job, etag) {
    this.#seen = { job, etag };
    const legal = job.moves.filter((move) => move in MOVES);
    for (const [move, button] of this.#buttons) {
      if (legal.includes(move)) continue;
      if (button === document.activeElement) byId("main").focus({ preventScroll: true });
      button.remove();
      this.#buttons.delete(move);
    }
    for (const move of legal) if (!this.#buttons.has(move)) this.#add(move);
    const asked = job.cancel_requested_at !== null && legal.includes("cancel");
    this.#label("cancel", asked ? "Cancelling" : MOVES.cancel.label, asked);
  }

  /** Say what was refused, and why. */
  refuse(text) {
    byId("refused").hidden = text === "";
    byId("refused").textContent = text;
  }

  #add(move) {
    const button = el("button", { type: "button", "data-move": move }, MOVES[move].label);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      if (MOVES[move].title) this.#ask(move);
      else this.#act(move);
    });
    this.#buttons.set(move, button);
    const order = Object.keys(MOVES);
    const after = [...this.#group.children].find((b) => order.indexOf(b.dataset.move) > order.indexOf(move));
    this.#group.insertBefore(button, after ?? null);
  }

  #ask(move) {
    this.#asking = move;
    byId("confirm-title").textContent = MOVES[move].title;
    byId("confirm-text").textContent = MOVES[move].text(this.#seen.job);
    byId("confirm-yes").textContent = MOVES[move].label;
    this.#dialog.returnValue = "no";
    this.#dialog.showModal();
  }

  async #act(move) {
    const { label, body, done } = MOVES[move];
    this.refuse("");
    this.#label(move, label, true);
    try {
      await this.#post(move, body);
      say(done);
    } catch (error) {
      this.refuse(`${label}: ${words(error)}`);
    }
    this.#label(move, label, false);
    wake.ring();
  }

  /** Ask only of the job that was seen. A tag that changed with nothing the reader acts upon (a
   * heartbeat) is taken anew; any other change is refused, in words. */
  async #post(move, body) {
    const meant = essence(this.#seen.job);
    let etag = this.#seen.etag;
    for (let left = TRIES; ; left -= 1) {
      try {
        return await post(`${this.#path}/${move}`, body, etag);
      } catch (error) {
        if (error.status !== 412 || left === 1) throw error;
        const fresh = await get(this.#path);
        if (essence(fresh.body) !== meant) throw error;
        etag = fresh.etag;
      }
    }
  }

  #label(move, text, busy) {
    const button = this.#buttons.get(move);
    if (!button) return;
    if (button.textContent !== text) button.textContent = text;
    if (busy) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
  }
}

const essence = (job) => JSON.stringify([job.state, job.attempt, job.progress?.stage, job.moves]);
