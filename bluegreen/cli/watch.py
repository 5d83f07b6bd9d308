"""`bluegreen watch`: status, live. Redraws on a terminal; in a pipe it prints a line for each change."""

from __future__ import annotations

import itertools
import time

import click

from bluegreen.cli.screen import Screen
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.status import read, view
from bluegreen.cli.times import seconds
from bluegreen.cli.words import Document
from bluegreen.errors import BlueGreenError, DaemonUnreachable, ExitCode, StoreError

EVERY = 1.0
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command("watch", cls=Verb)
@service_argument(required=False)
@click.option("--count", type=click.IntRange(min=1), help="End after so many looks.")
@click.option(
    "--timeout", callback=seconds, metavar="DURATION", help="End after so long (30s, 10m), with exit code 124."
)
@click.pass_obj
def watch(settings: Settings, service: str | None, count: int | None, timeout: float | None) -> int:
    """Show status live. Ctrl-C ends it; whatever runs goes on."""
    try:
        return _watch(settings, service, count, timeout)
    except KeyboardInterrupt:
        return ExitCode.DETACHED


def _watch(settings: Settings, service: str | None, count: int | None, timeout: float | None) -> int:
    screen, client = settings.screen, settings.client()
    until = None if timeout is None else time.monotonic() + timeout
    seen: dict[str, Document] = {}
    silent = ""
    for look in itertools.count(1):
        try:
            document = read(client, service)
            silent = ""
            _show(screen, document, seen)
        except (DaemonUnreachable, StoreError) as error:
            if look == 1:
                raise
            silent = _tell(screen, error, silent)
        if look == count:
            break
        if until is not None and time.monotonic() >= until:
            return ExitCode.TIMEOUT
        time.sleep(EVERY if until is None else max(0.0, min(EVERY, until - time.monotonic())))
    return ExitCode.DONE


def _show(screen: Screen, document: Document, seen: dict[str, Document]) -> None:
    """A whole screen for a person; for a script each service that is not as it was at the last look."""
    if screen.terminal and not screen.json:
        lines = [line + _REST_OF_LINE for line in view(document, screen)]
        clear = "\x1b[2J" if not seen else ""
        seen["screen"] = document
        print(clear + _HOME + "\n".join(lines) + "\n" + _REST, end="", flush=True)
        return
    for service in document.get("services", [document]):
        name = service["service"]
        line: Document = service if screen.json else {"line": view(service, screen)[0]}
        if _lasting(line) == seen.get(name):
            continue
        seen[name] = _lasting(line)
        if screen.json:
            screen.document_line(service)
        else:
            screen.lines([line["line"]])


def _lasting(service: Document) -> Document:
    """Without what changes by the mere passing of time."""
    kept = {key: value for key, value in service.items() if key not in ("as_of", "warm", "switch_points", "switch")}
    for name, passing in (("warm", ("proven_at", "proofs")), ("switch", ("alive_at", "alive", "watched_seconds"))):
        kept[name] = {key: value for key, value in (service.get(name) or {}).items() if key not in passing}
    points = service.get("switch_points") or {}
    kept["switch_points"] = {name: {**point, "read_at": None} for name, point in points.items()}
    return kept


def _tell(screen: Screen, error: BlueGreenError, told: str) -> str:
    if error.what != told:
        screen.notice(f"{error.what}; what stands above is old; asking again")
    return error.what
