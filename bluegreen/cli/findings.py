"""Findings and options to lines: what checks have found, which ways there are. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from bluegreen.cli.screen import Ink
from bluegreen.cli.words import Document, clean, width

WIDE = 100
"""Columns that a screen may take."""
_ANSWER_MAX = 240
"""Characters of an answer; all that was kept of it stands in the evidence."""
_IDLE = re.compile("^there is nothing to|^[^;]*bluegreen explain")
"""Advice that says nothing to whoever reads the list of all ways."""
_HERE = re.compile("(; acceptable: none)?; see `bluegreen explain .*$")
"""The end of an advice that sends to the list of all ways."""


def finding_lines(findings: Sequence[Document], ink: Ink, *, answers: bool = False) -> list[str]:
    """What failed first, with its advice (and, with `answers`, the beginning of what was answered); then what held, or
    (`?`) what nobody could be asked."""
    lines = []
    names = max((len(one["check"]) for one in findings), default=0)
    for one in sorted(findings, key=lambda finding: bool(finding["ok"])):
        unsure = one["ok"] and not proven(one)
        good = ink("?     ", "wait") if unsure else ink("ok    ", "good")
        lines += hanging(f"  {good if one['ok'] else ink('FAILED', 'bad')}  {one['check']:<{names}}  ", one["summary"])
        if answers and not one["ok"]:
            lines += [line for told in _answers(one) for line in hanging(" " * (12 + names), told)]
        if one.get("advice") and (unsure or not one["ok"]):
            lines += hanging(" " * (12 + names), one["advice"])
    return lines


def _answers(finding: Document) -> list[str]:
    """The beginning of what was answered, or printed; nothing that the summary says already."""
    told = []
    for key, word in (("body", "answered"), ("output", "printed")):
        text = " ".join((finding["detail"].get(key) or "").split())
        if text and text not in finding["summary"]:
            told.append(f"{word}: {text[:_ANSWER_MAX]}{'…' if len(text) > _ANSWER_MAX else ''}")
    return told


def proven(finding: Document) -> bool:
    """False where nothing speaks against it, but nobody could be asked."""
    return "unproven" not in (finding.get("detail") or {})


def option_lines(options: Sequence[Document], ink: Ink) -> list[str]:
    """The lawful ways, in their order: each with its effect, how long it takes, its risk, its command."""
    names = max((len(clean(one["label"])) for one in options), default=0)
    lines = []
    for one in options:
        moves = ink("MOVES", "wait") if one["moves_traffic"] else "stays"
        head = ink(clean(one["label"]).ljust(names), "head")
        lines += hanging(f"  {head}  traffic {moves}  ", one["effect"])
        for word, text in (("takes", one["duration"]), ("risk", one["risk"])):
            lines += hanging(f"{' ' * (names + 4)}{word:<13}  ", text) if text else []
        if one["command"]:  # never wrapped: it is copied
            lines.append(f"{' ' * (names + 4)}{'type':<13}  {clean(one['command'])}")
    return lines


def refused_lines(options: Sequence[Document]) -> list[str]:
    """The ways that are not there now: each with the reason, and what to do in place of it."""
    names = max((len(clean(one["label"])) for one in options), default=0)
    lines = []
    for one in options:
        lines += hanging(f"  {clean(one['label']):<{names}}  ", one["why_not"])
        if one["instead"] and not _IDLE.search(one["instead"]):
            lines += hanging(" " * (names + 4), f"instead: {_HERE.sub('', one['instead'])}")
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
