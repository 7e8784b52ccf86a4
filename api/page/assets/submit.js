// A new job: a preset, what shall differ from it, and what the API says of that, field by field.

import { byId, el, show } from "/assets/dom.js";
import { Refused, get, post, words } from "/assets/api.js";
import { say } from "/assets/connection.js";
import { count, duration } from "/assets/format.js";

const form = byId("new-form");
const general = byId("new-refused");
const found = byId("new-found");
let presets = [];

const chosen = () => presets.find((preset) => preset.name === byId("new-preset").value);

// -- the fields ---------------------------------------------------------------------------------

/** A field of the form: where its value goes in the overrides, and which pointers speak of it. */
const FIELDS = [
  { id: "new-name", path: ["name"], of: (spec) => spec.name },
  { id: "new-model", path: ["model", "path"], of: (spec) => spec.model.path },
  { id: "new-data", path: ["data", "path"], of: (spec) => spec.data.path },
  { id: "new-evaluation", path: ["evaluation", "path"], of: (spec) => spec.evaluation.path },
];

/** Show what the chosen preset says; fields that stay empty keep that. */
function drawPreset() {
  const preset = chosen();
  show(byId("new-preset-about"), `${preset.description}. Version ${preset.version}.`);
  for (const { id, of } of FIELDS) byId(id).placeholder = of(preset.spec);
  const stages = preset.spec.stages.map((stage, place) => {
    const id = `new-steps-${place}`;
    return el(
      "div",
      {},
      el("label", { for: id }, `Steps of ${stage.name}`),
      el("input", { id, inputmode: "numeric", autocomplete: "off", placeholder: stage.steps }),
    );
  });
  byId("new-stages").replaceChildren(...stages);
  forget();
}

async function openForm() {
  byId("new").hidden = false;
  byId("new-open").setAttribute("aria-expanded", "true");
  try {
    if (!presets.length) presets = (await get("/v1/presets")).body.data;
  } catch (error) {
    refuse([], words(error));
    return;
  }
  if (!byId("new-preset").options.length) {
    const options = presets.map(({ name }) => el("option", { value: name }, name));
    byId("new-preset").replaceChildren(...options);
    drawPreset();
  }
  byId("new-preset").focus();
}

function closeForm() {
  byId("new").hidden = true;
  byId("new-open").setAttribute("aria-expanded", "false");
  byId("new-open").focus();
}

// -- the request --------------------------------------------------------------------------------

class NotReadable extends Error {
  constructor(id, message) {
    super(message);
    this.id = id;
  }
}

/** The body that the form stands for. Throws NotReadable, which names a field. */
function body() {
  const overrides = more();
  for (const { id, path } of FIELDS) put(overrides, path, byId(id).value.trim());
  chosen().spec.stages.forEach((stage, place) => {
    const text = byId(`new-steps-${place}`).value.trim();
    if (!text) return;
    if (Array.isArray(overrides.stages))
      throw new NotReadable(`new-steps-${place}`, "further settings list the stages already");
    // What is no number goes as it is: the API says what it may be.
    put(overrides, ["stages", stage.name, "steps"], /^\d+$/.test(text) ? Number(text) : text);
  });
  return { preset: chosen().name, overrides, labels: labels() };
}

