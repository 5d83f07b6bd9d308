// The page is a plain client of the public API: what it can do, curl can do. It decides nothing: which buttons there are
// comes from the server. Everything is put in as text, never as markup.

const LOOK_MS = 2000, RETRY_MS = 2000, ENTRIES_MAX = 30, CALL_MS = 10000;
const PHASES = ["preflight", "deploy", "wait_healthy", "smoke", "shift", "bake", "keep_warm"];
const BACK = ["preflight", "shift"];
const QUIET = ["approve", "resume", "pause", "halt"];     // no dialog of facts: they move nothing by themselves
const BUTTONS = [...QUIET, "promote", "accept", "abort", "release", "adopt", "failback"];
const NEEDS_REASON = ["accept", "halt", "failback"];
const TYPED = ["failback", "promote", "release"];
const find = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "click") made.addEventListener("click", value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null).map((child) => child instanceof Node ? child : String(child)));
  return made;
}

// --- the door ---

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
}

async function call(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const signal = options.signal ?? AbortSignal.timeout(CALL_MS);
  const answer = await fetch(path, { ...options, headers, signal, cache: "no-store" });
  if (answer.status === 401) { find("door").hidden = false; throw new Error("a token is needed"); }
  find("door").hidden = true;
  return answer;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
  const answer = await call(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) {
    const problem = await answer.json();
    throw new Error(`${problem.detail}${problem.advice ? "; " + problem.advice : ""}`);
  }
}

// --- drawing ---

const percent = (share) => share === null || share === undefined ? "?" : `${share}%`;
const ago = (time, now) => {
  const seconds = Math.max(0, Math.round((new Date(now) - new Date(time)) / 1000));
  return seconds < 90 ? `${seconds} s ago` : seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
};

function bar(shares, names) {
  const made = element("div", { class: "bar", role: "img", "aria-label": names.map((n) => `${n} ${percent(shares[n])}`).join(", ") });
  names.forEach((name, side) => {
    const part = element("span", { class: `side${side % 3}${shares[name] ? "" : " w0"}` }, shares[name] >= 12 ? `${name} ${percent(shares[name])}` : "");
    part.style.flexGrow = shares[name] || 0;
    made.append(part);
  });
  return made;
}

function points(service, names, now) {
  return Object.entries(service.switch_points).map(([name, point]) => {
    const shown = point.shown ?? point.asked;
    const words = point.error ? `cannot be read: ${point.error}`
      : point.agrees === false ? `shows something else than was asked for`
      : point.agrees === null ? "not known" : `as asked, read ${ago(point.read_at, now)}`;
    return element("div", {}, element("p", { class: "quiet" }, `${name}: ${shown ? names.map((n) => `${n} ${percent(shown[n])}`).join(", ") : "not read yet"}; `,
      element("span", { class: point.error || point.agrees === false ? "bad" : "" }, words)), shown ? bar(shown, names) : null);
  });
}

