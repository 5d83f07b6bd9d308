"""The report on a failback: what is known to be safe, what is not safe, and what nobody knows. Pure.

What is unknown is never shown as safe: a line is `safe` only where a fact says so. `advice` is text, never executed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from bluegreen.core import failback_facts
from bluegreen.core.failback_facts import Facts
from bluegreen.core.forward import Forward, Moved, moved_forward
from bluegreen.core.manifest import Change, ChangeKind, Compatible, Direction
from bluegreen.core.state import ServiceState
from bluegreen.core.verdicts import Line, Verdict, clock, listed, span

LONG_LIVE_SECONDS = 4 * 3600.0
"""From here on the new side has written so much that the way forward is mostly the shorter one."""
_ORDER = (Verdict.UNSAFE, Verdict.UNKNOWN, Verdict.SAFE)


@dataclass(frozen=True, slots=True)
class Report:
    """The lines, unsafe ones first; `advice` is empty where no rule says to go forward rather than back."""

    lines: tuple[Line, ...]
    advice: str

    def unsafe(self) -> tuple[Line, ...]:
        """What an operator has to acknowledge by name."""
        return tuple(line for line in self.lines if line.verdict is Verdict.UNSAFE)


def report(state: ServiceState, facts: Facts, now: datetime) -> Report:
    """What a failback to `facts.target` risks, as of now."""
    moved = moved_forward(state, facts.target)
    changes = [(release, change) for release in moved.releases for change in release.manifest.changes]
    found = [
        _no_return(moved, facts, now),
        *_changes(changes, facts.target),
        *_unsaid(moved, facts.target),
        *_time(moved, facts, now),
        *failback_facts.lines(state, facts, moved, now),
    ]
    ordered = sorted(_named_once(found), key=lambda line: _ORDER.index(line.verdict))
    return Report(tuple(ordered), _advice(state.service, moved, changes, now))


# --- what the manifests say ---


def _changes(changes: list[tuple[Forward, Change]], target: str) -> Iterator[Line]:
    for release, change in changes:
        what = f"{release.version}: {change.summary}"
        verdict, why = judged(change, target)
        undo = f" To undo it: {change.undo}" if change.undo and verdict is not Verdict.SAFE else ""
        yield Line(change.name, verdict, f"{what}. {why}{undo}", change.kind)


def judged(change: Change, target: str) -> tuple[Verdict, str]:
    """What a change means for a failback to `target`, and why."""
    if change.kind is ChangeKind.SECURITY:
        undone = listed([str(one) for one in change.advisories]) if change.advisories else "a security fix"
        return Verdict.UNSAFE, f"A failback undoes it: {undone} is open again on {target}."
    if change.phase is Direction.CONTRACT:
        declared = ", though it is declared backward compatible" if change.backward_compatible == "yes" else ""
        return Verdict.UNSAFE, f"A contract takes away what {target} may still use{declared}."
    match change.backward_compatible:
        case Compatible.YES:
            return Verdict.SAFE, f"Declared backward compatible: {target} can live with it."
        case Compatible.NO:
            return Verdict.UNSAFE, f"Declared not backward compatible: {target} cannot live with it."
        case Compatible.UNKNOWN:
            return Verdict.UNKNOWN, f"Nobody has said whether {target} can live with it."
    assert_never(change.backward_compatible)


def _unsaid(moved: Moved, target: str) -> Iterator[Line]:
    """What no manifest tells: one line a release."""
    if not moved.whole:
        text = f"how {target} ceased to be live is not on record, nor all that was deployed since"
        yield Line("record", Verdict.UNKNOWN, text, "manifest")
    for release in moved.releases:
        name = f"manifest:{release.version}"
        if not release.manifest.given:
            text = f"{release.version} came without a change manifest ({clock(release.at)}): what it moved is not known"
            yield Line(name, Verdict.UNKNOWN, text, "manifest")
        elif release.manifest.unread:
            text = f"{release.manifest.unread} entries of {release.version}'s change manifest cannot be understood"
            yield Line(name, Verdict.UNKNOWN, text, "manifest")
        elif not release.manifest.changes:
            text = f"{release.version} changed nothing but code, says its manifest"
            yield Line(name, Verdict.SAFE, text, "manifest")


def _no_return(moved: Moved, facts: Facts, now: datetime) -> Line:
    """Until when a failback needs no work on data. A contract migration ends that at once."""
    id_, topic = "point-of-no-return", "point-of-no-return"
    told = moved.whole and all(release.manifest.is_whole for release in moved.releases)
    past = [(one, change) for one in moved.releases for change in one.manifest.changes if change.takes_data_past]
    if past:
        release, change = past[0]
        latest = "" if told else " at the latest"
        clean = f"clean until {clock(release.began)}{latest}, needs data work after {clock(release.at)}"
        text = f"{clean}: {release.version} brought {change.name}"
        return Line(id_, Verdict.UNSAFE, text, topic)
    unsure = [change.name for one in moved.releases for change in one.manifest.changes if change.may_take_data_past]
    if unsure or not told:
        why = f"nobody has said what {listed(unsure)} does" if unsure else "not all that moved forward is known"
        return Line(id_, Verdict.UNKNOWN, f"{_clean_until(moved)}{why}", topic)
    text = f"clean until now ({clock(now)}): nothing is on record that takes data past what {facts.target} reads"
    return Line(id_, Verdict.SAFE, text, topic)


def _clean_until(moved: Moved) -> str:
    """Nothing that was brought before the first release of which this is not known can need work on data."""
    first = next((one for one in moved.releases if not _is_clean(one)), None)
    if first is None or not moved.whole:
        return "whether a failback needs work on data is not known: "
    return f"clean until {clock(first.began)}; whether a failback needs work on data after that is not known: "


def _is_clean(release: Forward) -> bool:
    return release.manifest.is_whole and not any(change.may_take_data_past for change in release.manifest.changes)


# --- how long, and how much ---


def _time(moved: Moved, facts: Facts, now: datetime) -> Iterator[Line]:
    """A time stamp and a number prove nothing by themselves: they are safe where nothing written can be foreign."""
    began = _exposed_at(moved)
    if began is None:
        text = f"when {facts.source} got its first real request is not on record"
        yield Line("live", Verdict.UNKNOWN, text, "time")
    else:
        since = f"{clock(began)} ({span((now - began).total_seconds())})"
        text = f"the new side has had real requests since {since}: what it wrote, {facts.target} has to read"
        yield Line("live", _verdict_of_writes(moved), text, "time")
    yield _requests(moved, facts)


def _requests(moved: Moved, facts: Facts) -> Line:
    clients = [one.clients for one in facts.points.values()]
    least = [(one.requests or {}).get(facts.source) for one in clients]
    most = [(one.requests_most or {}).get(facts.source) for one in clients]
    verdict, text = Verdict.UNKNOWN, f"how many requests {facts.source} has served is not told by the balancer"
    if least and None not in least:
        text = f"{facts.source} has served {sum(one or 0 for one in least)} requests since, at least"
        verdict = _verdict_of_writes(moved)
    elif most and None not in most:
        counted = sum(one or 0 for one in most)
        text = f"{facts.source} has served {counted} requests since, at most: the balancer counts from its own start"
    return Line("requests", verdict, text, "time")


def first_share(state: ServiceState, target: str) -> datetime | None:
    """When the side that `target` would take over from got its first real request; None where that is not on record."""
    return _exposed_at(moved_forward(state, target))


def _exposed_at(moved: Moved) -> datetime | None:
    exposed = [release.exposed_at for release in moved.releases if release.exposed_at is not None]
    return min(exposed) if moved.whole and exposed else None


def _verdict_of_writes(moved: Moved) -> Verdict:
    """Unsafe entries have lines of their own; here they only keep the time from being called safe."""
    manifests = [release.manifest for release in moved.releases]
    whole = moved.whole and all(one.is_whole for one in manifests)
    clean = not any(change.may_take_data_past or change.takes_data_past for one in manifests for change in one.changes)
    return Verdict.SAFE if whole and clean else Verdict.UNKNOWN


def _advice(service: str, moved: Moved, changes: list[tuple[Forward, Change]], now: datetime) -> str:
    """When to roll forward rather than back."""
    reasons = []
    if stored := [change.name for _, change in changes if change.kind is ChangeKind.SCHEMA or change.takes_data_past]:
        reasons.append(f"the schema or data has moved ({listed(stored)})")
    if contracts := [change.name for _, change in changes if change.kind is ChangeKind.API]:
        reasons.append(f"a contract with others has changed ({listed(contracts)})")
    if fixes := [change.name for _, change in changes if change.kind is ChangeKind.SECURITY]:
        reasons.append(f"a security fix would be undone ({listed(fixes)})")
    began = _exposed_at(moved)
    if began is not None and (age := (now - began).total_seconds()) > LONG_LIVE_SECONDS:
        reasons.append(f"the new side has been in use for {span(age)}")
    if not reasons:
        return ""
    return f"roll forward rather than back: {'; '.join(reasons)}. bluegreen deploy {service} VERSION"


def _named_once(found: list[Line]) -> Iterator[Line]:
    """No two lines have one id: the oldest keeps it, so that it stays what it was when newer ones come."""
    seen: dict[str, int] = {}
    for line in found:
        seen[line.id] = seen.get(line.id, 0) + 1
        yield line if seen[line.id] == 1 else replace(line, id=f"{line.id}#{seen[line.id]}")
