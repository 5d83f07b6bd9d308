// The door to the API: the token, calls with a deadline, and the journal as a live stream. Draws nothing.

const CALL_MS = 10_000;
const SILENT_MS = 40_000; // the daemon pings an open stream every 15 s: a longer silence is a dead connection

/** The daemon wants a token, or another one. */
export class Closed extends Error {}

/** The daemon refused: `status` is HTTP's, the message says what is wrong and what to do. */
export class Problem extends Error {
  constructor(document) {
    super(document.advice ? `${document.detail}. ${document.advice}` : document.detail);
    this.status = document.status;
  }
}

/** Take the token out of the address, so that it is in no history and on no screen. Says whether there was one. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  setToken(given);
  history.replaceState(null, "", location.pathname);
  return true;
}

export function setToken(token) {
  sessionStorage.setItem("token", token.trim());
}

/** A JSON document. Throws Closed, Problem, or what fetch throws. */
export async function get(path) {
  return (await ask(path)).json();
}

/** Ask for an act. The same key again does nothing twice. Throws as `get` does. */
export async function post(path, body, key) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** Each entry of the journal after `after`, as it comes; ends when the daemon ends it, throws when it breaks. */
export async function* entries(after, opened) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENT_MS);
  try {
    const headers = { Accept: "text/event-stream", "Last-Event-ID": String(after) };
    const answer = await ask("/v1/events", { headers, signal: silence.signal });
    opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENT_MS);
      const messages = (rest + part.value).split(/\r\n\r\n|\n\n/);
      rest = messages.pop();
      for (const message of messages) {
        const data = message.split(/\r\n|\n/).filter((line) => line.startsWith("data:"));
        if (data.length) yield JSON.parse(data.map((line) => line.slice(5)).join("\n"));
      }
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const signal = options.signal ?? AbortSignal.timeout(CALL_MS);
  const answer = await fetch(path, { ...options, headers, signal, cache: "no-store" });
  if (answer.status === 401) throw new Closed(token ? "This token is not known." : "");
  if (!answer.ok) throw new Problem(await answer.json());
  return answer;
}