function environments(service, names) {
  const rows = names.map((name) => {
    const one = service.environments[name];
    return element("tr", {}, element("td", {}, name), element("td", {}, one.role), element("td", {}, one.release?.version ?? "version unknown"),
      element("td", {}, percent(one.weight)), element("td", { class: one.healthy === one.targets ? "" : "bad" }, one.targets === null ? "?" : `${one.healthy} of ${one.targets}`));
  });
  const head = element("tr", {}, ...["environment", "role", "release", "weight", "healthy"].map((text) => element("th", { scope: "col" }, text)));
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

function rail(one) {
  const phases = one.kind === "failback" ? BACK : PHASES;
  const at = phases.indexOf(one.phase);
  return element("ol", { class: "rail", "aria-label": "steps" }, ...phases.map((phase, index) => {
    const text = phase === "shift" ? (index === at ? one.step : `shift ${one.steps.join(" ")}`) : phase.replace("_", " ");
    const done = at < 0 || index < at;
    return element("li", { class: index === at ? "now" : done ? "done" : "", "aria-current": index === at ? "step" : null }, text);
  }));
}

function halt(one, now) {
  if (!one.halt) {
    return one.condition === "paused" ? element("div", { class: "wait" }, one.awaiting === "approval" ? "An approval is awaited: a person's word." : "Paused: a person said so. Nothing is wrong.") : null;
  }
  const findings = one.halt.findings.map((found) => element("li", { class: found.ok ? "" : "bad" }, `${found.ok ? "ok" : "FAILED"} ${found.check}: ${found.summary}`));
  return element("div", { class: "halt" }, element("strong", {}, `HALTED ${ago(one.halt.at, now)}, in ${one.halt.phase.replace("_", " ")}: ${one.halt.summary}`),
    element("p", {}, "Traffic stays as it is until a person decides, however long that takes."),
    one.halt.advice ? element("p", {}, `What to do: ${one.halt.advice}`) : null,
    findings.length ? element("details", {}, element("summary", {}, `${findings.length} findings`), element("ul", {}, ...findings)) : null,
    one.halt.output ? element("details", { open: "" }, element("summary", {}, "what it printed"), element("pre", {}, one.halt.output)) : null,
    element("p", { class: "quiet" }, one.halt.id));
}

function options(service) {
  const open = service.switch && ["running", "paused", "halted"].includes(service.switch.condition);
  const lawful = service.options.filter((option) => option.lawful && (open || option.verb !== "pause"));
  const rows = lawful.map((option) => element("tr", {},
    element("td", {}, BUTTONS.includes(option.verb)
      ? element("button", { class: QUIET.includes(option.verb) ? null : "moving", click: () => ask(service, option) }, `${option.verb.charAt(0).toUpperCase()}${option.verb.slice(1)}…`)
      : option.verb),
    element("td", {}, option.effect), element("td", { class: "command" }, option.command)));
  if (!rows.length) return null;
  const head = element("tr", {}, ...["act", "effect on traffic", "command"].map((text) => element("th", { scope: "col" }, text)));
  return element("div", {}, element("h3", {}, "Lawful now"), element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))));
}

function card(service, now) {
  const names = Object.keys(service.environments), one = service.switch;
  const open = one && ["running", "paused", "halted"].includes(one.condition);
  const state = open ? one.condition : service.live ? "steady" : "unknown";
  const warm = service.warm;
  return element("article", { "aria-label": service.service },
    element("header", {}, element("h2", {}, service.service), element("span", { class: `state ${state}` }, state === "halted" ? "HALTED" : state)),
    service.live ? null : element("div", { class: "wait" }, `It is not known who is live: ${service.live_unknown}`),
    ...service.drift.map((drift) => element("div", { class: "halt" }, element("strong", {}, `DRIFT at ${drift.switch_point}: somebody else changed it. It was not overwritten.`))),
    ...points(service, names, now), environments(service, names),
    warm ? element("p", { class: warm.ready ? "quiet" : "bad" }, `Warm: ${warm.environment} is ${warm.ready ? "ready for a failback" : "NOT ready: " + warm.reasons.join("; ")}; protected until ${new Date(warm.protected_until).toLocaleString()}`) : null,
    one ? element("h3", {}, `${one.kind} ${one.version ?? ""} → ${one.candidate}: ${one.condition.replace("_", " ")}`) : null,
    one ? element("p", { class: "quiet" }, `${one.id}, by ${one.requested_by}${one.reason ? ": " + one.reason : ""}, ${ago(one.started_at, now)}`) : null,
    open ? rail(one) : null, one ? halt(one, now) : null, options(service));
}

let drawn = "";
function draw(document_) {
  const services = document_.services, now = document_.as_of;
  const waiting = services.filter((s) => s.switch?.halt || s.drift.length).map((s) => s.service);
  find("summary").textContent = waiting.length ? `${waiting.join(", ")} waits for a person` : `${services.length} service${services.length === 1 ? "" : "s"}, nobody is awaited`;
  document.title = waiting.length ? `■ HALTED ${waiting.join(", ")}` : "bluegreen";
  find("icon").href = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${waiting.length ? '<rect width="16" height="16" fill="#b3261e"/><rect x="5" y="5" width="6" height="6" fill="#fff"/>' : '<rect width="8" height="16" fill="#1f5fbf"/><rect x="8" width="8" height="16" fill="#1d7a46"/>'}</svg>`)}`;
  const kept = new Set([...document.querySelectorAll("details[open] > summary")].map((s) => s.textContent));
  const text = JSON.stringify(services.map((s) => ({ ...s, as_of: 0 })));
  if (text === drawn && !document.hidden && Date.now() % 4 < 3) return;
  const focus = document.activeElement?.textContent;
  find("services").replaceChildren(...services.map((service) => card(service, now)));
  for (const summary of document.querySelectorAll("details > summary")) if (kept.has(summary.textContent)) summary.parentElement.open = true;
  if (focus) [...document.querySelectorAll("main button")].find((button) => button.textContent === focus)?.focus();
  drawn = text;
}

