// The list of jobs, the newest first.

import { byId, el, show } from "/assets/dom.js";
import { get } from "/assets/api.js";
import { keepLooking, say, wake } from "/assets/connection.js";
import { count, duration, moment } from "/assets/format.js";

const PAGE = 50;
const SECONDS = 3;

const rows = new Map(); // by job id
let pages = 1;

async function look() {
  const jobs = [];
  let cursor = null;
  for (let i = 0; i < pages; i += 1) {
    const after = cursor === null ? "" : `&after=${encodeURIComponent(cursor)}`;
    const { body } = await get(`/v1/jobs?limit=${PAGE}${after}`);
    jobs.push(...body.data);
    cursor = body.next_cursor;
    if (cursor === null) break;
  }
  draw(jobs, cursor !== null);
}

function draw(jobs, more) {
  byId("jobs").hidden = jobs.length === 0;
  byId("empty").hidden = jobs.length > 0;
  byId("older").hidden = !more;
  const body = byId("rows");
  jobs.forEach((job, place) => {
    const row = rowOf(job);
    if (body.children[place] !== row) body.insertBefore(row, body.children[place] ?? null);
  });
  const ids = new Set(jobs.map((job) => job.id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
}

function rowOf(job) {
  const known = rows.get(job.id);
  const row = known ?? el("tr");
  rows.set(job.id, row);
  if (known && known.dataset.state !== job.state) say(`Job ${job.name} is ${job.state}.`);
  row.dataset.state = job.state;
  show(row, ...cells(job));
  return row;
}

function cells(job) {
  const ended = job.finished_at !== null;
  const { stage, step, total_steps: total, eta_seconds: eta } = job.progress ?? {};
  const cell = (name, ...content) => el("td", { "data-name": name }, ...content);
  const took =
    ended && job.started_at !== null ? `took ${duration(job.finished_at - job.started_at)}` : "";
  return [
    el(
      "th",
      { scope: "row" },
      el("a", { href: `/jobs/${encodeURIComponent(job.id)}` }, job.name),
      el("small", {}, job.id),
    ),
    cell(
      "State",
      el("span", { class: "state", "data-state": job.state }, job.state),
      job.cause ? el("small", { title: job.cause }, job.cause) : null,
    ),
    cell("Stage", stage ?? "–"),
    cell("Progress", ...progress(step, total, job)),
    cell("Time left", ended ? took : Number.isFinite(eta) ? duration(eta) : "–"),
    cell("Created", moment(job.created_at)),
  ];
}

function progress(step, total, job) {
  if (total === undefined) return ["–"];
  const text = `${count(step)} of ${count(total)}`;
  const full = job.state === "succeeded"; // a stage may end before its steps are used up
  return [
    el("progress", { max: total, value: full ? total : step, "aria-label": text }),
    el("small", {}, text),
  ];
}

for (const place of document.querySelectorAll(".origin")) place.textContent = location.origin;
byId("older").addEventListener("click", () => {
  pages += 1;
  wake.ring();
});
keepLooking(look, () => SECONDS);
