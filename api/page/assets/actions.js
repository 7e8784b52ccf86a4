// What may be asked of the job now: a button for each that the API reports as legal.

import { byId, el } from "/assets/dom.js";
import { Refused, post, words } from "/assets/api.js";
import { say, wake } from "/assets/connection.js";

const KNOWN = {
  pause: {
    label: "Pause",
    done: "Pause requested.",
    title: "Pause this job?",
    text: () =>
      "It finishes the step it is in, leaves a checkpoint and frees its workers. Resume goes on from there.",
  },
  resume: { label: "Resume", done: "Back in the queue." },
  stage: {
    label: "Next stage",
    body: { to: "next" },
    done: "Next stage requested: it begins at the next step boundary.",
    title: "Go on with the next stage?",
    text: (job) =>
      `Stage ${stageOf(job)} ends at the next step boundary. The job does not come back to it in this cycle.`,
  },
  cancel: {
    label: "Cancel job",
    done: "Cancel requested.",
    title: "Cancel this job?",
    text: () => "It ends for good and cannot be resumed. Checkpoints and figures stay.",
  },
};

const stageOf = (job) => job.progress?.stage ?? job.spec.stages[0].name;

/** What an action is meant for: this attempt, and where a stage is ended, that stage. */
const meaning = (action, job) =>
  JSON.stringify([job.attempt, action === "stage" ? stageOf(job) : null]);

/** The row of buttons of one job. */
export class Actions {
  #path;
  #seen = null; // the job as the reader sees it, and its entity tag
  #buttons = new Map();
  #group = byId("actions");
  #dialog = byId("confirm");
  #confirmed = () => {};

  constructor(path) {
    this.#path = path;
    this.#dialog.addEventListener("close", () => {
      if (this.#dialog.returnValue === "yes") this.#confirmed();
    });
  }

  /** Draw a button for each legal action; those that stay are left alone, so focus stays too. */
  show(job, etag) {
    this.#seen = { job, etag };
    const legal = job.actions.filter((action) => action in KNOWN);
    for (const [action, button] of this.#buttons) {
      if (legal.includes(action)) continue;
      if (button === document.activeElement) byId("main").focus({ preventScroll: true });
      button.remove();
      this.#buttons.delete(action);
    }
    for (const action of legal) if (!this.#buttons.has(action)) this.#add(action);
    const asked = job.cancel_requested_at !== null && legal.includes("cancel");
    this.#label("cancel", asked ? "Cancelling" : KNOWN.cancel.label, asked);
  }

  /** Say what was refused, and why. */
  refuse(text) {
    byId("refused").hidden = text === "";
    byId("refused").textContent = text;
  }

  #add(action) {
    const button = el("button", { type: "button", "data-action": action }, KNOWN[action].label);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      if (KNOWN[action].title) this.#ask(action);
      else this.#act(action, this.#seen);
    });
    this.#buttons.set(action, button);
    const order = Object.keys(KNOWN);
    const after = [...this.#group.children].find(
      (b) => order.indexOf(b.dataset.action) > order.indexOf(action),
    );
    this.#group.insertBefore(button, after ?? null);
  }

  #ask(action) {
    const meant = this.#seen; // whatever happens while the question stands
    this.#confirmed = () => this.#act(action, meant, byId("confirm-reason").value.trim());
    byId("confirm-title").textContent = KNOWN[action].title;
    byId("confirm-text").textContent = KNOWN[action].text(meant.job);
    byId("confirm-yes").textContent = KNOWN[action].label;
    byId("confirm-reason").value = "";
    this.#dialog.returnValue = "no";
    this.#dialog.showModal();
  }

  /** Ask it of the job that was meant, and of no other that it may have become since. */
  async #act(action, meant, reason = "") {
    const { label, body, done } = KNOWN[action];
    const asked = { ...body, ...(reason ? { reason } : {}) };
    this.refuse("");
    this.#label(action, label, true);
    try {
      const same = meaning(action, meant.job) === meaning(action, this.#seen.job);
      if (!same) throw new Refused(412, {});
      await post(`${this.#path}/${action}`, asked, { etag: meant.etag });
      say(done);
    } catch (error) {
      this.refuse(`${label}: ${words(error)}`);
    }
    this.#label(action, label, false);
    wake.ring();
  }

  #label(action, text, busy) {
    const button = this.#buttons.get(action);
    if (!button) return;
    if (button.textContent !== text) button.textContent = text;
    if (busy) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
  }
}
