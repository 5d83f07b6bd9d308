// From the API's documents to what stands on the screen. Everything is put in as text, never as markup.
// It decides nothing: which acts are offered, and what each does, comes from the server.

const PHASES = ["preflight", "deploy", "wait_healthy", "smoke", "shift", "bake", "keep_warm"];
const OPEN = ["running", "paused", "halted"];
const GLYPHS = { halted: "■", drift: "■", unknown: "?", paused: "❚❚", running: "▶", steady: "●" };

/** What an act is to the reader. One that is not listed is shown with its command and without a button. `ends`: it may end
    a halt, and takes what that came from; `route`: where it is asked for, unless that is its verb. */
export const ACTS = {
  hold: { label: "Hold and claim", quiet: true, route: "claim" },
  approve: { label: "Approve", quiet: true },
  resume: { label: "Resume", quiet: true, ends: true },
  pause: { label: "Pause", quiet: true },
  halt: { label: "Halt", quiet: true, reason: true },
  accept: { label: "Accept", reason: true, ends: true },
  promote: { label: "Promote", reason: true, ends: true },
  abort: { label: "Abort", reason: true, ends: true },
  restore: { label: "Restore", reason: true },
  adopt: { label: "Adopt", reason: true },
  leave: { label: "Leave drift", reason: true },
  release: { label: "Release", reason: true, typed: true },
  failback: { label: "Fail back", reason: true, typed: true, ends: true },
};

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "click") made.addEventListener("click", value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export const percent = (share) => (share === null || share === undefined ? "?" : `${share}%`);
export const plain = (word) => String(word).replaceAll("_", " ");
export const isOpen = (service) => Boolean(service.switch && OPEN.includes(service.switch.condition));

/** The drifts that nobody has left as they are. */
export const alarming = (service) => service.drift.filter((drift) => !drift.left);

/** halted | drift | unknown | paused | running | steady: the one word for a service. */
export function stateOf(service) {
  if (isOpen(service) && service.switch.condition === "halted") return "halted";
  if (alarming(service).length) return "drift";
  if (!isOpen(service) && service.live_unknown) return "unknown";
  return isOpen(service) ? service.switch.condition : "steady";
}

/** Whether a person is asked for something that does not come by itself. */
export const waits = (service) => ["halted", "drift", "unknown"].includes(stateOf(service)) || isOpen(service) && service.switch.awaiting === "approval";

export function badge(service) {
  const state = stateOf(service);
  const word = state === "halted" || state === "drift" ? state.toUpperCase() : state;
  return element("span", { class: `state ${state}` }, element("span", { "aria-hidden": "true" }, `${GLYPHS[state]} `), word);
}

// --- time ---

let ahead = 0; // milliseconds that the daemon's clock is ahead of this one

export function setClock(asOf) {
  ahead = new Date(asOf) - Date.now();
}

/** An age that goes on growing: see `tick`. `key` names a time that is read anew without the rest having changed. */
function age(at, key = null) {
  const made = element("time", { datetime: at, title: at, "data-key": key });
  made.textContent = words(at);
  return made;
}

export function tick(within) {
  for (const one of within.querySelectorAll("time[datetime]")) one.textContent = words(one.getAttribute("datetime"));
}

/** `2026-11-23 09:00:00`, by the reader's own clock. */
export function local(at) {
  const time = new Date(at), two = (number) => String(number).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** The times of reading change with every look: they alone are put right where nothing else has changed. */
export function freshen(card, service) {
  const times = Object.entries(service.switch_points).map(([name, point]) => [`read ${name}`, point.read_at]);
  for (const [key, at] of [...times, ["proven", service.warm?.proven_at], ["alive", service.switch?.alive_at]]) {
    const found = card.querySelector(`time[data-key="${CSS.escape(key)}"]`);
    if (found && at) found.setAttribute("datetime", at);
  }
  card.querySelector('[data-key="proofs"]')?.replaceChildren(...proofs(service.warm));
  const alive = card.querySelector('[data-key="alive what"]');
  if (alive) alive.textContent = service.switch?.alive ?? "";
}

function words(at) {
  const seconds = Math.max(0, Math.round((Date.now() + ahead - new Date(at)) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} days ago`;
}

// --- a service ---

export function card(service, ask) {
  const names = Object.keys(service.environments);
  return element("article", { id: `service-${service.service}`, class: `service ${stateOf(service)}`, "aria-labelledby": `name-${service.service}` },
    element("header", {}, element("h2", { id: `name-${service.service}` }, service.service), badge(service), element("p", {}, sentence(service))),
    haltPanel(service), service.drift.map((drift) => driftPanel(drift, names)), restoring(service), unsettled(service),
    section("Traffic", Object.entries(service.switch_points).map(([name, point]) => switchPoint(name, point, names))),
    acts(service, ask), section("Environments", element("div", { class: "environments" }, names.map((name, side) => environment(name, side, service)))),
    progress(service), refused(service));
}

function section(title, ...children) {
  return element("section", {}, element("h3", {}, title), ...children);
}

function sentence(service) {
  const one = service.switch, ended = one && !isOpen(service);
  const what = one && (one.kind === "failback" ? `Failback to ${one.candidate}` : `Deployment of ${one.version} to ${one.candidate}`);
  const step = one && plain(one.step);
  switch (stateOf(service)) {
    case "halted": return `${what} is halted. Traffic stays as it is until a person decides, however long that takes.`;
    case "drift": return "Somebody else changed the balancer. It was not overwritten; a person decides.";
    case "unknown": return `It is not known which environment is live: ${service.live_unknown}.`;
    case "paused": return one.awaiting === "approval" ? `${what} waits for an approval: ${step}.` : `${what} is paused, because somebody asked for it: ${step}. Nothing is wrong.`;
    case "running": return `${what} is under way: ${step}.`;
    default: return [`${service.live} has the traffic. `, ended ? [`${what}: ${plain(one.condition)} `, age(one.ended_at), "."] : "No switch has been made."].flat();
  }
}

// --- what is wrong ---

function haltPanel(service) {
  const halt = isOpen(service) && service.switch.halt;
  if (!halt) return null;
  const failed = halt.findings.filter((found) => !found.ok), passed = halt.findings.length - failed.length;
  return element("section", { class: "panel", "aria-label": "halt" },
    element("h3", {}, `HALTED in ${plain(halt.phase)} `, age(halt.at)),
    element("p", { class: "what" }, halt.summary),
    halt.advice ? element("p", {}, element("strong", {}, "What to do: "), halt.advice) : null,
    element("ul", { class: "findings" }, failed.map((found) => finding(found, halt))),
    inHand(service.switch),
    kept(service.switch),
    seenBefore(halt),
    passed ? element("details", { "data-key": `passed ${halt.id}` }, element("summary", {}, passed === 1 ? "1 other finding was good" : `${passed} other findings were good`), element("ul", { class: "findings" }, halt.findings.filter((found) => found.ok).map((found) => finding(found, halt)))) : null,
    halt.output ? element("details", { open: "", "data-key": `output ${halt.id}` }, element("summary", {}, "What it printed"), element("pre", { tabindex: "0" }, halt.output)) : null,
    element("p", { class: "quiet" }, `${halt.id}, ${plain(halt.cause)}, by ${halt.by}`));
}

/** Who says of the halt: I have it; and where telling people has failed. */
function inHand(one) {
  const failed = Object.entries(one.told?.failed ?? {}).map(([who, why]) => element("span", { class: "bad" }, ` ${who} could not be told: ${why}.`));
  const held = one.claim
    ? [element("strong", {}, one.claim.by), " has it, ", age(one.claim.at), "."]
    : [element("strong", { class: "bad" }, "Nobody has it yet: "), element("code", {}, `bluegreen claim ${one.service}`)];
  return element("p", { class: "claim" }, ...held, ...failed);
}

/** The evidence: what the failed checks say of the live side, and where the rest is. */
function kept(one) {
  const evidence = one.evidence;
  if (!evidence) return null;
  if (evidence.state === "gathering") return element("p", {}, "The evidence is being kept; the ways on are offered in seconds.");
  if (evidence.state === "lost") return element("p", { class: "bad" }, `The evidence is lost: ${evidence.error}`);
  const missing = Object.keys(evidence.missing).length;
  return element("p", { class: "evidence" }, ...evidence.conclusions.map((said) => [element("strong", {}, said), ". "]).flat(),
    `Evidence: ${evidence.parts.length} parts${missing ? `, ${missing} sources gave nothing` : ""}, sha256 ${evidence.digest.slice(0, 12)}; `,
    element("code", {}, `bluegreen evidence ${one.service} --output FILE`));
}

/** What is known of halts like this one. */
function seenBefore(halt) {
  const known = halt.lessons;
  if (!known?.times) return null;
  return element("p", { class: "lessons" }, element("strong", {}, "Seen before: "), `${known.fingerprint}: ${known.text}.`,
    known.despite ? element("span", { class: "bad" }, ` Again: ${known.despite}.`) : null);
}

function finding(found, halt) {
  const { output, ...rest } = found.detail;
  const facts = Object.entries(rest).map(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]);
  const told = halt.summary === `${found.check}: ${found.summary}` ? found.check : `${found.check}: ${found.summary}`;
  return element("li", {}, element("strong", { class: found.ok ? "" : "bad" }, found.ok ? (found.detail?.unproven ? "? " : "ok ") : "FAILED "), told,
    found.advice && found.advice !== halt.advice ? ` (${found.advice})` : "",
    output ? element("pre", { tabindex: "0", "aria-label": `output of ${found.check}` }, output) : null,
    facts.length ? element("details", { "data-key": `facts ${halt.id} ${found.check}` }, element("summary", { class: "quiet" }, "facts"), element("dl", {}, facts)) : null);
}

function driftPanel(drift, names) {
  const shows = drift.what || `The balancer shows ${split(drift.shown, names)}`;
  return element("section", { class: drift.left ? "panel left" : "panel", "aria-label": "drift" }, element("h3", {}, `${drift.left ? "Left as it is" : "DRIFT"} at ${drift.switch_point} `, age(drift.since)),
    drift.left ? element("p", {}, `Left as it is by ${drift.left.by}: ${drift.left.reason} `, age(drift.left.at)) : null,
    element("p", {}, `The journal says ${split(drift.expected, names)}. ${shows}.`, drift.last_good ? [" It was last as it should be ", age(drift.last_good), "."] : null),
    drift.hands.map((hand) => element("p", {}, hand.who ? `Changed by ${hand.who}: ${hand.what} ` : `Who changed it is not known: ${hand.what}`, hand.at ? age(hand.at) : null)),
    drift.refused ? element("p", { class: "bad" }, `It was not restored: ${drift.refused}`) : null);
}

function restoring(service) {
  const order = service.restore;
  if (!order?.pending.length) return null;
  return element("p", { class: "panel" }, element("strong", {}, "Being restored: "), `${order.pending.join(", ")}, as ${order.by} ordered: ${order.reason}.`);
}

function unsettled(service) {
  if (!service.unknown.length) return null;
  return element("p", { class: "panel" }, element("strong", {}, "Outcome unknown: "), `what became of a write to ${service.unknown.join(", ")} is being looked up. Do not take it for done or for not done.`);
}

// --- where the traffic is ---

const split = (shares, names) => (shares ? names.map((name) => `${name} ${percent(shares[name])}`).join(", ") : "not known");

function switchPoint(name, point, names) {
  const [told, bad] = point.error ? [`cannot be read: ${point.error}`, true]
    : point.agrees === false ? ["not what was asked for", true]
    : point.agrees === null ? ["it is not known whether this is what was asked for", true] : ["as asked", false];
  return element("div", { class: "point" },
    element("p", { class: "point-name" }, element("strong", {}, name), element("span", { class: "quiet" }, ` ${point.kind}, `),
      element("span", { class: bad ? "bad" : "quiet" }, told), point.read_at ? element("span", { class: "quiet" }, ", read ", age(point.read_at, `read ${name}`)) : null),
    element("dl", {}, element("dt", {}, "asked"), element("dd", {}, bar(point.asked, names, "thin"), split(point.asked, names)),
      element("dt", {}, "shown"), element("dd", {}, bar(point.shown, names, ""), split(point.shown, names))));
}

const colour = (name, side) => (["blue", "green"].includes(name) ? name : `other${side % 3}`);

function bar(shares, names, kind) {
  const made = element("div", { class: `bar ${kind}`, "aria-hidden": "true" });
  names.forEach((name, side) => {
    const share = shares?.[name] ?? 0;
    const part = element("span", { class: `${colour(name, side)} hatch${side % 3}` }, share >= 20 && !kind ? element("b", {}, `${name} ${percent(share)}`) : "");
    part.style.flexGrow = share;
    if (share) made.append(part);
  });
  return made;
}

function environment(name, side, service) {
  const one = service.environments[name], warm = service.warm?.environment === name ? service.warm : null;
  const ill = one.target_list.filter((target) => target.state !== "healthy");
  const inFlight = one.target_list.reduce((sum, target) => sum + (target.in_flight ?? 0), 0);
  return element("section", { class: "environment", "aria-label": name },
    element("h4", {}, element("span", { class: `swatch ${colour(name, side)} hatch${side % 3}`, "aria-hidden": "true" }), `${name} `, element("span", { class: "role" }, one.role)),
    element("p", { class: "weight" }, percent(one.weight)),
    element("p", {}, one.release?.version ?? "version unknown", one.release?.version && one.release.since ? [element("span", { class: "quiet" }, " since ", age(one.release.since))] : null),
    element("p", { class: one.targets !== null && one.healthy === one.targets ? "" : "bad" }, one.targets === null ? "health not known" : `${one.healthy} of ${one.targets} healthy`,
      inFlight ? element("span", { class: "quiet" }, `, ${inFlight} in flight`) : null),
    ill.length ? element("details", { "data-key": `targets ${name}` }, element("summary", {}, `${ill.length} not healthy`), element("ul", {}, ill.map((target) => element("li", {}, `${target.id}: ${target.state}${target.reason ? `, ${target.reason}` : ""}`)))) : null,
    warm ? element("p", { class: warm.ready ? "" : "bad" }, warm.ready ? "Ready for a failback, proven " : `NOT ready for a failback: ${warm.reasons.join("; ")}. Looked at `, warm.proven_at ? age(warm.proven_at, "proven") : "never") : null,
    warm ? element("details", { "data-key": `proven ${name}` }, element("summary", {}, "What was proven"), element("ul", { class: "findings", "data-key": "proofs" }, proofs(warm))) : null,
    warm ? element("p", { class: "quiet" }, `protected until ${local(warm.protected_until)}`) : null);
}

/** Every proof of the warm environment with its age; what does not hold comes first. */
function proofs(warm) {
  const found = [...(warm?.proofs ?? [])].sort((a, b) => (a.ok && a.fresh) - (b.ok && b.fresh));
  return found.map((proof) => element("li", {},
    element("strong", { class: proof.ok && proof.fresh ? "" : "bad" }, proof.ok ? (!proof.fresh ? "OLD " : proof.proven === false ? "? " : "ok ") : "FAILED "),
    `${proof.check}: ${proof.summary} `, element("span", { class: "quiet" }, age(proof.proven_at)),
    proof.advice && !proof.ok ? ` (${proof.advice})` : ""));
}

// --- the switch ---

function progress(service) {
  const one = service.switch;
  if (!one) return null;
  const open = isOpen(service);
  const phases = one.kind === "failback" ? PHASES.filter((phase) => !["deploy", "wait_healthy", "smoke", "bake"].includes(phase)) : PHASES;
  const watched = open && one.wait_seconds && one.condition !== "halted" ? `It is watched for ${one.wait_seconds} s here. ` : "";
  return section(open ? "This switch" : "The last switch",
    element("p", {}, `${plain(one.kind)} ${one.version ?? "(version unknown)"}, ${one.source} → ${one.candidate}, by ${one.requested_by}`, one.reason ? `: ${one.reason}` : "", ", begun ", age(one.started_at), open ? ". " : `; ${plain(one.condition)}${one.ended_by ? ` by ${one.ended_by}` : ""}. `, watched),
    open ? element("ol", { class: "rail", "aria-label": "phases" }, phases.map((phase) => railPart(phase, one))) : null,
    one.alive_at ? element("p", { class: "quiet" }, "Last sign of life of its step ", age(one.alive_at, "alive"), ": ", element("span", { "data-key": "alive what" }, one.alive ?? "")) : null,
    element("details", { open: open && one.halt ? "" : null, "data-key": `done ${one.id} ${one.halt?.id ?? ""}` }, element("summary", {}, `What is done (${one.way.filter((stage) => stage.outcome === "done").length} of ${one.way.length})`),
      element("ol", { class: "operations" }, one.way.map(stage))),
    element("p", { class: "quiet" }, one.id));
}

const UNDO = { nothing: "nothing needed", one_write: "", by_hand: "by hand", cannot: "cannot be undone" };

/** One operation of the way: how it stands, and what taking it back would need. */
function stage(one) {
  const ill = ["failed", "unknown"].includes(one.outcome), heavy = ["by_hand", "cannot"].includes(one.undo);
  return element("li", {}, element("strong", { class: ill ? "bad" : one.outcome === "done" ? "" : "quiet" }, `${one.outcome} `), `${one.what}${one.detail ? `: ${one.detail}` : ""} `,
    one.at ? element("span", { class: "quiet" }, age(one.at)) : null,
    one.undo !== "nothing" || one.takes ? element("p", { class: "quiet" }, "to undo: ", heavy ? element("strong", { class: "bad" }, UNDO[one.undo]) : UNDO[one.undo], UNDO[one.undo] ? ": " : "", one.takes) : null);
}

function railPart(phase, one) {
  const at = PHASES.indexOf(one.phase), here = PHASES.indexOf(phase);
  const now = here === at, done = here < at;
  const state = now ? one.condition : done ? "done" : "ahead";
  const spoken = { running: "under way", paused: "paused here", halted: "halted here", done: "done", ahead: "not yet" }[state];
  const steps = phase !== "shift" ? null : element("span", { class: "steps" }, one.steps.map((step, index) =>
    element("span", { class: done || now && index < one.index ? "done" : now && index === one.index ? "now" : "" }, step)));
  return element("li", { class: state, "aria-current": now ? "step" : null }, plain(phase), steps, element("span", { class: "hidden" }, `, ${spoken}`));
}

// --- what can be done ---

function acts(service, ask) {
  // the way forward is always shown: where no switch is open, and it is not lawful, with the reason
  const lawful = service.options.filter((option) => option.lawful || option.verb === "deploy" && !isOpen(service));
  const rows = lawful.map((option) => act(service, option, ask)); // in the daemon's order: the safest first
  return section("What you can do", rows.length ? element("ul", { class: "acts" }, rows) : element("p", { class: "quiet" }, "Nothing is lawful now but to look."));
}

function act(service, option, ask) {
  const known = ACTS[option.verb];
  const label = known ? `${name(option)}…` : name(option);
  return element("li", { class: option.verb },
    element("div", { class: "verb" }, known ? element("button", { type: "button", class: known.quiet ? null : "moving", "data-key": `${service.service} ${option.command}`, click: () => ask(service, option) }, label) : element("strong", {}, label)),
    element("div", {}, option.lawful ? told(option) : [element("p", {}, `Not now: ${option.why_not}`), instead(option)], option.command ? command(option.command) : null));
}

/** What a way does to the traffic, how long that takes, and what it risks: the daemon's words. */
export function told(option) {
  const fact = (word, text) => (text ? element("p", {}, element("span", { class: "quiet" }, `${word}: `), text) : null);
  const moves = option.moves_traffic ? element("strong", { class: "moves" }, "moves traffic: ") : element("span", { class: "quiet" }, "effect on traffic: ");
  return [element("p", {}, moves, option.effect), fact("takes", option.duration), fact("risk", option.risk)];
}

const instead = (option) => (option.instead && !/^there is nothing to|bluegreen explain/.test(option.instead) ? element("p", { class: "quiet" }, `instead: ${option.instead}`) : null);

/** `Retry`, `Accept orders`, `Fail back`: what the act is called here. */
export function name(option) {
  const words = option.label === option.verb ? ACTS[option.verb]?.label ?? plain(option.verb) : option.label;
  const label = words.charAt(0).toUpperCase() + words.slice(1);
  return option.verb === "release" && option.subject ? `${label} ${option.subject}` : label;
}

export function command(text) {
  const copy = navigator.clipboard ? element("button", { type: "button", class: "copy", "aria-label": `copy: ${text}`, click: (event) => {
    navigator.clipboard.writeText(text).then(() => { event.target.textContent = "copied"; }, () => { event.target.textContent = "not copied"; });
  } }, "copy") : null;
  return element("p", { class: "command" }, element("code", {}, text), copy);
}

function refused(service) {
  const others = service.options.filter((option) => !option.lawful && (option.verb !== "deploy" || isOpen(service)));
  if (!others.length) return null;
  return element("details", { class: "refused", "data-key": `refused ${service.service}` }, element("summary", {}, "Not possible now, and why"),
    element("dl", {}, others.map((option) => [element("dt", {}, name(option)), element("dd", {}, option.why_not, instead(option))])));
}

// --- the journal ---

export function entry(event, several) {
  const kind = event.kind.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
  const data = event.data, told = data.summary ?? data.check ?? data.step ?? data.version ?? (data.who ? `${data.who}: ${data.what}` : data.what) ?? data.reason ?? data.reasons?.join("; ") ?? "";
  const shares = Object.entries(data.split ?? {}).map(([name, tenths]) => `${name} ${tenths / 10}%`).join(", ");
  return element("li", { class: ["Halted", "DriftSeen", "RestoreRefused", "WarmReadinessLost", "BalancerSilent"].includes(event.kind) ? "bad" : "" },
    element("time", { title: event.at }, local(event.at).slice(11)),
    element("span", {}, element("strong", {}, several ? `${event.service} ${kind}` : kind), told ? ` ${plain(told)}` : "", data.point ? ` ${data.point}` : "", shares ? `: ${shares}` : "",
      event.by === "daemon" && !event.reason ? "" : element("span", { class: "quiet" }, ` by ${event.by}${event.reason ? `: ${event.reason}` : ""}`)));
}
