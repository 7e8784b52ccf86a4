// The REST API, spoken as any client speaks it: fetch, with the reader's key when there is one.

const KEY = "laconic.key";
const PATIENCE_MS = 20000;
const SILENCE_MS = 45000; // the server comments on a silent stream every 15 s

/** The reader's API key; the browser forgets it with the tab. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  use: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** The API refused; has what its problem document says. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

let ahead = 0; // seconds that the server's clock is ahead of this one

/** Unix seconds by the server's clock, which stamps everything shown. */
export const now = () => Date.now() / 1000 + ahead;

function setClock(response) {
  const said = Date.parse(response.headers.get("date") ?? "") / 1000;
  const offset = said + 0.5 - Date.now() / 1000;
  ahead = Number.isFinite(offset) && Math.abs(offset) > 2 ? offset : 0; // it tells whole seconds
}

/** Ask, and `read` the answer; a connection that breaks on the way is one that was not there. */
async function ask(path, read, { headers, ...options } = {}) {
  const held = key.get();
  const all = { ...headers, ...(held ? { Authorization: `Bearer ${held}` } : {}) };
  try {
    const response = await fetch(path, { cache: "no-store", ...options, headers: all });
    setClock(response);
    if (response.ok) return await read(response);
    const problem = await response.json().catch(() => ({}));
    const retry = Number(response.headers.get("retry-after")) || null;
    throw new Refused(response.status, problem, retry);
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Unreachable(String(error.message ?? error), { cause: error });
  }
}

/** GET: the body, and the entity tag where the server has one. */
export function get(path) {
  const read = async (response) => ({
    body: await response.json(),
    etag: response.headers.get("etag"),
  });
  const headers = { Accept: "application/json" };
  return ask(path, read, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** POST, and return what is answered: only if the thing is still as `etag` says, where that is
 * known, and acting once however often the same is sent with the key `once`. */
export function post(path, body, { etag, once } = {}) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  if (etag) headers["If-Match"] = etag;
  if (once) headers["Idempotency-Key"] = once;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const options = { method: "POST", headers, signal, body: JSON.stringify(body) };
  return ask(path, (response) => response.json(), options);
}

/** GET a file. */
export function file(path, accept) {
  return ask(path, (response) => response.blob(), { headers: { Accept: accept } });
}

/** Events after the id `after`, until the server ends the stream.
 *
 * EventSource cannot send a key, so the stream is read by hand. Throws Unreachable when the
 * connection breaks or stays silent for too long, and on `signal`. */
export async function* follow(path, after, signal) {
  const silence = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  heard();
  try {
    const headers = { Accept: "text/event-stream", "Last-Event-ID": String(after) };
    const either = AbortSignal.any([signal, silence.signal]);
    const response = await ask(path, async (answer) => answer, { headers, signal: either });
    if (response.status === 204) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      yield* blocks.map(parse).filter((event) => event !== null);
    }
  } catch (error) {
    if (error instanceof Refused || error instanceof Unreachable) throw error;
    throw new Unreachable(String(error.message ?? error), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** The event of a block, with its type; null for a comment. */
function parse(block) {
  const lines = block.split(/\r?\n/);
  const of = (name) =>
    lines
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trimStart());
  const data = of("data");
  return data.length ? { type: of("event")[0], ...JSON.parse(data.join("\n")) } : null;
}

/** What went wrong and what can be done, in words. */
export function words(error) {
  if (!(error instanceof Refused)) return "The control plane does not answer.";
  const { status, problem, message } = error;
  const sentence = message.charAt(0).toUpperCase() + message.slice(1).replace(/[.]?$/, ".");
  if (status === 401) return "This control plane asks for an API key.";
  if (status === 403) return `The API key in use may not do this. ${sentence}`;
  if (status === 409) return `Not possible now. ${sentence}`;
  if (status === 412)
    return (
      "The job has changed since this page looked, so nothing was done. " +
      "The page shows it as it is now: try again if you still want to."
    );
  if (status === 422 && problem.errors?.length)
    return `Not accepted. ${problem.errors.map((e) => `${e.pointer}: ${e.detail}`).join("; ")}.`;
  if (status === 429)
    return `Too many requests. Try again in ${error.retryAfter ?? "a few"} seconds.`;
  const request = problem.request_id ? ` (${problem.request_id})` : "";
  return status >= 500 ? `The control plane failed. ${sentence}${request}` : sentence;
}
