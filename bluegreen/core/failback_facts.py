"""What a look at the world tells a report on a failback, and the lines that come of it. Pure; None is "not known"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bluegreen.core.forward import Moved, deployed_since
from bluegreen.core.readiness import Readiness
from bluegreen.core.state import ServiceState, Switch
from bluegreen.core.verdicts import Line, Verdict, clock, listed, span
from bluegreen.model import Condition, Kind, Target, TargetState, percent

DRILL_DAYS = 90
"""An older failback proves little: credentials, people and the balancer are others by then."""
_REFERENCE = re.compile(r"\$\{(?:env|file|credential):[^}]+\}")


@dataclass(frozen=True, slots=True)
class Clients:
    """What a balancer tells of its clients. `sticky`: whether they stay with the side that served them first, for
    `sticky_seconds` at the longest; `requests`: how many each environment got since it was asked for, at least;
    `requests_most`: at most, where its counters began before that. None: not told.
    """

    sticky: bool | None = None
    sticky_seconds: float | None = None
    requests: Mapping[str, int] | None = None
    requests_most: Mapping[str, int] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PointFacts:
    """One switch point as of now. `targets` is None where it cannot be read; `error` says why."""

    targets: Mapping[str, tuple[Target, ...]] | None = None
    error: str = ""
    clients: Clients = field(default_factory=Clients)


@dataclass(frozen=True, slots=True)
class FlagMoved:
    """A feature flag that was another one when the release came."""

    name: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report is made of beside the journal. `config` is the service's present configuration as JSON;
    `depends_on` has the state of each service that this one names, None where this daemon does not know it."""

    target: str
    source: str
    points: Mapping[str, PointFacts] = field(default_factory=dict)
    depends_on: Mapping[str, ServiceState | None] = field(default_factory=dict)
    flags_configured: bool = False
    flags: tuple[FlagMoved, ...] | None = None
    readiness: Readiness | None = None
    config: str = ""


def lines(state: ServiceState, facts: Facts, moved: Moved, now: datetime) -> Iterator[Line]:
    """The lines of everything that is not a manifest."""
    yield from _dependants(facts, moved)
    yield from _flags(facts)
    yield from _configuration(state, facts)
    yield from _sticky(state, facts, now)
    for name in sorted(state.points.keys() | facts.points.keys()):
        yield _capacity(name, facts, state)
    yield from _readiness(state, facts, now)
    yield _drill(state, now)


def _dependants(facts: Facts, moved: Moved) -> Iterator[Line]:
    if not facts.depends_on:
        text = "no `depends_on` is configured: whether something that this service needs has moved is not known"
        yield Line("depends-on", Verdict.UNKNOWN, text, "dependant")
    for name, other in facts.depends_on.items():
        topic, id_ = "dependant", f"depends-on:{name}"
        if other is None:
            yield Line(
                id_, Verdict.UNKNOWN, f"{name}: this daemon does not know it, nor what was deployed of it", topic
            )
            continue
        since = deployed_since(other, moved.since) if moved.since is not None else None
        if since is None:
            yield Line(id_, Verdict.UNKNOWN, f"{name}: what was deployed of it since is not on record", topic)
        elif since:
            told = "; ".join(_told(one) for one in since[-3:])
            text = f"{name} has moved since {facts.target} was last live alone: {told}"
            yield Line(id_, Verdict.UNKNOWN, text, topic)
        else:
            text = f"{name}: nothing of it was deployed since {facts.target} was last live alone"
            yield Line(id_, Verdict.SAFE, text, topic)


def _told(switch: Switch) -> str:
    return f"{switch.kind} of {switch.version or 'an unnamed version'} at {clock(switch.started_at)}"


def _flags(facts: Facts) -> Iterator[Line]:
    if not facts.flags_configured:
        text = "no `flags` are configured: whether a feature flag has changed is not known"
        yield Line("flags", Verdict.UNKNOWN, text, "flag")
    elif facts.flags is None:
        text = "what the feature flags were, or are, is not known"
        yield Line("flags", Verdict.UNKNOWN, text, "flag")
    elif not facts.flags:
        yield Line(
            "flags", Verdict.SAFE, f"no feature flag has changed since {facts.target} was last live alone", "flag"
        )
    for one in facts.flags or ():
        text = f"flag {one.name} was {one.then}, and is {one.now}: {facts.target} was never live with that"
        yield Line(f"flag-moved:{one.name}", Verdict.UNKNOWN, text, "flag")


def _configuration(state: ServiceState, facts: Facts) -> Iterator[Line]:
    then = _config_of(state, facts.target)
    if then is None:
        text = f"which configuration {facts.target}'s release came with is not on record"
        yield Line("config", Verdict.UNKNOWN, text, "config")
    elif not (changed := _changed_keys(then, facts.config)):
        text = f"the configuration is the one that {facts.target}'s release came with"
        yield Line("config", Verdict.SAFE, text, "config")
    else:
        text = f"the configuration is another one than when {facts.target}'s release came: {listed(changed)} changed"
        yield Line("config", Verdict.UNKNOWN, text, "config")
    names = _references(facts.config)
    if moved := sorted(names ^ _references(then)) if then is not None else []:
        text = f"references to credentials have changed since {facts.target}'s release came: {listed(moved)}"
        yield Line("credentials", Verdict.UNKNOWN, text, "config")
    else:
        which = f"what stands behind {listed(sorted(names))}" if names else f"what {facts.target} itself logs in with"
        text = f"whether {which} was changed since is not known here"
        yield Line("credentials", Verdict.UNKNOWN, text, "config")


