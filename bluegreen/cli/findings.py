"""Findings and options to lines: what checks have found, which ways there are. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bluegreen.cli.screen import Ink
from bluegreen.cli.words import Document, clean, width

WIDE = 100
"""Columns that a screen may take."""


def finding_lines(findings: Sequence[Document], ink: Ink) -> list[str]:
    """What failed first, with its advice; then what held."""
    lines = []
    names = max((len(one["check"]) for one in findings), default=0)
    for one in sorted(findings, key=lambda finding: bool(finding["ok"])):
        word = ink("ok    ", "good") if one["ok"] else ink("FAILED", "bad")
        lines += hanging(f"  {word}  {one['check']:<{names}}  ", one["summary"])
        if one.get("advice") and not one["ok"]:
            lines += hanging(" " * (12 + names), one["advice"])
    return lines


def option_lines(options: Sequence[Document], ink: Ink) -> list[str]:
    """The lawful ways: each with its effect on the traffic and its command."""
    names = max((len(one["verb"]) for one in options), default=0)
    lines = []
    for one in options:
        lines += hanging(f"  {ink(one['verb'].ljust(names), 'head')}  traffic: ", one["effect"], names + 4)
        lines.append(" " * (names + 4) + one["command"])
    return lines


def hanging(head: str, text: str, indent: int | None = None) -> list[str]:
    """A text after its head, wrapped; its other lines begin under its first word, or at `indent`."""
    under = " " * (width(head) if indent is None else indent)
    first, *rest = _wrapped(clean(text), width(head), len(under)) or [""]
    return [(head + first).rstrip(), *(under + line for line in rest)]


def _wrapped(text: str, head: int, under: int) -> list[str]:
    made = textwrap.wrap(
        text,
        WIDE,
        initial_indent="·" * head,
        subsequent_indent="·" * under,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line[head if at == 0 else under :] for at, line in enumerate(made)]
