"""Which freezes are in force, and which comes next: from the times on a wall's clock to instants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from bluegreen.config.freeze import FreezeWindow, Moment
from bluegreen.core.requests import Frozen

AHEAD = timedelta(hours=24)
"""How long before it begins a freeze is announced."""


class Freezes:
    """The freezes of one service; `windows` gives those that are configured now."""

    def __init__(self, windows: Callable[[], Sequence[FreezeWindow]] = tuple) -> None:
        self._windows = windows

    def active(self, now: datetime) -> tuple[Frozen, ...]:
        """Those in force."""
        return tuple(one for window in self._windows() for one in occurrences(window, now) if one.since <= now)

    def next(self, now: datetime) -> Frozen | None:
        """The first one that begins within AHEAD."""
        found = [one for window in self._windows() for one in occurrences(window, now)]
        return min((one for one in found if now < one.since <= now + AHEAD), key=lambda one: one.since, default=None)


def occurrences(window: FreezeWindow, now: datetime) -> Iterator[Frozen]:
    """The one that is in force and the ones after it, as far as a day, a week, or all time goes."""
    begins, ends, zone = window.begins, window.ends, ZoneInfo(window.zone)
    for first in _days(begins, now.astimezone(zone).date()):
        last = ends.on or first + timedelta(days=_length(begins, ends))
        since, until = min(_instants(first, begins, zone)), max(_instants(last, ends, zone))
        if now < until:
            yield Frozen(window.name, window.why, tuple(window.actions), since, until)


def _days(begins: Moment, today: date) -> Iterator[date]:
    """The days on which it may begin: the one before today's, today's and the one after."""
    if begins.on is not None:
        yield begins.on
    elif begins.day is None:
        yield from (today + timedelta(days=shift) for shift in (-1, 0, 1))
    else:
        monday = today - timedelta(days=today.weekday())
        yield from (monday + timedelta(days=begins.day + shift) for shift in (-7, 0, 7))


def _length(begins: Moment, ends: Moment) -> int:
    """Days from the one it begins on to the one it ends on."""
    if begins.day is None or ends.day is None:
        return int(ends.at <= begins.at)
    days = (ends.day - begins.day) % 7
    return 7 if days == 0 and ends.at <= begins.at else days


def _instants(day: date, moment: Moment, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants that a clock on the wall may mean: two, where it is put back or forward. A freeze takes the longer
    reading: the earlier beginning, the later end."""
    shown = datetime.combine(day, moment.at, zone)
    return shown.astimezone(UTC), shown.replace(fold=1).astimezone(UTC)