def _config_of(state: ServiceState, environment: str) -> str | None:
    release = state.releases.get(environment)
    every = (*state.past, *((state.switch,) if state.switch is not None else ()))
    return next((one.config for one in every if release is not None and one.id == release.switch), None)


def _changed_keys(then: str, now: str) -> list[str]:
    """The top keys whose values differ; a key that a newer program writes down as empty is none."""
    if then == now:
        return []
    try:
        before, after = json.loads(then), json.loads(now)
        return sorted(
            key for key in before.keys() | after.keys() if (before.get(key) or None) != (after.get(key) or None)
        )
    except (ValueError, AttributeError):
        return ["something"]


def _references(config: str) -> set[str]:
    """References to secrets, as written; a configuration on record has nothing else of them."""
    return set(_REFERENCE.findall(config))


def _sticky(state: ServiceState, facts: Facts, now: datetime) -> Iterator[Line]:
    for name in sorted(state.points.keys() | facts.points.keys()):
        clients = facts.points[name].clients if name in facts.points else Clients()
        id_, stay = f"sticky:{name}", f"clients that {facts.source} served stay with it"
        if clients.sticky is None:
            why = f": {clients.why}" if clients.why else ""
            text = f"whether clients stay with the side that served them is not known at {name}{why}"
            yield Line(id_, Verdict.UNKNOWN, text, "stickiness")
        elif not clients.sticky:
            text = f"no client is held at {name}: who comes anew goes where the weights say"
            yield Line(id_, Verdict.SAFE, text, "stickiness")
        elif clients.sticky_seconds is None:
            text = f"{stay} at {name}, nobody knows for how long{f': {clients.why}' if clients.why else ''}"
            yield Line(id_, Verdict.UNKNOWN, text, "stickiness")
        else:
            latest = clock(now + timedelta(seconds=clients.sticky_seconds))
            text = f"{stay} at {name} until {latest} at the latest; how many there are is not known"
            yield Line(id_, Verdict.UNKNOWN, text, "stickiness")


def _capacity(name: str, facts: Facts, state: ServiceState) -> Line:
    id_, seen = f"capacity:{name}", facts.points.get(name, PointFacts())
    if seen.targets is None:
        text = f"{name} cannot be read: {seen.error or 'not read yet'}"
        return Line(id_, Verdict.UNKNOWN, text, "capacity")
    targets = seen.targets
    able, live = _healthy(targets, facts.target), _healthy(targets, facts.source)
    all_of_it = len(targets.get(facts.target, ()))
    share = state.points[name].native.share(facts.source) if name in state.points else 0
    load = f"{facts.source} has {percent(share)} of the traffic on {live} healthy targets"
    in_flight = [one.in_flight for one in targets.get(facts.source, ())]
    if in_flight and None not in in_flight:
        load += f", {sum(one or 0 for one in in_flight)} requests in flight"
    text = f"{name}: {able} of {all_of_it} targets of {facts.target} are healthy; {load}"
    return Line(id_, Verdict.UNSAFE if able == 0 or able < live else Verdict.SAFE, text, "capacity")


def _healthy(targets: Mapping[str, tuple[Target, ...]], environment: str) -> int:
    return sum(one.state is TargetState.HEALTHY for one in targets.get(environment, ()))


def _readiness(state: ServiceState, facts: Facts, now: datetime) -> Iterator[Line]:
    readiness, topic = facts.readiness, "readiness"
    if readiness is None or not readiness.proofs or readiness.environment != facts.target:
        share = state.share(facts.target)
        carries = f"; it carries {percent(share)} of the traffic at this moment" if share else ""
        text = f"{facts.target} was not proven beforehand{carries}; a failback proves it before any traffic moves"
        yield Line("ready", Verdict.UNKNOWN, text, topic)
        return
    for proof in readiness.proofs:
        id_, age = f"ready:{proof.finding.check}", span((now - proof.at).total_seconds())
        told = proof.finding.summary
        if not proof.looked:
            yield Line(id_, Verdict.UNKNOWN, told, topic)
        elif not proof.finding.ok:
            yield Line(id_, Verdict.UNSAFE, f"{told} ({age} ago)", topic)
        elif proof.is_fresh(now) and not proof.finding.proven:
            yield Line(id_, Verdict.UNKNOWN, f"{told} (asked {age} ago)", topic)
        elif proof.is_fresh(now):
            yield Line(id_, Verdict.SAFE, f"{told} ({age} ago)", topic)
        else:
            yield Line(id_, Verdict.UNKNOWN, f"last proven {age} ago: {told}", topic)


def _drill(state: ServiceState, now: datetime) -> Line:
    every = (*state.past, *((state.switch,) if state.switch is not None else ()))
    done = [one for one in every if one.kind is Kind.FAILBACK and one.condition is Condition.COMPLETED and one.ended_at]
    if not done or (ended := done[-1].ended_at) is None:
        return Line("drill", Verdict.UNKNOWN, "no failback of this service was ever completed", "drill")
    age, took = (now - ended).total_seconds(), (ended - done[-1].started_at).total_seconds()
    text = f"the last failback was {span(age)} ago and took {took:.1f} s ({done[-1].requested_by})"
    verdict = Verdict.SAFE if age <= DRILL_DAYS * 86400 else Verdict.UNKNOWN
    return Line("drill", verdict, text, "drill")
