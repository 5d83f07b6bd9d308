"""The demo's screen: lines that stay, and one live line, rewritten on a terminal and printed anew in a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import Any

from bluegreen.cli.screen import Ink, Screen
from bluegreen.cli.service_lines import state_word
from bluegreen.cli.words import clean, short_split, width

_REST_OF_LINE = "\x1b[K"


class Stage:
    """Where the story is told. Everything goes to standard error where standard output is for a JSON document."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._stream = sys.stderr if screen.json else sys.stdout
        self._rewrites = screen.terminal and not screen.json
        self._width = 0

    @property
    def ink(self) -> Ink:
        return self.screen.ink

    def tell(self, *lines: str) -> None:
        """Lines that stay."""
        clear = f"\r{_REST_OF_LINE}" if self._width else ""
        print(clear + "\n".join(lines), file=self._stream, flush=True)
        self._width = 0

    def live(self, line: str) -> None:
        """The live line; it never takes more than one row of a terminal."""
        if not self._rewrites:
            print(line, file=self._stream, flush=True)
            return
        if width(line) >= shutil.get_terminal_size().columns:
            line = clean(line)[: shutil.get_terminal_size().columns - 1]
        print(f"\r{line}{_REST_OF_LINE}", end="", file=self._stream, flush=True)
        self._width = width(line)


def live_line(time: str, rates: Mapping[str, float], failed: int, service: Mapping[str, Any] | None, ink: Ink) -> str:
    """One second of traffic: answers a second by version, all failures so far, the split, what the daemon is at."""
    whole = sum(rates.values())
    shares = "  ".join(
        f"{version} {rate:>3.0f}/s {f'{100 * rate / whole:.0f}%' if whole else '-':>4}"
        for version, rate in rates.items()
    )
    told = ink(f"failed {failed}", "bad" if failed else "good")
    return f"{time}  {shares or 'no answers'}  {told}  {_daemon(service, ink)}"


def _daemon(service: Mapping[str, Any] | None, ink: Ink) -> str:
    if service is None:
        return ink("no answer from the daemon", "bad")
    word = state_word(dict(service))
    switch = service.get("switch") or {}
    step = switch.get("step", "") if word.islower() and word != "steady" else word
    split = short_split({name: one["weight"] or 0 for name, one in service["environments"].items()})
    return f"{split}  {ink(clean(step), 'bad' if word.isupper() else 'head')}"
