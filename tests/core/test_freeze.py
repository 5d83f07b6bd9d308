"""What a freeze holds up, and what it never does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bluegreen.core import admit as ad
from bluegreen.core.freeze import FREEZABLE, period
from bluegreen.core.halts import options
from bluegreen.core.requests import Frozen
from bluegreen.errors import Refused
from tests.builders import DEPLOYED, SHIFTING, at, deploy, failback, make_plan, state_after

ALL = Frozen("year-end", "the busiest weeks", tuple(FREEZABLE), at(-10), at(7200))
WAITING = f"{SHIFTING} set:50 watched:60 awaited"


def admitted(request: ad.AnyRequest, script: str, *frozen: Frozen, override: bool = False) -> bool:
    state = state_after(script, make_plan(wait=None) if "awaited" in script else make_plan())
    asked = replace(request, frozen=frozen, override_freeze=override)
    return bool(ad.admit(asked, state, at(0)))


CASES: list[tuple[ad.AnyRequest, str]] = [
    (deploy("s9"), ""),
    (ad.Approve(), WAITING),
    (ad.Promote(), SHIFTING),
    (ad.Release(), DEPLOYED),
]


@pytest.mark.parametrize(("request_", "script"), CASES)
def test_what_begins_a_new_risk_waits_for_its_end_or_is_overridden(request_: ad.AnyRequest, script: str) -> None:
    assert admitted(request_, script)
    with pytest.raises(Refused, match=r"is frozen for web until 2026-11-23 11:00 UTC: year-end \(the busiest weeks\)"):
        admitted(request_, script, ALL)
    assert admitted(request_, script, ALL, override=True)
    assert admitted(request_, script, replace(ALL, actions=()))


def test_a_failback_an_abort_and_a_halt_are_never_frozen() -> None:
    assert admitted(failback("s9", reason="v2 is ill"), DEPLOYED, ALL)
    assert admitted(ad.Stop(reason="look at that"), SHIFTING, ALL)
    assert admitted(ad.Abort(), "requested preflight", ALL)
    assert admitted(ad.Pause(), SHIFTING, ALL)


def test_at_a_halt_a_freeze_holds_nothing_up() -> None:
    """Every way that is lawful without a freeze is lawful in one: what ends a halt is no new risk."""
    for script in (f"{SHIFTING} set:50 halted:errors", "requested preflight deployed halted:targets"):
        state = state_after(script)
        free = options(state, ("blue", "green"), at(0))
        assert options(state, ("blue", "green"), at(0), frozen=(ALL,)) == free


def test_the_list_of_ways_says_what_a_freeze_holds_up_and_until_when() -> None:
    state = state_after(DEPLOYED)
    one = {option.verb: option for option in options(state, ("blue", "green"), at(0), frozen=(ALL,))}
    assert not one["release"].lawful
    assert "is frozen for web until 2026-11-23 11:00 UTC" in one["release"].why_not
    assert "--override-freeze" in one["release"].instead
    assert one["failback"].lawful


def test_it_is_told_with_what_it_holds_up_and_when():
    assert period(replace(ALL, actions=("deploy", "release"))) == (
        f"deploy, release from {at(-10):%Y-%m-%d %H:%M} until {at(7200):%Y-%m-%d %H:%M} UTC (the busiest weeks)"
    )
    assert period(replace(ALL, why="")).endswith(" UTC")
