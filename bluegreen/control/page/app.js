// The page: a plain client of the public API. It looks every two seconds and at each entry of the journal; it says so
// when what it shows may be old. What it can do, curl can do.

import { Closed, entries, get, setToken, takeToken } from "./door.js";
import { ask } from "./dialog.js";
import { debts, freezes } from "./report.js";
import { badge, card, element, entry, freshen, setClock, stateOf, tick, waits } from "./view.js";

const LOOK_MS = 2000, OLD_MS = 7000, ENTRIES_MAX = 30, RETRY_MS = 1000, RETRY_MS_MAX = 15_000;
const TIMES = new Set(["as_of", "read_at", "proven_at", "proofs", "alive_at", "alive"]); // they change with each look
const find = (id) => document.getElementById(id);
const shown = new Map(); // service -> { text, node }
const health = { looked: null, failure: "", stream: "connecting", last: null, since: null };
let looking = null, again = false, wake = () => {};

// --- looking ---

/** One look at a time; who asks meanwhile gets one more after it. */
async function look() {
  again = true;
  if (looking) return looking;
  looking = (async () => {
    while (again) {
      again = false;
      await lookOnce();
    }
  })();
  await looking;
  looking = null;
}

async function lookOnce() {
  try {
    const found = await get("/v1/services");
    setClock(found.as_of);
    health.looked = Date.now();
    health.failure = "";
    close();
    draw(found);
  } catch (error) {
    if (error instanceof Closed) open(error.message);
    health.failure = error.message || "no answer";
  }
  tell();
}

async function follow() {
  while (health.last === null) await rest(LOOK_MS); // the first look tells where the journal's end is
  for (let wait = RETRY_MS; ; wait = Math.min(wait * 2, RETRY_MS_MAX)) {
    try {
      for await (const event of entries(health.last, () => { health.stream = "live"; wait = RETRY_MS; tell(); })) {
        health.last = event.seq;
        note(event);
        look();
      }
    } catch { /* said below: the page shows that the stream is broken until it is back */ }
    health.stream = "broken";
    tell();
    await rest(wait);
  }
}

const rest = (milliseconds) => new Promise((resolve) => { wake = resolve; setTimeout(resolve, milliseconds); });

// --- showing ---

function draw(found) {
  const rank = (service) => (stops(service) ? 0 : waits(service) ? 1 : 2); // who is awaited most stands first
  const services = [...found.services].sort((a, b) => rank(a) - rank(b) || a.service.localeCompare(b.service));
  for (const service of services) put(service);
  for (const [name, { node }] of shown) {
    if (services.some((service) => service.service === name)) continue;
    node.remove();
    shown.delete(name);
  }
  const wanted = services.map((service) => shown.get(service.service).node);
  if (wanted.some((node, index) => find("services").children[index] !== node)) find("services").replaceChildren(...wanted);
  find("index").hidden = services.length < 2;
  find("index").replaceChildren(...services.map((service) => element("a", { href: `#service-${service.service}` }, `${service.service} `, badge(service))));
  find("about").textContent = `bluegreen ${found.daemon.version}, process ${found.daemon.pid} as ${found.daemon.user}`;
  if (health.last === null) {
    health.last = Math.max(0, services.reduce((sum, service) => sum + service.revision, 0) - ENTRIES_MAX);
    wake();
  }
  summarise(services);
}

/** A card is made anew only when more than the times of reading has changed: what is selected or open stays so. */
function put(service) {
  const text = JSON.stringify(service, (key, value) => (TIMES.has(key) ? undefined : value));
  const old = shown.get(service.service);
  if (old?.text === text) {
    freshen(old.node, service);
    return;
  }
  const node = card(service, (which, option) => ask(which, option, look));
  node.querySelector("header").after(freezes(service) ?? "", debts(service) ?? "");
  if (old) {
    const focus = old.node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    for (const details of node.querySelectorAll("details[data-key]")) {
      const before = old.node.querySelector(`details[data-key="${CSS.escape(details.dataset.key)}"]`);
      if (before) details.open = before.open;
    }
    old.node.replaceWith(node);
    if (focus) node.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  }
  shown.set(service.service, { text, node });
}

const stops = (service) => ["halted", "drift"].includes(stateOf(service));

let waiting = [], stopped = [];
function summarise(services) {
  waiting = services.filter(waits).map((service) => service.service);
  stopped = services.filter(stops).map((service) => service.service);
  const all = services.length === 1 ? "1 service" : `${services.length} services`;
  say("summary", waiting.length ? `${waiting.join(", ")} ${waiting.length > 1 ? "wait" : "waits"} for a person` : `${all}, nobody is awaited`);
}

/** What the page knows of itself: live or old. The title and the icon say a halt, and that what they say may be old. */
function tell() {
  const old = Boolean(health.failure) || health.stream === "broken" || health.looked !== null && Date.now() - health.looked > OLD_MS;
  const told = find("door").hidden === false ? "" : health.failure ? "The daemon does not answer" : health.stream === "broken" ? "The live stream is broken" : "The daemon has not answered for a while";
  health.since = old ? health.since ?? Date.now() : null;
  const seconds = old ? Math.round((Date.now() - health.since) / 1000) : 0;
  find("stale").hidden = !old || !told;
  say("stale", `${told}: what you see may be old. Traffic is where the balancers have it.`);
  say("link", old ? `○ not live for ${seconds} s` : health.stream === "live" ? `● live, entry ${health.last}` : "○ connecting");
  document.body.classList.toggle("old", old && shown.size > 0);
  document.title = `${stopped.length ? `■ HALTED ${stopped.join(", ")}` : waiting.length ? `! ${waiting.join(", ")} waits` : "bluegreen"}${old ? " (old)" : ""}`;
  const picture = stopped.length ? '<rect width="16" height="16" rx="3" fill="#b3261e"/><rect x="5" y="5" width="6" height="6" fill="#fff"/>'
    : '<rect width="8" height="16" fill="#1f5fbf"/><rect x="8" width="8" height="16" fill="#1d7a46"/>';
  const icon = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"${old ? ' opacity=".45"' : ""}>${picture}</svg>`)}`;
  if (find("icon").href !== icon) find("icon").href = icon;
}

/** Only what has changed is said: a reader of screens is not told the same every second. */
function say(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

function note(event) {
  find("entries").prepend(entry(event, shown.size > 1));
  while (find("entries").children.length > ENTRIES_MAX) find("entries").lastChild.remove();
  find("journal").hidden = false;
}

// --- the door ---

function open(why) {
  say("door-error", why);
  if (!find("door").hidden) return;
  find("door").hidden = false;
  find("token").focus();
}

function close() {
  find("door").hidden = true;
}

function comeIn() {
  health.stream = "connecting";
  look();
  wake();
}

find("door").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(find("token").value);
  find("token").value = "";
  comeIn();
});
addEventListener("hashchange", () => { if (takeToken()) comeIn(); });
takeToken();
look();
follow();
setInterval(look, LOOK_MS);
setInterval(() => { tick(document.body); tell(); }, 1000);
