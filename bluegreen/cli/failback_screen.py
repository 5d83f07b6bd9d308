"""What an operator sees and is asked before traffic moves back. The dialog is a generator of questions."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink, Screen
from bluegreen.cli.words import Document, clock, columns, share, split, when
from bluegreen.errors import BadRequest, Refused, StateMoved

_VERDICTS = {"safe": "good", "unknown": "wait", "unsafe": "bad"}
_TRIES = 3

Dialog = Generator[str, str, str]
"""Yields questions, is sent the answers, returns the reason."""


def plan_lines(plan: Document, now: datetime | None, ink: Ink) -> list[str]:
    """The failback's plan: where traffic is and goes, whether the other side can take it, and the risks."""
    source, target = plan["source"], plan["target"]
    lines = [f"{ink('FAILBACK', 'wait')}  {ink(plan['service'], 'head')}  {_side(source)}  ->  {_side(target)}", ""]
    lines += [*traffic_lines(plan["traffic"], "NOW", "AFTER", ink), ""]
    lines += [ink(f"CAN {target['environment']} TAKE IT?", "head"), *_target(target, now, ink)]
    if plan["lines"]:
        lines += ["", ink("WHAT IT RISKS", "head")]
        names = max(len(one["id"]) for one in plan["lines"])
        for one in plan["lines"]:
            verdict = ink(one["verdict"].ljust(7), _VERDICTS.get(one["verdict"], "bad"))
            lines += hanging(f"  {verdict}  {one['id']:<{names}}  ", one["text"])
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
    """The reason where none was given, then the service's name. Raises BadRequest where the answers do not do."""
    reason = asked.reason
    for _ in range(_TRIES):
        if reason:
            break
        reason = (yield "Why? It stands in the journal: ").strip()
    if not reason:
        raise BadRequest("a failback needs a reason; nothing was moved", advice="say why: --reason TEXT")
    if not asked.yes:
        typed = (yield f"Type the service's name to move its traffic to {plan['target']['environment']}: ").strip()
        if typed != plan["service"]:
            raise BadRequest(f"{typed!r} is not {plan['service']!r}; nothing was moved")
    return reason


def without_terminal(asked: Asked) -> None:
    """Where nobody can be asked, everything must have been said. Raises BadRequest with what is missing."""
    missing = [name for name, given in (("--yes", asked.yes), ("--reason TEXT", asked.reason)) if not given]
    if missing:
        raise BadRequest(
            f"there is no terminal to ask at: missing {' and '.join(missing)}; nothing was moved",
            advice="--dry-run shows what a failback would do",
        )


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
