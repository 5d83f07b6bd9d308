"""`bluegreen doctor`: everything that a switch will need, there and back, looked at now. It changes nothing."""

from __future__ import annotations

import click

from bluegreen.cli.findings import finding_lines, hanging, proven
from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, pairs
from bluegreen.errors import ExitCode

DEADLINE = 40.0
"""Seconds: the daemon answers within 30, whatever hangs."""


@click.command("doctor", cls=Verb)
@service_argument(required=False)
@click.pass_obj
def doctor(settings: Settings, service: str | None) -> int:
    """Look at every guard, every credential and every check of SERVICE now, or of all services. Changes nothing.

    Ends with 0 where all of it is good, with 3 where something is not.
    """
    screen, client = settings.screen, settings.client(DEADLINE)
    found = client.get("services", service, "doctor") if service else client.get("doctor")
    if screen.json:
        screen.document(found)
    elif screen.terminal:
        screen.lines(view(found, screen.ink))
    else:
        screen.lines(script_lines(found))
    return ExitCode.DONE if found["ok"] else ExitCode.REFUSED


def script_lines(found: Document) -> list[str]:
    """A `key=value` line for each finding."""
    return [
        _script_line(service, section["about"], one)
        for service, sections in _parts(found)
        for section in sections
        for one in section["findings"]
    ]


def _script_line(service: str | None, about: str, one: Document) -> str:
    sure = proven(one)
    return pairs(
        service=service,
        about=about,
        check=one["check"],
        ok=one["ok"],
        proven=None if sure else False,
        summary=one["summary"],
        advice=one["advice"] or None if not (one["ok"] and sure) else None,
    )


def view(found: Document, ink: Ink) -> list[str]:
    """What is not good first, with what to do; then what is."""
    lines: list[str] = []
    for service, sections in _parts(found):
        bad = [one for section in sections for one in section["findings"] if not one["ok"]]
        count = sum(len(section["findings"]) for section in sections)
        word = ink("WELL", "good") if not bad else ink(f"{len(bad)} OF {count} NOT GOOD", "bad")
        lines += [*([""] if lines else []), f"{ink(service or 'the daemon', 'head')}  {word}"]
        if bad:
            lines += finding_lines(bad, ink)
        for section in sections:
            good = [one for one in section["findings"] if one["ok"]]
            if good:
                lines += ["", ink(f"  {section['about']}", "head"), *finding_lines(good, ink)]
    answer = "all of it is good" if found["ok"] else "mend what failed before you deploy: a preflight looks at it again"
    return [*lines, "", *hanging("  ", f"looked at within {found['seconds']:g} s: {answer}")]


def _parts(found: Document) -> list[tuple[str | None, list[Document]]]:
    """By service; the daemon's own part has no name."""
    if "services" not in found:
        return [(found["service"], found["sections"])]
    return [(None, [found["daemon"]]), *[(one["service"], one["sections"]) for one in found["services"]]]
