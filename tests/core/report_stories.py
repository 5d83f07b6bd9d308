"""Histories in words, with change manifests: what the tests of reports and of debts are told by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bluegreen.core import events as ev
from bluegreen.core.failback import Report, report
from bluegreen.core.failback_facts import Clients, Facts, PointFacts
from bluegreen.core.manifest import Advisory, Change, ChangeKind, Compatible, Direction, write_down
from bluegreen.core.phases import fold
from bluegreen.core.state import ServiceState
from bluegreen.core.verdicts import Line
from bluegreen.model import Kind, Target, TargetState
from tests.builders import SERVICE, SHIFTING, at, journal_of

THREE = ("blue", "green", "cyan")
AT_FIVE = f"{SHIFTING} set:50"
BACK = "failback proven set:1000 shifted baked completed"
BACK_FROM_FIVE = f"{AT_FIVE} failback proven set:1000 shifted baked completed"

CONTRACT = Change(ChangeKind.SCHEMA, "orders", "orders lose a column", Compatible.NO, Direction.CONTRACT)
EXPAND = Change(ChangeKind.SCHEMA, "more", "a column more", Compatible.YES, Direction.EXPAND)
FIX = Change(ChangeKind.SECURITY, "tls", "tls is mended", advisories=(Advisory("CVE-2026-1", "high"),))
DATA = Change(ChangeKind.DATA, "tax", "orders carry tax_v2", Compatible.NO, undo="run untax.sql")
UNSURE = Change(ChangeKind.API, "pay", "pay takes a currency")

Brought = tuple[str, tuple[Change, ...] | None]
"""A version and its manifest; None: none was given."""


def state_of(script: str, *brought: Brought, environments: tuple[str, ...] = ("blue", "green")) -> ServiceState:
    """The state after the history; its deployments, in turn, bring these releases."""
    return fold(SERVICE, tuple(records_of(script, *brought, environments=environments)))


def records_of(script: str, *brought: Brought, environments: tuple[str, ...] = ("blue", "green")) -> list[ev.Record]:
    coming = iter(brought)
    return [_bringing(one, coming) for one in journal_of(script, environments=environments)]


def _bringing(record: ev.Record, coming: Iterable[Brought]) -> ev.Record:
    event = record.event
    if not isinstance(event, ev.Requested) or event.switch_kind is Kind.FAILBACK:
        return record
    version, changes = next(iter(coming), ("2", None))
    text = "" if changes is None else write_down(changes)
    return replace(record, event=replace(event, version=version, changes=text))


def retold(records: Iterable[ev.Record], **fields: Any) -> ServiceState:
    """The state after the same history, were its requests otherwise."""
    said = [
        one if not isinstance(one.event, ev.Requested) else replace(one, event=replace(one.event, **fields))
        for one in records
    ]
    return fold(SERVICE, tuple(said))


def targets(**healthy: int) -> dict[str, tuple[Target, ...]]:
    return {name: (Target("t", TargetState.HEALTHY, "", 3),) * count for name, count in healthy.items()}


def facts(target: str = "blue", source: str = "green", **more: Any) -> Facts:
    """Everything known and good, unless said otherwise."""
    points = {"lb": PointFacts(targets(blue=2, green=2, cyan=2), clients=Clients(sticky=False, requests={source: 7}))}
    return replace(Facts(target, source, points, config='{"service": "web"}'), **more)


def report_of(state: ServiceState, *, seconds: float = 1000.0, **more: Any) -> Report:
    return report(state, facts(**more), at(seconds))


def line(made: Report, id_: str) -> Line:
    found = [one for one in made.lines if one.id == id_]
    assert len(found) == 1, [one.id for one in made.lines]
    return found[0]
