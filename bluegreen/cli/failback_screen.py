"""What an operator sees and is asked before traffic moves back. The dialog is a generator of questions."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink, Screen
from bluegreen.cli.words import Document, clean, clock, columns, share, split, when
from bluegreen.errors import BadRequest, Refused, StateMoved

_VERDICTS = {"safe": "good", "unknown": "wait", "unsafe": "bad"}
_TRIES = 3

_ORDER = ("unsafe", "unknown", "safe")
_WIDE_ID = 28


@dataclass(frozen=True, slots=True)
class Said:
    """What an operator has said in the end: why, the unsafe lines that were acknowledged, the service's name."""

    reason: str
    acknowledge: tuple[str, ...]
    confirm: str

    def body(self, plan: str) -> Document:
        """As the API takes it."""
        return {"plan": plan, "reason": self.reason, "acknowledge": list(self.acknowledge), "confirm": self.confirm}


Dialog = Generator[str, str, Said]
"""Yields questions, is sent the answers, returns what was said."""


def plan_lines(plan: Document, now: datetime | None, ink: Ink) -> list[str]:
    """The failback's plan: where traffic is and goes, whether the other side can take it, and the risks."""
    source, target = plan["source"], plan["target"]
    lines = [f"{ink('FAILBACK', 'wait')}  {ink(plan['service'], 'head')}  {_side(source)}  ->  {_side(target)}", ""]
    lines += [*traffic_lines(plan["traffic"], "NOW", "AFTER", ink), ""]
    lines += [ink(f"CAN {target['environment']} TAKE IT?", "head"), *_target(target, now, ink)]
    lines += _report(plan, ink)
    steps = ", then ".join(plan["steps"])
    lines += [
        "",
        f"{ink('PLAN', 'head')}  {plan['plan']}: {target['environment']} goes to {steps}, after it was proven.",
    ]
    lines.append(f"      {source['environment']} is left as it is, for examination.")
    return lines


