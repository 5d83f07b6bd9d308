"""What each environment said it runs, when it was last asked; and the words that the probe tells it in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluegreen.core.events import Record
    from bluegreen.core.state import ServiceState

PROBE = "digest"
"""The probe's name among findings."""
ENVIRONMENT, RUNS, GIVEN, TARGETS = "environment", "runs", "given", "targets"
WRONG, SILENT = "wrong", "unanswered"
"""Keys in the detail of its findings: where it asked, what was answered, what was given at deploy, how many targets
were asked; there where another artifact answered; there with the reason where no usable answer came."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer. `runs` is empty where there was none; `same` is None where nothing was given to compare with."""

    at: datetime
    runs: str
    given: str
    same: bool | None
    summary: str
    targets: str = ""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """This topic's part of the state."""

    told: Mapping[str, Told] = field(default_factory=dict)
    """By environment; gone as soon as a deployment to it begins."""


def fold(part: Artifacts, before: ServiceState, after: ServiceState, record: Record) -> Artifacts:
    """One entry further."""
    from bluegreen.core import events as ev
    from bluegreen.model import Phase

    match record.event:
        case ev.SmokePassed(findings=findings) | ev.WarmProven(findings=findings) | ev.Halted(findings=findings):
            told = {one.detail[ENVIRONMENT]: _told(one.detail, one.ok, one.summary, record.at) for one in findings
                    if one.check == PROBE and ENVIRONMENT in one.detail}  # fmt: skip
            return replace(part, told={**part.told, **told}) if told else part
        case ev.StepStarted(step=Phase.DEPLOY) if after.open_switch is not None:
            candidate = after.open_switch.candidate
            return replace(part, told={name: one for name, one in part.told.items() if name != candidate})
        case _:
            return part


def _told(detail: Mapping[str, str], ok: bool, summary: str, at: datetime) -> Told:
    given, runs = detail.get(GIVEN, ""), detail.get(RUNS, "")
    same = None if not given or not runs else ok and WRONG not in detail
    return Told(at, runs, given, same, summary, detail.get(TARGETS, ""))
