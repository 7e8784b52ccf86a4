// The top of a job: its state, its stages, its figures now, and how it ended.

import { byId, el, show } from "/assets/dom.js";
import { key, now } from "/assets/api.js";
import { count, duration, fixed, percent } from "/assets/format.js";
import { evaluated } from "/assets/course.js";
import { link } from "/assets/save.js";

/** Whether the job has ended, for good or until somebody resumes it. */
export const hasEnded = (job) => job.finished_at !== null;

/** Draw everything above the curves. `ends` are the data of the events of type stage. */
export function drawHead(job, course, ends) {
  show(byId("name"), job.name);
  show(byId("state"), job.state + (job.attempt > 1 ? ` · attempt ${job.attempt}` : ""));
  byId("state").dataset.state = job.state;
  document.title = `${job.state} · ${job.name} · Laconic`;
  drawEnd(job, course);
  byId("doubt").hidden = hasEnded(job) || !job.cause;
  show(byId("doubt"), job.cause ?? "");
  show(
    byId("stages"),
    ...job.spec.stages.map((stage, i) => stageItem(job, course, ends, stage, i)),
  );
  show(byId("figures"), ...figures(job, course).flatMap(figure));
}

// -- how it ended -------------------------------------------------------------------------------

function drawEnd(job, course) {
  const section = byId("end");
  section.hidden = !hasEnded(job);
  if (!hasEnded(job)) return;
  section.dataset.state = job.state;
  const took =
    job.started_at === null ? "" : ` after ${duration(job.finished_at - job.started_at)}`;
  const parts = [
    el("p", {}, el("strong", {}, `${sentence(job.state)}${took}.`), ` ${outcome(course)}`),
  ];
  if (job.cause) parts.push(el("p", { class: "cause" }, job.cause));
  if (job.actions.includes("resume"))
    parts.push(el("p", {}, "It can be resumed from its last checkpoint."));
  if (course.last > 0) parts.push(el("p", {}, reportLink(job)));
  show(section, ...parts);
}

const sentence = (state) => state.charAt(0).toUpperCase() + state.slice(1);

function outcome(course) {
  const base = course.base;
  const last = course.evaluations.filter((found) => found.label !== "base").at(-1);
  if (!base || !last) return "";
  const share = percent(last.length_mean / base.length_mean, 0);
  const [before, after] = [percent(base.accuracy), percent(last.accuracy)];
  return (
    `On held-out questions responses have ${share} of their length, ` +
    `accuracy went from ${before} to ${after}.`
  );
}

function reportLink(job) {
  const path = `/v1/jobs/${encodeURIComponent(job.id)}/report`;
  const held = key.get() !== null;
  const look = { class: "button strong", "data-save": held ? "report" : null };
  return link(path, held ? "Save the report" : "Open the report", look);
}

// -- stages -------------------------------------------------------------------------------------

function stageItem(job, course, ends, stage, index) {
  const progress = job.progress ?? {};
  const cycle = progress.cycle ?? 1;
  const label = cycle > 1 ? `${stage.name}.${cycle}` : stage.name;
  const end = ends.findLast((e) => e.from === label);
  const current = !hasEnded(job) && progress.stage === label;
  const span = course.spans.findLast((s) => s.stage === label);
  const done = current ? progress.stage_step : span ? span.to - span.from + 1 : 0;
  const said = stageWords(stage, done, current, end);
  return el(
    "li",
    { class: `stage-${index % 4}`, "aria-current": current ? "step" : null },
    el("span", { class: "name" }, label),
    el("span", { class: "note" }, said),
    el("progress", {
      max: end && !current ? 1 : stage.steps,
      value: end && !current ? 1 : Math.min(done, stage.steps),
      "aria-label": `${label}: ${said}`,
    }),
  );
}

const CAUSES = {
  steps: "its steps are used up",
  manual: "on request",
  entropy_plateau: "entropy rests",
  length_target: "length target reached",
  clip_ratio: "clip ratio reached",
  accuracy_guard: "accuracy guard",
  budget: "token budget used up",
  cycle_target: "short enough",
};

function stageWords(stage, done, current, end) {
  if (end && !current) return `${done} steps · ended: ${CAUSES[end.cause] ?? end.cause}`;
  const sooner = stage.until.length > 0 || stage.guard !== null;
  const of = `${done} of ${sooner ? "at most " : ""}${stage.steps} steps`;
  return current || done ? of : `${sooner ? "at most " : ""}${stage.steps} steps to come`;
}

// -- figures now --------------------------------------------------------------------------------

function figures(job, course) {
  const [first, last] = [course.steps[0], course.steps.at(-1)];
  const held = course.evaluations.at(-1);
  return [
    {
      name: "Entropy",
      value: fixed(last?.entropy, 3),
      unit: "nats",
      note: last
        ? `first step ${fixed(first.entropy, 3)} · at temperature 1 ${fixed(last.entropy_untempered, 3)}`
        : "",
    },
    {
      name: "Response length",
      value: fixed(last?.response_length_mean, 1),
      unit: "tokens",
      note: held ? `held out ${fixed(held.length_mean, 1)}${ofBase(held, course.base)}` : "",
    },
    {
      name: "Accuracy",
      value: last ? fixed(100 * (last.accuracy ?? NaN), 1) : "–",
      unit: "%",
      note: held
        ? `held out ${percent(held.accuracy)} (${evaluated(held)}, step ${held.step})`
        : "",
    },
    timing(job),
  ];
}

// Training batches have a temperature and a cap of their own: only evaluations are compared.
function ofBase(held, base) {
  if (!base || held.label === "base") return "";
  return ` · ${percent(held.length_mean / base.length_mean, 0)} of the base model's`;
}

function timing(job) {
  const { step = 0, total_steps: total, eta_seconds: eta, phase } = job.progress ?? {};
  const name = hasEnded(job) ? "Steps" : "Time left";
  const most = mayEndSooner(job) ? "at most " : "";
  const of = total === undefined ? "" : `of ${most}${count(total)}`;
  if (hasEnded(job)) return { name, value: count(step), unit: "", note: of };
  if (!job.progress) {
    const waiting = duration(now() - job.created_at);
    return { name: "Waiting", value: waiting, unit: "", note: "for its driver" };
  }
  const value = eta === null || eta === undefined ? "unknown" : duration(eta);
  return { name, value, unit: "", note: `step ${count(step)} ${of} · now: ${phase ?? "starting"}` };
}

function mayEndSooner({ spec }) {
  return Boolean(spec.cycles) || spec.stages.some((s) => s.until.length > 0 || s.guard !== null);
}

function figure({ name, value, unit, note }) {
  return [
    el(
      "div",
      {},
      el("dt", {}, name),
      el("dd", {}, value, el("small", {}, ` ${unit}`)),
      el("dd", { class: "note" }, note),
    ),
  ];
}
