// One job, live: its record and steps by asking, its events by stream.

import { byId, rest } from "/assets/dom.js";
import { Refused, follow, get, now } from "/assets/api.js";
import { keepLooking, say, wake } from "/assets/connection.js";
import { Actions } from "/assets/actions.js";
import { Course } from "/assets/course.js";
import { drawFigures } from "/assets/figures.js";
import { drawHead, hasEnded } from "/assets/head.js";
import { Log } from "/assets/log.js";
import { Results } from "/assets/results.js";
import { onSave } from "/assets/save.js";
import { drawSide } from "/assets/side.js";

const RUNNING_SECONDS = 2;
const ENDED_SECONDS = 5; // somebody may resume it
const PAGE = 1000;
const LEAVES_FILES = ["checkpoint", "stage", "evaluation"];
const SPOKEN = ["state", "stage", "rollback", "rollback_skipped", "evaluation", "failed"];

const path = `/v1/jobs/${encodeURIComponent(byId("job-id").dataset.job)}`;
const course = new Course();
const ends = []; // data of the events of type stage
const log = new Log();
const actions = new Actions(path);
const results = new Results(path);
const showFigures = drawFigures();
const opened = now();
let job = null;
let lastEvent = 0;
let left = 0; // the last event that tells of files
let stale = false; // a resumed job has dropped steps that are shown
let due = false;

// -- drawing ------------------------------------------------------------------------------------

/** Draw once before the next frame, however much has come in. */
function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    drawWords();
    showFigures(
      course,
      job.spec.stages.map((stage) => stage.name),
    );
  });
}

function drawWords() {
  byId("job").hidden = false;
  byId("no-steps").hidden = course.last > 0;
  drawHead(job, course, ends);
  drawSide(job, course);
}

// -- the record and the steps -------------------------------------------------------------------

async function look() {
  const found = await get(path);
  if (job && job.state !== found.body.state) wakeStream();
  job = found.body;
  actions.show(job, found.etag);
  draw();
  await lookAtSteps();
  await results.look(`${job.revision} ${left}`);
}

/** Fetch the steps not known yet; and, after a resume, those that were run again. */
async function lookAtSteps() {
  let after = stale ? 0 : course.last;
  stale = false;
  for (let more = true; more;) {
    const { body } = await get(`${path}/metrics?after_step=${after}&limit=${PAGE}`);
    course.take(after, body.data);
    draw();
    after = body.next_after_step;
    more = body.has_more;
  }
}

// -- events -------------------------------------------------------------------------------------

let wakeStream = () => {};

async function keepFollowing() {
  for (let failures = 0; ;) {
    const stop = new AbortController();
    // A browser has few connections to one host: a page nobody sees gives its own back.
    const hide = () => document.hidden && stop.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      for await (const event of follow(`${path}/events`, lastEvent, stop.signal)) {
        failures = 0;
        if (event.type === "gap") await catchUp(event);
        else take(event);
      }
      // Ended by the server: the job has ended, or the server is about to.
      failures = 0;
      wake.ring();
      await waitForStream(hasEnded(job) ? Infinity : RUNNING_SECONDS);
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return;
      failures += 1;
      await waitForStream(stop.signal.aborted ? 0 : Math.min(2 ** failures, ENDED_SECONDS));
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    while (document.hidden) await waitForStream(1);
  }
}

/** The stream left events out for a reader that fell behind: have them in pages. */
async function catchUp({ to }) {
  while (lastEvent < to) {
    const { body } = await get(`${path}/events?after=${lastEvent}&limit=${PAGE}`);
    body.data.filter((event) => event.id <= to).forEach(take);
    lastEvent = body.data.length ? Math.min(body.next_after, to) : to;
  }
}

/** Wait, at most until the job's state changes. */
function waitForStream(seconds) {
  const changed = new Promise((resolve) => (wakeStream = resolve));
  return Number.isFinite(seconds) ? Promise.race([changed, rest(seconds)]) : changed;
}

function take(event) {
  lastEvent = event.id;
  log.add(event);
  if (event.type === "stage") ends.push(event.data);
  if (LEAVES_FILES.includes(event.type)) left = event.id;
  if (event.type === "evaluation") course.evaluate(event.data);
  if (event.type === "rewound") course.rewind(event.data.step);
  // By then the driver has dropped the steps beyond the checkpoint it resumes from.
  if (event.type === "state" && event.data.to === "running" && event.attempt > 1) stale = true;
  if (SPOKEN.includes(event.type) && event.time > opened) say(event.message);
  if (event.time > opened) wake.ring();
  draw();
}

// -- living -------------------------------------------------------------------------------------

for (const place of ["end", "results"]) onSave(byId(place), (text) => actions.refuse(text));
setInterval(() => job && !document.hidden && drawWords(), 1000); // "heard from 3 s ago"

async function live() {
  let following = false;
  const lookAndFollow = async () => {
    await look();
    if (!following) keepFollowing();
    following = true;
  };
  try {
    await keepLooking(lookAndFollow, () => (hasEnded(job) ? ENDED_SECONDS : RUNNING_SECONDS));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    byId("absent").hidden = false;
    byId("job").hidden = true;
    document.title = "No such job · Laconic";
    say("No such job.");
  }
}

live();
