// Beside the curves: workers, replay queue, evaluations; below them, the steps as a table.

import { byId, el, show } from "/assets/dom.js";
import { now } from "/assets/api.js";
import { count, duration, fixed, percent, seconds } from "/assets/format.js";
import { evaluated } from "/assets/course.js";
import { hasEnded } from "/assets/head.js";

const SILENT_SECONDS = 15; // a driver says something every two
const TABLE_STEPS = 25;

/** Draw everything beside and below the curves. */
export function drawSide(job, course) {
  show(byId("workers"), ...workers(job, course));
  show(byId("replay"), ...replay(job, course));
  show(byId("held"), evaluations(course));
  show(byId("steps"), ...stepsTable(course));
}

// -- workers ------------------------------------------------------------------------------------

const BUSY = {
  generate: ["generators"],
  evaluate: ["generators", "verifiers"],
  verify: ["verifiers"],
  train: ["learners"],
  sync: ["learners", "generators"],
  checkpoint: ["learners"],
};

function workers(job, course) {
  const { generator, verifier, learner } = job.spec;
  const on = (role) => (role.gpus ? "GPU" : "CPU");
  const roles = [
    ["generators", generator.workers, `vLLM on ${on(generator)}`],
    ["verifiers", verifier.workers, "processes"],
    ["learners", learner.workers, `DeepSpeed on ${on(learner)}, ZeRO ${learner.zero_stage}`],
  ];
  const rows = roles.map(([name, number, what]) => {
    const doing = activity(job, name);
    return el(
      "tr",
      { "data-busy": doing === "busy" },
      el("th", { scope: "row" }, name, el("small", {}, ` ${number} · ${what}`)),
      el("td", {}, doing),
    );
  });
  const driver = el(
    "tr",
    { "data-late": isSilent(job) },
    el("th", { scope: "row" }, "driver", el("small", {}, ` attempt ${job.attempt}`)),
    el("td", {}, driverWords(job)),
  );
  return [el("table", { class: "facts" }, el("tbody", {}, driver, ...rows)), ...stepTime(course)];
}

function activity(job, role) {
  if (hasEnded(job)) return "ended";
  if (!job.progress) return "not started";
  if (job.progress.phase === "starting") return "starting";
  return (BUSY[job.progress.phase] ?? []).includes(role) ? "busy" : "waits";
}

const isSilent = (job) =>
  !hasEnded(job) && job.heartbeat_at !== null && now() - job.heartbeat_at > SILENT_SECONDS;

function driverWords(job) {
  if (hasEnded(job)) return "ended";
  if (job.heartbeat_at === null) return job.ray_submission_id ? "submitted" : "in the queue";
  const ago = duration(now() - job.heartbeat_at);
  return isSilent(job) ? `silent for ${ago}` : `heard from ${ago} ago`;
}

function stepTime(course) {
  const times = course.newest?.seconds;
  if (!times) return [];
  const parts = Object.entries(times).filter(([name]) => name !== "total");
  const text = parts.map(([name, time]) => `${name} ${seconds(time)}`).join(" · ");
  const speed = course.newest.tokens_per_second;
  return [
    el("p", { class: "note" }, `Step ${course.newest.step} took ${seconds(times.total)}: ${text}.`),
    el(
      "p",
      { class: "note" },
      `${count(speed)} generated tokens/s · policy version ${course.newest.policy_version}`,
    ),
  ];
}

// -- replay queue -------------------------------------------------------------------------------

const WAY = ["pending", "generating", "verifying", "ready", "leased"];

function replay(job, course) {
  const gauges = job.progress?.replay;
  const parts = [];
  if (gauges && !hasEnded(job)) {
    const cells = WAY.map((state) =>
      el("li", { "data-some": gauges[state] > 0 }, el("b", {}, count(gauges[state])), ` ${state}`),
    );
    parts.push(el("ol", { class: "way", "aria-label": "Prompt groups by state" }, ...cells));
    parts.push(
      el(
        "p",
        { class: "note" },
        `Prompt groups now. Ended so far: ${count(gauges.trained)} trained, ${count(gauges.excluded)} excluded.`,
      ),
    );
  }
  const samples = course.newest?.samples;
  if (samples) parts.push(accounting(samples));
  return parts.length ? parts : [el("p", { class: "note" }, "Nothing yet.")];
}

/** generated = trained + excluded + in flight, as a table whose rows add up. */
function accounting({ generated, trained, excluded, in_flight: flying }) {
  const row = (name, value, kind) =>
    el(
      "tr",
      { class: kind },
      el("th", { scope: "row" }, name),
      el("td", {}, count(value)),
      el("td", {}, percent(value / generated, 1)),
    );
  const reasons = Object.entries(excluded).map(([why, n]) =>
    row(`excluded: ${why.replaceAll("_", " ")}`, n),
  );
  return el(
    "table",
    { class: "facts" },
    el("caption", {}, "Samples so far"),
    el(
      "tbody",
      {},
      row("trained", trained),
      ...reasons,
      row("in flight", flying),
      row("generated", generated, "sum"),
    ),
  );
}

// -- evaluations and steps ----------------------------------------------------------------------

function evaluations(course) {
  const found = course.evaluations;
  if (!found.length) return el("p", { class: "note" }, "None yet.");
  const head = ["step", "of the policy", "accuracy", "95 % interval", "length"];
  const rows = found.map((e) => [
    e.step,
    evaluated(e),
    percent(e.accuracy),
    e.accuracy_ci95 ? e.accuracy_ci95.map((end) => fixed(100 * end, 1)).join(" – ") : "–",
    fixed(e.length_mean, 1),
  ]);
  return el("table", { class: "facts" }, ...table(head, rows));
}

function stepsTable(course) {
  const head = ["step", "stage", "entropy", "length", "median", "accuracy", "cut off"];
  const rows = course.steps
    .slice(-TABLE_STEPS)
    .reverse()
    .map((r) => [
      r.step,
      r.stage,
      fixed(r.entropy, 3),
      fixed(r.response_length_mean, 1),
      fixed(r.response_length_median, 1),
      percent(r.accuracy),
      percent(r.truncated_ratio),
    ]);
  return table(head, rows);
}

function table(head, rows) {
  const cells = (kind, row) => row.map((cell, i) => kind(String(cell), i));
  const body = rows.map((row) =>
    el("tr", {}, ...cells((text, i) => el(i ? "td" : "th", i ? {} : { scope: "row" }, text), row)),
  );
  const top = el("tr", {}, ...cells((text) => el("th", { scope: "col" }, text), head));
  return [el("thead", {}, top), el("tbody", {}, ...body)];
}