function more() {
  const text = byId("new-more").value.trim();
  if (!text) return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NotReadable("new-more", `this is not JSON: ${error.message}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw new NotReadable("new-more", 'write an object, like {"seed": 7}');
  return value;
}

function labels() {
  const pairs = byId("new-labels").value.split(",");
  const given = pairs.map((pair) => pair.trim()).filter(Boolean);
  for (const pair of given)
    if (!pair.includes("=")) throw new NotReadable("new-labels", `write key=value, not ${pair}`);
  return Object.fromEntries(
    given.map((pair) => {
      const [name, ...value] = pair.split("=");
      return [name.trim(), value.join("=").trim()];
    }),
  );
}

function put(overrides, path, value) {
  if (value === "") return;
  const [last, ...parents] = [...path].reverse();
  let place = overrides;
  for (const name of parents.reverse()) {
    const held = place[name];
    if (held === null || typeof held !== "object") place[name] = {};
    place = place[name];
  }
  place[last] = value;
}

// -- what the API says --------------------------------------------------------------------------

/** The id of the field a pointer speaks of; null where there is none for it. */
function fieldOf(pointer) {
  const path = pointer.split("/").slice(1);
  if (path[0] === "overrides") path.shift();
  const stages = chosen().spec.stages;
  const field = FIELDS.find((one) => one.path.every((name, i) => name === path[i]));
  if (field) return field.id;
  if (path[0] === "labels") return "new-labels";
  if (path[0] === "preset") return "new-preset";
  if (path[0] !== "stages" || path[2] !== "steps") return null;
  const place = stages.findIndex((stage, i) => path[1] === String(i) || path[1] === stage.name);
  return place < 0 ? null : `new-steps-${place}`;
}

/** Take back everything that was said. */
function forget() {
  general.hidden = true;
  found.hidden = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  for (const note of form.querySelectorAll(".wrong")) note.remove();
}

/** Say each objection at its field, and those that have none above the buttons. */
function refuse(errors, otherwise) {
  forget();
  const rest = [];
  for (const { pointer, detail, id = fieldOf(pointer) } of errors) {
    const field = id ? byId(id) : null;
    if (!field) {
      rest.push(`${pointer}: ${detail}`);
      continue;
    }
    const note = el("p", { class: "wrong", id: `${id}-wrong` }, detail);
    byId(note.id)?.remove();
    field.after(note);
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", note.id);
  }
  const lines = errors.length ? rest : [otherwise];
  general.hidden = lines.length === 0;
  show(general, ...lines.map((line) => el("p", {}, line)));
  form.querySelector("[aria-invalid]")?.focus();
  say(errors.length ? "Not accepted; the fields say why." : otherwise);
}

function takeRefusal(error) {
  if (error instanceof NotReadable) refuse([{ id: error.id, detail: error.message }], "");
  else if (error instanceof Refused && error.problem.errors?.length)
    refuse(error.problem.errors, words(error));
  else refuse([], words(error));
}

function drawFound({ warnings, capability }, estimate) {
  const { seconds, gpu_hours: gpu } = estimate;
  const where = capability.starts_at_once ? "It would start at once." : "It would wait its turn.";
  const takes =
    `${count(estimate.steps)} steps, about ${duration(seconds.expected)} ` +
    `(${duration(seconds.low)} to ${duration(seconds.high)})` +
    (gpu.expected ? `, ${gpu.expected.toFixed(1)} GPU hours.` : ".");
  found.hidden = false;
  show(
    found,
    el("p", {}, el("strong", {}, "In order. "), `${takes} ${where}`),
    ...warnings.map((w) => el("p", { class: "note" }, `Mind ${w.pointer}: ${w.detail}`)),
  );
  say("In order.");
}

// -- the buttons --------------------------------------------------------------------------------

let sent = { text: null, key: null };

/** The same request has the same key until it is answered: sent twice, there is one job. */
function keyOf(text) {
  if (sent.text === text) return sent.key;
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is for https alone
  const key = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  sent = { text, key };
  return key;
}

async function check() {
  const wanted = body();
  const valid = await post("/v1/jobs:validate", wanted);
  forget();
  drawFound(valid, await post("/v1/jobs:estimate", wanted));
}

async function submit() {
  const wanted = body();
  const job = await post("/v1/jobs", wanted, { once: keyOf(JSON.stringify(wanted)) });
  location.assign(`/jobs/${encodeURIComponent(job.id)}`);
}

/** Do it, and nothing else meanwhile. */
async function during(action) {
  if (form.getAttribute("aria-busy") === "true" || !chosen()) return;
  form.setAttribute("aria-busy", "true");
  try {
    await action();
  } catch (error) {
    takeRefusal(error);
  } finally {
    form.removeAttribute("aria-busy");
  }
}

byId("new-open").addEventListener("click", () => (byId("new").hidden ? openForm() : closeForm()));
byId("new-close").addEventListener("click", closeForm);
byId("new-preset").addEventListener("change", drawPreset);
byId("new-check").addEventListener("click", () => during(check));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  during(submit);
});
