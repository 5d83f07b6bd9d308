"""Freezes as people write them, and the instants that they mean: over midnights, weeks and clocks that are put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.freeze import DAYS, FreezeWindow
from bluegreen.core.requests import Frozen
from bluegreen.freezes import AHEAD, Freezes


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def window(start: str, end: str, zone: str = "UTC") -> FreezeWindow:
    return FreezeWindow(name="quiet", start=start, end=end, zone=zone)


def active(at: str, *windows: FreezeWindow) -> list[tuple[str, str]]:
    found = Freezes(lambda: windows).active(utc(at))
    return [(f"{one.since:%a %d %H:%M}", f"{one.until:%a %d %H:%M}") for one in found]


WEEKEND = window("Fri 16:00", "Mon 08:00")
NIGHT = window("22:00", "06:00")
YEAR_END = window("2026-12-20 18:00", "2027-01-03T07:00", "Europe/Zurich")


@pytest.mark.parametrize(
    ("at", "one", "expected"),
    [
        ("2026-11-27T15:59:59", WEEKEND, []),
        ("2026-11-27T16:00", WEEKEND, [("Fri 27 16:00", "Mon 30 08:00")]),
        ("2026-11-29T12:00", WEEKEND, [("Fri 27 16:00", "Mon 30 08:00")]),
        ("2026-11-30T07:59:59", WEEKEND, [("Fri 27 16:00", "Mon 30 08:00")]),
        ("2026-11-30T08:00", WEEKEND, []),
        ("2026-11-23T21:59", NIGHT, []),
        ("2026-11-23T22:00", NIGHT, [("Mon 23 22:00", "Tue 24 06:00")]),
        ("2026-11-24T05:59", NIGHT, [("Mon 23 22:00", "Tue 24 06:00")]),
        ("2026-11-24T06:00", NIGHT, []),
        ("2026-11-24T12:30", window("12:00", "13:00"), [("Tue 24 12:00", "Tue 24 13:00")]),
        ("2026-12-20T16:59", YEAR_END, []),
        ("2026-12-20T17:00", YEAR_END, [("Sun 20 17:00", "Sun 03 06:00")]),
        ("2027-01-03T06:00", YEAR_END, []),
        # the same day of the week, ending before it begins: it lasts into the next week
        ("2026-11-23T21:59", window("Mon 09:00", "Mon 08:00"), [("Mon 23 09:00", "Mon 30 08:00")]),
        # Zurich's clocks are put forward on 28 March 2027 at 02:00, and back on 31 October at 03:00: the longer reading
        ("2027-03-28T00:30", window("02:30", "05:00", "Europe/Zurich"), [("Sun 28 00:30", "Sun 28 03:00")]),
        ("2027-03-28T01:29", window("00:00", "02:30", "Europe/Zurich"), [("Sat 27 23:00", "Sun 28 01:30")]),
        ("2027-10-31T00:30", window("02:30", "05:00", "Europe/Zurich"), [("Sun 31 00:30", "Sun 31 04:00")]),
        ("2027-10-31T01:29", window("00:00", "02:30", "Europe/Zurich"), [("Sat 30 22:00", "Sun 31 01:30")]),
    ],
)
def test_a_freeze_is_in_force_from_its_start_until_its_end(
    at: str, one: FreezeWindow, expected: list[tuple[str, str]]
) -> None:
    assert active(at, one) == expected


def test_several_at_once_are_all_told() -> None:
    assert len(active("2026-11-28T23:00", WEEKEND, NIGHT, YEAR_END)) == 2


def test_the_next_one_is_told_a_day_ahead() -> None:
    freezes = Freezes(lambda: (WEEKEND, YEAR_END))
    assert freezes.next(utc("2026-11-26T15:59")) is None
    coming = freezes.next(utc("2026-11-26T16:00"))
    assert coming is not None
    assert (coming.since, coming.until) == (utc("2026-11-27T16:00"), utc("2026-11-30T08:00"))
    assert freezes.next(utc("2026-11-27T16:00")) is None  # it is in force


ZONES = st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
CLOCK = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
TIMES = st.one_of(st.tuples(CLOCK, CLOCK), *[st.tuples(*[st.builds("{} {}".format, st.sampled_from(DAYS), CLOCK)] * 2)])
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(TIMES.filter(lambda both: both[0] != both[1]), ZONES, INSTANTS)
def test_whoever_reads_the_clock_on_the_wall_agrees(times: tuple[str, str], zone: str, now: datetime) -> None:
    """By the clock on the wall alone, but for the hours around a day on which it is put back or forward."""
    one = window(*times, zone)
    local = now.astimezone(ZoneInfo(zone))
    around = [(now + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset() for hours in range(-192, 193, 6)]
    found = Freezes(lambda: [one]).active(now)
    assert len(found) <= 1
    assert all(since <= now < until for since, until in ((each.since, each.until) for each in found))
    if len(set(around)) == 1:
        assert bool(found) is _by_the_wall(one, local)


def _by_the_wall(one: FreezeWindow, local: datetime) -> bool:
    def minutes(day: int | None, hour: int, minute: int) -> int:
        return (day or 0) * 1440 + hour * 60 + minute

    begins, ends = (minutes(each.day, each.at.hour, each.at.minute) for each in (one.begins, one.ends))
    weekly = one.begins.day is not None
    at = minutes(local.weekday() if weekly else None, local.hour, local.minute)
    return begins <= at < ends if begins < ends else at >= begins or at < ends


@given(TIMES.filter(lambda both: both[0] != both[1]), ZONES, INSTANTS)
def test_what_is_announced_comes(times: tuple[str, str], zone: str, now: datetime) -> None:
    freezes = Freezes(lambda: [window(*times, zone)])
    coming: Frozen | None = freezes.next(now)
    if coming is not None:
        assert now < coming.since <= now + AHEAD
        assert coming in freezes.active(coming.since)