def traffic_lines(traffic: list[Document], first: str, second: str, ink: Ink) -> list[str]:
    """The split of every switch point, twice."""
    rows = [[ink(head, "head") for head in ("SWITCH POINT", first, second)]]
    rows += [[one["switch_point"], split(one["now"]), split(one["after"])] for one in traffic]
    return columns(rows)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line said. `reason` is empty and `plan` None where they were not given."""

    service: str
    reason: str
    yes: bool
    plan: str | None
    dry_run: bool
    take_over: bool = False
    card: str | None = None
    acknowledge: tuple[str, ...] = ()


def show_plan(plan: Document, asked: Asked, now: datetime | None, screen: Screen) -> None:
    """Show the plan. Raises StateMoved where it is not the plan that was asked for, Refused where it is not lawful."""
    if asked.dry_run and screen.json:
        screen.document(plan)
    elif plan["lawful"]:
        screen.lines([*plan_lines(plan, now, screen.ink), ""])
    if not plan["lawful"]:
        raise Refused(plan["why_not"], f"which ways there are: bluegreen explain {asked.service}")
    if asked.plan and asked.plan != plan["plan"]:
        raise StateMoved(
            f"the plan is {plan['plan']} now, not {asked.plan}: the state has moved; nothing was moved back",
            f"look again: bluegreen failback {asked.service} --dry-run",
        )


def dialog(plan: Document, asked: Asked) -> Dialog:
    """The reason where none was given, each unsafe line by its id, then the service's name.

    Raises BadRequest where the answers do not do, Refused where --yes leaves an unsafe line without a word.
    """
    named = _named(plan, asked)
    left = [line for line in _unsafe(plan) if line["id"] not in named]
    if asked.yes and left:
        raise _unsaid(plan, left)
    reason = asked.reason
    for _ in range(_TRIES):
        if reason:
            break
        reason = (yield "Why? It stands in the journal: ").strip()
    if not reason:
        raise BadRequest("a failback needs a reason; nothing was moved", advice="say why: --reason TEXT")
    for line in left:
        yield from _acknowledged(line)
        named = (*named, line["id"])
    name: str = plan["service"]
    if not asked.yes:
        typed = (yield f"Type the service's name to move its traffic to {plan['target']['environment']}: ").strip()
        if typed != name:
            raise BadRequest(f"{typed!r} is not {name!r}; nothing was moved")
    return Said(reason, named, name)


def _acknowledged(line: Document) -> Generator[str, str, None]:
    """One unsafe line: its id, typed. Raises BadRequest."""
    for _ in range(_TRIES):
        typed = (yield f"UNSAFE: {clean(line['text'])}\nYou have read that? Type {line['id']} : ").strip()
        if typed == line["id"]:
            return
    raise BadRequest(f"{line['id']} was not acknowledged; nothing was moved")


def _named(plan: Document, asked: Asked) -> tuple[str, ...]:
    """What the command line acknowledges. Raises BadRequest for what is no line of the report."""
    known = {line["id"] for line in plan["lines"]}
    if strange := sorted(set(asked.acknowledge) - known):
        raise BadRequest(
            f"not in this plan's report: {', '.join(strange)}; nothing was moved",
            advice=f"look again: bluegreen failback {asked.service} --dry-run",
        )
    return tuple(dict.fromkeys(asked.acknowledge))


def _unsafe(plan: Document) -> list[Document]:
    return [line for line in plan["lines"] if line["verdict"] == "unsafe"]


def _unsaid(plan: Document, left: list[Document]) -> Refused:
    """--yes is no word on what is unsafe: each line is named."""
    told = "; ".join(f"{line['id']} ({clean(line['text'])})" for line in left)
    words = " ".join(f"--acknowledge {shlex.quote(line['id'])}" for line in left)
    what = f"unsafe, and not acknowledged; nothing was moved: {told}"
    return Refused(what, f"if {plan['service']} shall go back all the same: --yes {words}")


def without_terminal(asked: Asked) -> None:
    """Where nobody can be asked, everything must have been said. Raises BadRequest with what is missing."""
    missing = [name for name, given in (("--yes", asked.yes), ("--reason TEXT", asked.reason)) if not given]
    if missing:
        raise BadRequest(
            f"there is no terminal to ask at: missing {' and '.join(missing)}; nothing was moved",
            advice="--dry-run shows what a failback would do",
        )


def _report(plan: Document, ink: Ink) -> list[str]:
    """Unsafe lines first, then what nobody knows, then what is safe; and when to go forward rather than back."""
    told: list[str] = []
    lines = sorted(plan["lines"], key=lambda line: _ORDER.index(line["verdict"]) if line["verdict"] in _ORDER else 0)
    names = max((len(one["id"]) for one in lines if len(one["id"]) <= _WIDE_ID), default=0)
    for one in lines:
        head = f"  {ink(one['verdict'].ljust(7), _VERDICTS.get(one['verdict'], 'bad'))}  {one['id']:<{names}}  "
        if len(one["id"]) > _WIDE_ID:
            told += [head.rstrip(), *hanging(" " * (names + 13), one["text"])]
        else:
            told += hanging(head, one["text"])
    if told:
        told = ["", ink("WHAT IT RISKS", "head"), *told]
    if plan.get("advice"):
        told += ["", *hanging(f"{ink('ADVICE', 'wait')}  ", plan["advice"])]
    return told


def _side(side: Document) -> str:
    return f"{side['environment']} {side['version'] or '(version unknown)'} ({share(side['weight'])})"


def _target(target: Document, now: datetime | None, ink: Ink) -> list[str]:
    good, bad = ink("ok", "good"), ink("!!", "bad")
    healthy, targets = target["healthy"], target["targets"]
    all_well = bool(targets) and healthy == targets
    known = "?" if healthy is None else healthy
    lines = [f"  {good if all_well else bad}  {known} of {'?' if targets is None else targets} targets are healthy"]
    proven = f"proven {when(target['proven_at'], now)}" if target["proven_at"] else "never proven"
    lines.append(f"  {good}  ready, {proven}" if target["ready"] else f"  {bad}  NOT READY, {proven}")
    for reason in target["reasons"]:
        lines += hanging(f"  {bad}  ", reason)
    if target["since"]:
        kept = f"kept warm since {when(target['since'], now)}"
        lines.append(f"      {kept}, protected until {clock(target['protected_until'], now)}")
    return lines
