// What a failback risks, line by line, with a box to tick for each line that is not safe; and the debts that it left.

import { command, element, local, stateOf } from "./view.js";

const VERDICTS = [
  ["unsafe", "Not safe: tick each line that you have read"],
  ["unknown", "Not known: nobody can say that this is safe"],
  ["safe", "Safe"],
];

/** The report of a plan. A box is for one line of exactly this plan: a new plan has new boxes. */
export function reported(plan) {
  const of = (verdict) => plan.lines.filter((line) => (VERDICTS.some(([known]) => known === line.verdict) ? line.verdict : "unsafe") === verdict);
  return [
    plan.advice ? element("p", { class: "panel left" }, element("span", {}, element("strong", {}, "Advice: "), plan.advice)) : null,
    ...VERDICTS.filter(([verdict]) => of(verdict).length).map(([verdict, title]) =>
      element("section", { class: `report ${verdict}` }, element("h3", {}, title), element("ul", {}, of(verdict).map((line) => (verdict === "unsafe" ? ticked(line) : told(line)))))),
  ].filter(Boolean);
}

const told = (line) => element("li", {}, element("code", {}, line.id), " ", line.text);

function ticked(line) {
  const box = element("input", { type: "checkbox", required: "", "data-acknowledge": line.id, "aria-label": `Read: ${line.id}` });
  return element("li", {}, element("label", {}, box, element("span", {}, element("code", {}, line.id), " ", line.text)));
}

/** The ids of the lines that are ticked. */
export const acknowledged = (within) => [...within.querySelectorAll("[data-acknowledge]:checked")].map((box) => box.dataset.acknowledge);

/** What must not be begun now, and what comes within a day; nothing where there is none. */
export function freezes(service) {
  const { active = [], next = null } = service.freeze ?? {};
  const lines = [...active.map((one) => [one, "in force until", one.until]), ...(next ? [[next, "ahead, from", next.since]] : [])];
  if (!lines.length || stateOf(service) === "halted") return null; // at a halt a freeze holds nothing up
  return element("section", { class: "panel left debts" },
    element("h3", {}, "Freeze: what is not begun without an override"),
    element("ul", {}, lines.map(([one, word, at]) => element("li", {}, element("code", {}, one.name), ` ${one.why ? `${one.why}: ` : ""}${one.actions.join(", ")}; ${word} ${local(at)}. A failback is never frozen.`))));
}

/** What failbacks left wrong on purpose; nothing where there is none. */
export function debts(service) {
  if (!service.debts?.length) return null;
  const unread = service.debts.some((debt) => !debt.acknowledged && debt.verdict !== "unknown");
  return element("section", { class: "panel left debts" },
    element("h3", {}, "Debts: what a failback left wrong on purpose"),
    element("ul", {}, service.debts.map((debt) => element("li", {}, element("code", {}, debt.id), ` ${debt.verdict === "unknown" ? "? " : ""}${debt.what}. `,
      element("span", { class: "quiet" }, `Since ${local(debt.since)}; ${debt.owner ? `owner ${debt.owner}` : "nobody owns it"}; ${debt.acknowledged ? `read by ${debt.acknowledged_by}` : "not read by anybody"}`)))),
    unread ? element("p", {}, "No deployment begins before they are read:") : null,
    unread ? command(`bluegreen debts ${service.service} --acknowledge`) : null);
}
