"""Where words go: data to standard output, everything else to standard error, one JSON document where asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

_INKS: dict[str, dict[str, Any]] = {
    "head": {"bold": True},
    "good": {"fg": "green"},
    "wait": {"fg": "yellow", "bold": True},
    "bad": {"fg": "red", "bold": True},
    "dim": {"dim": True},
}


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours. They only repeat what the words say."""

    on: bool = False

    def __call__(self, text: str, ink: str) -> str:
        return click.style(text, **_INKS[ink]) if self.on and text else text


@dataclass(frozen=True, slots=True)
class Screen:
    """How this call shows things: `terminal` is whether a person reads standard output."""

    json: bool
    terminal: bool
    ink: Ink

    @classmethod
    def here(cls, as_json: bool, no_color: bool) -> Screen:
        """The screen of this process."""
        terminal = sys.stdout.isatty()
        plain = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(as_json, terminal, Ink(terminal and not plain and not as_json))

    def document(self, document: Any) -> None:
        """The API's document, and nothing else, on standard output."""
        print(json.dumps(document, indent=2 if self.terminal else None, ensure_ascii=False), flush=True)

    def document_line(self, document: Any) -> None:
        """One document of several: a line each."""
        print(json.dumps(document, ensure_ascii=False), flush=True)

    def lines(self, lines: Iterable[str]) -> None:
        """What was asked for; to standard error where standard output belongs to a JSON document."""
        for line in lines:
            print(line, file=sys.stderr if self.json else sys.stdout, flush=True)

    def notice(self, line: str) -> None:
        """What is worth knowing beside the data."""
        print(line, file=sys.stderr, flush=True)
