"""`bluegreen events`: the journal, page by page; with --follow, live and without gaps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from bluegreen.cli.client import Client
from bluegreen.cli.screen import Screen
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, clock, pairs, short_split
from bluegreen.errors import DaemonUnreachable, ExitCode, StoreError

AGAIN = 1.0
"""Seconds before a broken stream is asked for again."""


@click.command("events", cls=Verb)
@service_argument(required=False)
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Only what came after number N.")
@click.option("--limit", type=click.IntRange(1, 10000), metavar="N", help="How many at most, without --follow.")
@click.pass_obj
def events(settings: Settings, service: str | None, follow: bool, after: int | None, limit: int | None) -> int:
    """Show the journal: who did what, when and why. With --json --follow: one document a line."""
    screen, client = settings.screen, settings.client()
    if follow:
        return _follow(client, screen, service, after)
    page = client.get("events", service=service, after=after, limit=limit)
    if screen.json:
        screen.document(page)
    else:
        screen.lines(_line(event, screen) for event in page["events"])
    return ExitCode.DONE


def _follow(client: Client, screen: Screen, service: str | None, after: int | None) -> int:
    """Until Ctrl-C. A stream that ends or breaks is taken up where it ended; a first one must work."""
    listening = _Listening(after)
    try:
        while True:
            try:
                for event in client.stream("events", after=listening.after, service=service):
                    listening.hear(event)
                    _show(event, screen)
                listening.broken = False
            except (DaemonUnreachable, StoreError) as error:
                listening.tell(error, screen)
            time.sleep(AGAIN)
    except KeyboardInterrupt:
        return ExitCode.DETACHED


@dataclass(slots=True)
class _Listening:
    """Where in the journal the stream stands, and whether it is broken (None: it never was whole)."""

    after: int | None
    broken: bool | None = None

    def hear(self, event: Document) -> None:
        self.after, self.broken = event["seq"], False

    def tell(self, error: DaemonUnreachable | StoreError, screen: Screen) -> None:
        if self.broken is None:
            raise error
        if not self.broken:
            screen.notice(f"{error.what}; asking again until it answers; nothing is left out")
        self.broken = True


def _show(event: Document, screen: Screen) -> None:
    if screen.json:
        screen.document_line(event)
    else:
        screen.lines([_line(event, screen)])


def _line(event: Document, screen: Screen) -> str:
    told = {
        key: value for key, value in event["data"].items() if value is not False and value not in (None, "", [], {})
    }
    data = " ".join(f"{key}={_short(value)}" for key, value in told.items())
    if not screen.terminal:
        return pairs(
            seq=event["seq"],
            at=event["at"],
            service=event["service"],
            switch=event["switch"],
            by=event["by"],
            kind=event["kind"],
            reason=event["reason"] or None,
            data=data or None,
        )
    why = f"  “{clean(event['reason'])}”" if event["reason"] else ""
    kind = screen.ink(event["kind"], "bad" if event["kind"].lower() == "halted" else "head")
    place = event["switch"] or event["service"]
    return f"{event['seq']:>6}  {clock(event['at'])}  {place}  {kind}  by {event['by']}{why}  {data}".rstrip()


def _short(value: object) -> str:
    """A field of an event on one line, cut: the whole of it is in --json."""
    numbers = isinstance(value, dict) and all(isinstance(part, int | float) for part in value.values())
    text = clean(short_split(value) if numbers else str(value))  # type: ignore[arg-type]
    return text if len(text) <= 80 else text[:79] + "…"
