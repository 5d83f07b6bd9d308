"""`bluegreen history`: past switches, the newest first."""

from __future__ import annotations

from datetime import datetime

import click

from bluegreen.cli.screen import Ink
from bluegreen.cli.settings import Settings, Verb, service_argument
from bluegreen.cli.words import Document, clean, clock, columns, moment, pairs, span


@click.command("history", cls=Verb)
@service_argument()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most.")
@click.pass_obj
def history(settings: Settings, service: str, limit: int) -> int:
    """List past switches of SERVICE, the newest first: what, who, why, how long, how it ended."""
    screen, client = settings.screen, settings.client()
    document = client.get("services", service, "history", limit=limit)
    if screen.json:
        screen.document(document)
    elif screen.terminal:
        screen.lines(_table(document["switches"], client.now, screen.ink))
    else:
        screen.lines(_line(switch) for switch in document["switches"])
    return 0


def _table(switches: list[Document], now: datetime | None, ink: Ink) -> list[str]:
    if not switches:
        return ["no switch was ever recorded here"]
    heads = ("SWITCH", "KIND", "VERSION", "WAY", "ENDED AS", "STARTED", "TOOK", "BY", "WHY")
    rows = [[ink(head, "head") for head in heads]]
    rows += [
        [
            one["id"],
            one["kind"],
            one["version"] or "-",
            f"{one['source']} -> {one['candidate']}",
            one["condition"].replace("_", " "),
            clock(one["started_at"], now),
            _took(one),
            one["requested_by"],
            clean(one.get("reason") or ""),
        ]
        for one in switches
    ]
    return columns(rows)


def _line(switch: Document) -> str:
    return pairs(
        switch=switch["id"],
        kind=switch["kind"],
        version=switch["version"],
        source=switch["source"],
        candidate=switch["candidate"],
        condition=switch["condition"],
        started_at=switch["started_at"],
        ended_at=switch.get("ended_at"),
        by=switch["requested_by"],
        reason=switch.get("reason") or None,
    )


def _took(switch: Document) -> str:
    started, ended = moment(switch["started_at"]), moment(switch.get("ended_at"))
    return span((ended - started).total_seconds()) if started and ended else "open"
