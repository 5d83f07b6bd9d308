"""`bluegreen status`: who is live, the split, what is warm, who is awaited."""

from __future__ import annotations

from datetime import datetime

import click

from bluegreen.cli import service_lines
from bluegreen.cli.client import Client
from bluegreen.cli.screen import Screen
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clock, columns, moment, span


@click.command("status", cls=Verb)
@service_argument(required=False)
@click.pass_obj
def status(settings: Settings, service: str | None) -> int:
    """Show who is live, the split, what is warm and its readiness, what runs, who is awaited."""
    screen = settings.screen
    document = read(settings.client(), service)
    if screen.json:
        screen.document(document)
    else:
        screen.lines(view(document, screen))
    return 0


def read(client: Client, service: str | None) -> Document:
    """The document of one service, or of all."""
    return client.get("services", service) if service else client.get("services")


def view(document: Document, screen: Screen) -> list[str]:
    """One service or all, for a person or for a script."""
    now = moment(document.get("as_of"))
    services = document.get("services")
    if not screen.terminal:
        return [service_lines.script_line(one) for one in ([document] if services is None else services)]
    if services is None:
        return service_lines.screen(document, now, screen.ink)
    return [*_head(document, now, screen), "", *service_lines.table(services, now, screen.ink)]


def _head(document: Document, now: datetime | None, screen: Screen) -> list[str]:
    daemon, services = document["daemon"], document["services"]
    started = moment(daemon.get("started_at"))
    up = f"up {span((now - started).total_seconds())}" if now and started else ""
    waiting = sum(bool(service_lines.awaited(one, screen.ink)) for one in services)
    text = f"{waiting} of {len(services)} service(s) wait for a person"
    mood = screen.ink(text, "wait" if waiting else "good")
    cells = [f"bluegreen {daemon['version']}", f"pid {daemon['pid']}", up, clock(document.get("as_of"), now), mood]
    return columns([[cell for cell in cells if cell]])