// --- asking ---

async function ask(service, option) {
  const dialog = find("dialog"), name = service.service, verb = option.verb;
  const facts = [element("p", {}, `Effect on traffic: ${option.effect}`), element("p", { class: "command" }, option.command)];
  let plan = null;
  if (verb === "failback") {
    const answer = await call(`/v1/services/${name}/failback`);
    plan = await answer.json();
    const side = (one) => `${one.environment} ${one.version ?? "(version unknown)"} (${percent(one.weight)}, ${one.healthy} of ${one.targets} healthy)`;
    facts.unshift(element("p", {}, element("strong", {}, plan.lawful ? `${side(plan.source)} → ${side(plan.target)}` : plan.why_not)),
      plan.target ? element("p", { class: plan.target.ready ? "" : "bad" }, plan.target.ready ? "The receiving side is ready by the last proof." : `NOT ready: ${plan.target.reasons.join("; ")}`) : "");
  }
  find("dialog-title").textContent = `${verb} ${name}`;
  find("dialog-facts").replaceChildren(...facts);
  find("dialog-error").textContent = "";
  find("dialog-go").textContent = verb === "failback" && plan?.target ? `Move the traffic to ${plan.target.environment}` : verb;
  find("reason").value = ""; find("reason").required = NEEDS_REASON.includes(verb);
  const typed = TYPED.includes(verb);
  find("confirm").hidden = find("confirm-label").hidden = !typed;
  find("confirm").value = ""; find("confirm").required = typed;
  find("confirm-label").textContent = `Type the service's name: ${name}`;
  dialog.onclose = null;
  find("dialog-go").onclick = async (event) => {
    if (!dialog.querySelector("form").reportValidity()) { event.preventDefault(); return; }
    event.preventDefault();
    if (typed && find("confirm").value !== name) { find("dialog-error").textContent = `That is not the service's name.`; return; }
    const body = { reason: find("reason").value };
    if (plan) body.plan = plan.plan;
    else if (service.switch?.halt) body.halt = service.switch.halt.id;
    if (verb === "accept") body.check = option.command.split(" ")[3];
    if (option.command.includes("--environment ")) body.environment = option.command.split("--environment ")[1];
    try { await post(`/v1/services/${name}/${verb}`, body); dialog.close(); look(); }
    catch (error) { find("dialog-error").textContent = error.message; }
  };
  dialog.showModal();
}

// --- looking, and the journal as it comes ---

async function look() {
  try {
    const answer = await call("/v1/services");
    draw(await answer.json());
    find("stale").hidden = true;
  } catch (error) {
    find("stale").hidden = !find("door").hidden;
  }
}

function entry(event) {
  const list = find("entries");
  list.prepend(element("li", {}, `${event.at.slice(11, 19)} ${event.service} ${event.kind} ${event.data.summary ?? event.data.point ?? ""} ${event.by}${event.reason ? ": " + event.reason : ""}`));
  while (list.children.length > ENTRIES_MAX) list.lastChild.remove();
  find("journal").hidden = false;
}

async function follow() {
  let last = 0, rest = "";
  for (;;) {
    try {
      const answer = await call(`/v1/events?after=${last}`, { headers: { Accept: "text/event-stream" }, signal: new AbortController().signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const messages = (rest + part.value).replaceAll("\r\n", "\n").split("\n\n");
        rest = messages.pop();
        for (const message of messages) {
          const data = message.split("\n").find((line) => line.startsWith("data:"));
          if (!data) continue;
          const event = JSON.parse(data.slice(5));
          last = event.seq;
          entry(event);
        }
        if (messages.length) look();
      }
    } catch (error) { rest = ""; }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

takeToken();
find("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", find("token").value);
  look();
});
look();
setInterval(look, LOOK_MS);
follow();
