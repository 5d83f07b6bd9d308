"""The demo's screen: lines that stay, and one live line, rewritten on a terminal and printed anew in a pipe."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from bluegreen.cli.screen import Ink, Screen
from bluegreen.cli.service_lines import state_word
from bluegreen.cli.words import clean, short_split, width
from bluegreen.demo.traffic import Figures

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
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

    def live(self, time: str, line: str) -> None:
        """The live line: one row of a terminal, rewritten; in a pipe a line of its own, with the time."""
        if not self._rewrites:
            print(f"{time}  {line}", file=self._stream, flush=True)
            return
        if width(line) >= (columns := shutil.get_terminal_size().columns):
            line = _ANSI.sub("", line)[: columns - 1]
        print(f"\r{line}{_REST_OF_LINE}", end="", file=self._stream, flush=True)
        self._width = width(line)


def live_line(before: Figures, now: Figures, service: Mapping[str, Any] | None, ink: Ink) -> str:
    """Answers by version, all and their part of the last second; all failures; the split; what the daemon is at."""
    new = {version: count - before.answers.get(version, 0) for version, count in sorted(now.answers.items())}
    whole = sum(new.values())
    shares = "   ".join(
        f"{version} {now.answers[version]:,}{f' ({100 * count / whole:.0f}%)' if count else ''}"
        for version, count in new.items()
    )
    failed = ink(f"failed {now.failed}", "bad" if now.failed else "good")
    return f"{shares or 'no answers'}   {failed}   {_daemon(service, ink)}"


def _daemon(service: Mapping[str, Any] | None, ink: Ink) -> str:
    if service is None:
        return ink("no answer from the daemon", "bad")
    word = state_word(dict(service))
    switch = service.get("switch") or {}
    step = switch.get("step", "") if word.islower() and word != "steady" else word
    split = short_split({name: one["weight"] or 0 for name, one in service["environments"].items()})
    return f"{split}  {ink(clean(step), 'bad' if word.isupper() else 'head')}"
