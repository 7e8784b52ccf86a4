// The course of a job: its steps and held-out evaluations, as far as they are known.

const FIGURES = [
  "entropy",
  "entropy_untempered",
  "response_length_mean",
  "response_length_median",
  "accuracy",
  "truncated_ratio",
];

/** What a job has done so far. */
export class Course {
  /** One record a step, in order: step, stage and the figures that are drawn. */
  steps = [];
  /** The record of the last step, whole. */
  newest = null;
  #evaluations = new Map();

  /** The last step known, 0 before the first. */
  get last() {
    return this.steps.at(-1)?.step ?? 0;
  }

  /** Records of the steps above `after`; whatever was known of those is replaced.
   *
   * A resumed job runs the steps since its checkpoint again. */
  take(after, records) {
    while (this.last > after) this.steps.pop();
    for (const record of records) this.steps.push(lean(record));
    this.newest = records.at(-1) ?? (this.newest?.step === this.last ? this.newest : null);
  }

  /** The data of an event of type evaluation. A label measured again at its step replaces it. */
  evaluate(found) {
    this.#evaluations.set(`${found.step} ${found.label}`, found);
  }

  /** The job goes back to a step: what was measured after it is of another line. */
  rewind(step) {
    for (const [key, found] of this.#evaluations) {
      if (found.step > step) this.#evaluations.delete(key);
    }
  }

  /** Evaluations by step; of one step the later one counts. */
  get evaluations() {
    return [...this.#evaluations.values()].sort((a, b) => a.step - b.step);
  }

  /** The base model's evaluation, undefined before it was made. */
  get base() {
    return this.evaluations.find((found) => found.label === "base");
  }

  /** Values of one figure, in step order, null where it was not measured. */
  column(name) {
    return this.steps.map((record) => record[name]);
  }

  /** Stages in the order they ran: label, first and last step. */
  get spans() {
    const spans = [];
    for (const { step, stage } of this.steps) {
      if (spans.at(-1)?.stage === stage) spans.at(-1).to = step;
      else spans.push({ stage, from: step, to: step });
    }
    return spans;
  }
}

function lean(record) {
  const figures = FIGURES.map((name) => [name, record[name] ?? null]);
  return { step: record.step, stage: record.stage, ...Object.fromEntries(figures) };
}

/** What a held-out evaluation measured: the base model, or the policy in or after a stage. */
export function evaluated({ label }) {
  if (label === "base") return "base";
  const midway = label.endsWith(".midway");
  return midway ? `in ${label.slice(0, -".midway".length)}` : `after ${label}`;
}

/** A stage's name without the number of its cycle: what gives it its colour. */
export function stageName(label) {
  return label.replace(/[.]\d+$/, "");
}
