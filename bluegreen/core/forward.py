"""What moved forward since an environment was last live alone: the releases that came, with their manifests. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bluegreen.core.manifest import Manifest, on_record
from bluegreen.core.state import PAST_MAX, ServiceState, Switch
from bluegreen.model import Condition, Kind, Phase

_NOT_MADE = "not done"


@dataclass(frozen=True, slots=True)
class Forward:
    """One release that was brought somewhere. `began`: when its deployment did; `at`: when that ended, or began where
    that is not known; `exposed_at`: when it was first about to get real requests, None where it never was."""

    version: str | None
    artifact: str | None
    switch: str
    environment: str
    began: datetime
    at: datetime
    exposed_at: datetime | None
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Moved:
    """The releases, oldest first. `whole`: how the environment ceased to be live is on record, so that none is missing;
    `since`: when the first of the switches that led away from it began."""

    releases: tuple[Forward, ...]
    whole: bool
    since: datetime | None


def moved_forward(state: ServiceState, target: str) -> Moved:
    """Every release that was deployed since `target` was last live alone, whatever became of its switch: a migration
    that has run stays, also where its deployment was given up."""
    found: list[Switch] = []
    departed: Switch | None = None
    for switch in reversed(_switches(state)):
        if switch.candidate == target or (departed is not None and not _led_to(switch, departed)):
            break
        found.append(switch)
        if switch.kind is Kind.DEPLOYMENT and switch.source == target:
            departed = switch
    releases = [_forward(one) for one in reversed(found) if one.kind is Kind.DEPLOYMENT and _deploy_began(one)]
    return Moved(tuple(releases), departed is not None, departed.started_at if departed is not None else None)


def deployed_since(state: ServiceState, since: datetime) -> tuple[Switch, ...] | None:
    """The switches of a service that brought something or moved its traffic since then; None where its record does not
    go back so far."""
    switches = _switches(state)
    if len(state.past) == PAST_MAX and switches[0].started_at > since:
        return None
    return tuple(one for one in switches if (one.changed_at or one.started_at) >= since and _changed(one))


def _switches(state: ServiceState) -> list[Switch]:
    """All that are on record, oldest first, but for a failback that is under way."""
    every = (*state.past, *((state.switch,) if state.switch is not None else ()))
    return [one for one in every if not (one.kind is Kind.FAILBACK and one.condition.is_open)]


def _led_to(earlier: Switch, departed: Switch) -> bool:
    """Whether the one was given up for the other: `target` was not live with what it brought, in peace, in between."""
    return earlier.condition is Condition.SUPERSEDED and earlier.source == departed.source


def _changed(switch: Switch) -> bool:
    return switch.exposed_at is not None or (switch.kind is Kind.DEPLOYMENT and _deploy_began(switch))


def _deploy_began(switch: Switch) -> bool:
    """Whether its deploy step was begun: what it did from then on is done, or not known."""
    if switch.open is not None and switch.open.step == Phase.DEPLOY:
        return True
    tried = [one.outcome for one in switch.operations if one.step == Phase.DEPLOY]
    forgotten = len(switch.operations) >= PAST_MAX  # the first operations of a long switch are not kept
    return forgotten or switch.exposed_at is not None or any(outcome != _NOT_MADE for outcome in tried)


def _forward(switch: Switch) -> Forward:
    tried = [one for one in switch.operations if one.step == Phase.DEPLOY and one.outcome != _NOT_MADE]
    began, at = (tried[0].since, tried[0].at) if tried else (None, switch.started_at)
    return Forward(
        switch.version, switch.artifact, switch.id, switch.candidate, began or switch.started_at, at,
        switch.exposed_at, on_record(switch.changes),
    )  # fmt: skip
