"""`bluegreen ready`: is a failback possible right now, by every proof with its age. It only reads."""

from __future__ import annotations

from datetime import datetime

import click

from bluegreen.cli.findings import hanging
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, columns, moment, pairs, span, when, width
from bluegreen.errors import ExitCode


@click.command("ready", cls=Verb)
@service_argument()
@click.pass_obj
def ready(settings: Settings, service: str) -> int:
    """Show whether a failback is possible right now: every proof, its age, and what to do where one does not hold.

    Ends with 0 where it is, with 3 where it is not.
    """
    screen = settings.screen
    found = settings.client().get("services", service, "ready")
    if screen.json:
        screen.document(found)
    elif screen.terminal:
        screen.lines(view(found, moment(found["as_of"]), screen.ink))
    else:
        screen.lines([script_line(found)])
    return ExitCode.DONE if found["ready"] else ExitCode.REFUSED


def script_line(found: Document) -> str:
    """One `key=value` line."""
    proofs = found["proofs"]
    return pairs(
        service=found["service"],
        ready=found["ready"],
        environment=found["environment"],
        version=found["version"],
        proven_at=found["proven_at"],
        failed=",".join(one["check"] for one in proofs if not one["ok"]) or None,
        unproven=",".join(one["check"] for one in proofs if one["ok"] and not one.get("proven", True)) or None,
        old=",".join(one["check"] for one in proofs if one["ok"] and not one["fresh"]) or None,
        lawful=found["lawful"],
    )


def view(found: Document, now: datetime | None, ink: Ink) -> list[str]:
    """The answer, then what does not hold with what to do, then what holds."""
    word = ink("READY", "good") if found["ready"] else ink("NOT READY", "bad")
    lines = hanging(f"{ink(found['service'], 'head')}  {word}  ", _answer(found))
    if found["lost_since"]:
        lines += hanging(f"{ink('LOST', 'bad')}  ", f"on record since {when(found['lost_since'], now)}")
    if not found["lawful"]:
        lines += hanging(f"  {ink('!!', 'bad')}  ", found["reasons"][0])
    rows = [_row(one, ink) for one in sorted(found["proofs"], key=lambda one: one["ok"] and one["fresh"])]
    if rows:
        lines += ["", *_table(rows)]
    if found["ready"]:
        lines += ["", f'  bluegreen failback {found["service"]} --reason "…"']
    elif found["lawful"] and found["environment"]:
        why = "a failback asks again before it moves anything: what does not hold then halts it, and no traffic moves"
        lines += ["", *hanging("  ", why)]
    return lines


def _answer(found: Document) -> str:
    if found["environment"] is None:
        return "there is no environment to fail back to"
    version = found["version"] or "version never recorded"
    target = f"{found['environment']} ({version})"
    if found["ready"]:
        return f"a failback to {target} is possible now"
    return f"a failback to {target} is not possible now, by what was proven"


def _row(one: Document, ink: Ink) -> tuple[str, str, str, str, str]:
    sure = ink("ok    ", "good") if one.get("proven", True) else ink("?     ", "wait")
    good = sure if one["fresh"] else ink("OLD   ", "wait")
    word = good if one["ok"] else ink("FAILED", "bad")
    said = one["advice"] if not one["ok"] or not one.get("proven", True) else ""
    advice = _old(one) if one["ok"] and not one["fresh"] else said
    return word, one["check"], f"{span(one['age_seconds'])} ago", one["summary"], advice


def _old(one: Document) -> str:
    return f"it should be proven every {span(one['valid_seconds'] / 2)}: no answer since then"


def _table(rows: list[tuple[str, str, str, str, str]]) -> list[str]:
    lines = []
    heads = columns([row[:3] for row in rows], indent="  ")
    wide = max(width(head) for head in heads)
    for head, (_, _, _, summary, advice) in zip(heads, rows, strict=True):
        lines += hanging(f"{head}{' ' * (wide - width(head))}  ", summary)
        if advice:
            lines += hanging(" " * 10, advice)
    return lines
