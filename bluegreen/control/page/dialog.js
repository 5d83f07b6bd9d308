// One dialog for every act: what it does to the traffic, why, and for what cannot be undone the name typed out.

import { Problem, get, post } from "./door.js";
import { acknowledged, reported } from "./report.js";
import { ACTS, alarming, command, element, name, percent, told } from "./view.js";

const find = (id) => document.getElementById(id);
let act = null; // { service, option, plan, key }: what is being asked about, as it was seen when the dialog opened

/** Ask about one act. `done` is called when the daemon has taken it. */
export async function ask(service, option, done) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  act = { service, option, plan: null, key, done };
  const { quiet, reason, typed } = ACTS[option.verb], label = name(option);
  find("dialog-title").textContent = `${label} — ${service.service}`;
  for (const id of ["reason", "confirm", "note", "cause"]) find(id).value = "";
  find("dialog-error").textContent = "";
  find("dialog-go").disabled = false; // the last act has left it so
  find("cause-part").hidden = true;
  find("reason").required = Boolean(reason);
  find("reason-label").textContent = reason ? "Why? It stands in the journal." : "Why? (you may leave it empty)";
  find("confirm").required = Boolean(typed);
  find("confirm").hidden = find("confirm-label").hidden = !typed;
  find("confirm-label").textContent = `Type the service's name, ${service.service}`;
  find("dialog-go").className = quiet ? "" : "moving";
  find("dialog-go").textContent = label;
  find("dialog-leave").textContent = option.verb === "leave" ? "Do nothing" : "Leave it as it is";
  find("dialog-facts").replaceChildren(...facts(act));
  find("dialog").showModal();
  (quiet && !reason ? find("dialog-go") : find("reason")).focus();
  if (halted(service) && ACTS[option.verb].ends) classes(act);
  if (option.verb === "failback") await look(act);
}

const halted = (service) => service.switch?.condition === "halted" && service.switch.halt;

/** What a halt may have come from, to choose from; an act never waits for that. */
async function classes(asked) {
  try {
    const { classes: known } = await get(`/v1/services/${asked.service.service}/lessons`);
    if (asked !== act) return;
    find("cause").replaceChildren(...["", ...known].map((one) => element("option", { value: one }, one.replaceAll("_", " "))));
    find("cause-part").hidden = false;
  } catch { /* `bluegreen lessons` asks for it later */ }
}

/** The plan of a failback, as of now; the button is there when it is. */
async function look(asked) {
  find("dialog-go").disabled = true;
  try {
    const plan = await get(`/v1/services/${asked.service.service}/failback`);
    if (asked !== act) return;
    asked.plan = plan;
    find("dialog-facts").replaceChildren(...planned(plan), command(asked.option.command));
    find("dialog-go").disabled = !plan.lawful;
    if (plan.lawful) find("dialog-go").textContent = `Move the traffic to ${plan.target.environment}`;
  } catch (error) {
    if (asked === act) find("dialog-error").textContent = `The plan cannot be had: ${error.message}`;
  }
}

async function go(event) {
  event.preventDefault();
  const { service, option, plan, key, done } = act, asked = act;
  if (ACTS[option.verb].typed && find("confirm").value !== service.service) {
    find("dialog-error").textContent = `This is not the service's name: ${service.service}`;
    find("confirm").focus();
    return;
  }
  find("dialog-go").disabled = true;
  find("dialog-error").textContent = "";
  try {
    await post(`/v1/services/${service.service}/${ACTS[option.verb].route ?? option.verb}`, body(service, option, plan), key);
    find("dialog").close();
    done();
  } catch (error) {
    if (asked === act) await failed(asked, error);
  }
}

async function failed(asked, error) {
  find("dialog-go").disabled = false;
  find("dialog-error").textContent = error instanceof Problem ? error.message
    : `No answer (${error.message}): it is not known whether this was taken. The same button asks again, and does nothing twice.`;
  if (error.status === 409 && asked.plan) {
    find("confirm").value = "";
    await look(asked);
    find("dialog-error").textContent = "Nothing was done: the state has moved since you looked. This is the plan now; read it again.";
  }
}

function body(service, option, plan) {
  const made = {};
  const reason = find("reason").value.trim();
  if (reason) made.reason = reason;
  for (const id of ["cause", "note"]) if (find(id).value.trim() && !find("cause-part").hidden) made[id] = find(id).value.trim();
  if (option.verb === "failback") return { ...made, plan: plan.plan, acknowledge: acknowledged(find("dialog-facts")), confirm: find("confirm").value };
  if (halted(service)) made.halt = service.switch.halt.id;
  if (option.verb === "accept") made.check = option.subject;
  if (["restore", "leave"].includes(option.verb)) made.drift = meant(service).map((drift) => drift.id);
  if (option.verb === "release" && option.subject) made.environment = option.subject;
  return made;
}

/** The drifts that an answer is about: those that nobody has left as they are; else all. */
const meant = (service) => (alarming(service).length ? alarming(service) : service.drift);

// --- what is shown before it is asked for ---

function facts({ service, option }) {
  const one = service.switch, failed = option.verb === "accept" && one?.halt?.findings.find((found) => found.check === option.subject);
  return [
    option.verb === "promote" ? arrow(side(one.source, service), side(one.candidate, service)) : null,
    failed ? element("p", {}, element("strong", { class: "bad" }, "FAILED "), `${failed.check}: ${failed.summary}`) : null,
    ...told(option), table(option.traffic), command(option.command),
  ].filter(Boolean);
}

function planned(plan) {
  if (!plan.lawful) return [element("p", { class: "bad" }, plan.why_not)];
  const { source, target } = plan;
  return [
    arrow(source, target),
    element("p", { class: target.ready ? "" : "bad" }, target.ready ? `${target.environment} is ready by the last proof.` : `NOT ready: ${target.reasons.join("; ")}`),
    table(plan.traffic), element("p", {}, `${plan.steps.length > 1 ? `In steps: ${plan.steps.join(", ")}` : "At once"}. ${source.environment} is kept as it is.`),
    ...reported(plan),
  ];
}

function side(name, service) {
  const one = service.environments[name];
  return { environment: name, version: one.release?.version ?? null, weight: one.weight, healthy: one.healthy, targets: one.targets };
}

function arrow(source, target) {
  const told = (one) => element("span", {}, element("strong", {}, `${one.environment} ${one.version ?? "(version unknown)"}`),
    ` has ${percent(one.weight)}, ${one.targets === null ? "health not known" : `${one.healthy} of ${one.targets} healthy`}`);
  return element("p", { class: "arrow" }, told(source), element("span", {}, "→ ", told(target)));
}

function table(traffic) {
  const names = [...new Set(traffic.flatMap((row) => Object.keys({ ...row.now, ...row.after })))];
  const cell = (row, name) => `${percent(row.now?.[name])} → ${percent(row.after?.[name])}`;
  return element("table", {}, element("thead", {}, element("tr", {}, ["switch point", ...names].map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, traffic.map((row) => element("tr", {}, element("th", { scope: "row" }, row.switch_point), names.map((name) => element("td", {}, cell(row, name)))))));
}

find("dialog-form").addEventListener("submit", go);
find("dialog-leave").addEventListener("click", () => find("dialog").close());
find("dialog").addEventListener("close", () => { act = null; });
