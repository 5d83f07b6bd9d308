"""What a halt came from, asked of the person who has just answered it: after the act, and Enter skips. Never before,
and never where nobody sits at a terminal: nobody is held up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bluegreen.cli.client import Client
from bluegreen.cli.screen import Screen
from bluegreen.cli.words import Document, clean
from bluegreen.errors import BlueGreenError
from bluegreen.model import CAUSE_CLASSES

_KNOWN = ", ".join(CAUSE_CLASSES)

Command = TypeVar("Command", bound=Callable[..., Any])


def freeze_option(command: Command) -> Command:
    """The way past a freeze, for a verb that one may hold up."""
    told = "Go past a freeze that is in force; needs --reason."
    return click.option("--override-freeze", is_flag=True, default=None, help=told)(command)


def cause_options(command: Command) -> Command:
    """--cause and --note, of a verb that answers a halt."""
    known = click.Choice(CAUSE_CLASSES)
    note = click.option("--note", metavar="TEXT", help="About that halt: whoever sees one like it next reads it.")
    cause = click.option("--cause", type=known, metavar="CLASS", help=f"What the halt came from: {_KNOWN}.")
    return cause(note(command))


def halt_of(service: Document) -> str | None:
    """The halt that is answered by the next act; None where nothing is halted."""
    switch = service.get("switch") or {}
    return (switch.get("halt") or {}).get("id") if switch.get("condition") == "halted" else None


def answered(client: Client, screen: Screen, service: str) -> str | None:
    """The halt that the next act will end, where somebody sits here to be asked about it."""
    return halt_of(client.get("services", service)) if _sits(screen) else None


def ask(client: Client, screen: Screen, service: str, halt: str | None, told: str | None) -> None:
    """Ask what the halt came from, where a person sits here, and nobody has told it. `told` is a cause given already.
    An answer that cannot be put on record is said; the act itself stands."""
    if halt is None or told or not _sits(screen):
        return
    screen.notice("")
    screen.notice(f"What did {halt} come from? It helps whoever sees it next. Enter skips.")
    for at, word in enumerate(CAUSE_CLASSES, 1):
        screen.notice(f"  {at:>2}  {word.replace('_', ' ')}")
    cause = _class(_line("number or word: "))
    if cause is None:
        screen.notice(f"not recorded; later: bluegreen lessons {service} resolve {halt}")
        return
    note = _line("what was it, in a line: ") or cause.replace("_", " ")
    try:
        client.post("services", service, "lessons", body={"lesson": halt, "cause": cause, "note": note})
    except BlueGreenError as error:
        screen.notice(f"the cause was not recorded: {clean(str(error))}")
        screen.notice(f"what you asked for is done; later: bluegreen lessons {service} resolve {halt}")
        return
    screen.notice(f"recorded: {cause.replace('_', ' ')}, {clean(note)}")


def _sits(screen: Screen) -> bool:
    return screen.terminal and not screen.json and sys.stdin.isatty()


def _class(answer: str) -> str | None:
    """A class by its number, its name, or the beginning of it; None where it is none of them."""
    word = answer.lower().replace(" ", "_").replace("-", "_")
    if word.isascii() and word.isdigit():
        return CAUSE_CLASSES[int(word) - 1] if 1 <= int(word) <= len(CAUSE_CLASSES) else None
    meant = [one for one in CAUSE_CLASSES if word and one.startswith(word)]
    return meant[0] if len(meant) == 1 or word in meant else None


def _line(question: str) -> str:
    """One line of the person's; the end of the input, or Ctrl-C, skips."""
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return ""
