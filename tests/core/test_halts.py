"""The ways on and back, as people are shown them."""

from __future__ import annotations

import pytest

from bluegreen.core.halts import Option, options
from tests.builders import DEPLOYED, SHIFTING, at, state_after

HALF = f"{SHIFTING} set:50 watched:60 reached:0 set:500"


def _shown(script: str) -> dict[str, Option]:
    return {option.verb: option for option in options(state_after(script), ("blue", "green"), at(0))}


def _lawful(script: str) -> set[str]:
    return {verb for verb, option in _shown(script).items() if option.lawful}


@pytest.mark.parametrize(
    ("script", "verbs"),
    [
        ("", {"deploy"}),
        ("drift:100", {"restore", "adopt", "leave"}),
        ("drift:100 left", {"restore", "adopt"}),
        ("drift:100 ordered", set()),
        ("drift:100 ordered restoring strayed", set()),
        ("drift:100 ordered restoring strayed unread", {"adopt"}),
        (f"{HALF} stopped drift:100", {"restore", "adopt", "leave"}),
        (DEPLOYED, {"failback", "release"}),
        ("requested", {"pause", "halt", "abort"}),
        ("requested paused", {"resume", "halt", "abort"}),
        ("requested halted", {"resume", "accept", "abort", "deploy"}),
        ("requested broken", {"resume", "abort", "deploy"}),
        (f"{HALF}", {"pause", "promote", "halt", "failback"}),
        (f"{HALF} awaited", {"approve", "promote", "halt", "failback"}),
        (f"{HALF} stopped", {"resume", "promote", "failback"}),
        (f"{HALF} drifted", {"resume", "promote", "failback", "adopt"}),
        (f"{SHIFTING} writing:50 lost", {"pause", "promote", "halt", "failback"}),
        (f"{SHIFTING} writing:50 lost stopped", {"resume", "promote", "failback", "adopt"}),
        (f"{DEPLOYED} failback stopped", {"resume", "abort"}),
    ],
)  # fmt: skip
def test_what_is_lawful_where(script: str, verbs: set[str]):
    assert _lawful(script) == verbs


def test_the_lawful_ways_come_first_and_the_others_say_why_not():
    found = options(state_after(f"{HALF} stopped"), ("blue", "green"), at(0))
    assert [option.lawful for option in found] == sorted((option.lawful for option in found), reverse=True)
    assert all(bool(option.why_not) != option.lawful for option in found)
    assert all(option.effect for option in found if option.lawful)


def test_adopting_is_not_offered_while_the_switch_goes_on():
    """A write whose answer was lost is looked up at that very moment."""
    assert not _shown(f"{SHIFTING} writing:50 lost")["adopt"].lawful
    assert not _shown(f"{SHIFTING} set:50 drift:300")["adopt"].lawful


@pytest.mark.parametrize(
    ("script", "verb", "effect"),
    [
        (f"{HALF} stopped", "resume", "none at first: shift runs again; then green goes to 100%"),
        (f"{HALF} paused", "resume", "then green goes to 100%"),
        (f"{SHIFTING} set:1000 shifted paused", "resume", "green stays at 100%"),
        (f"{SHIFTING} halted", "accept", "none at first: shift runs again; then green goes to 5%, 50%, 100%"),
        (f"{SHIFTING} set:50 awaited", "approve", "green goes to 50%"),
        (HALF, "promote", "green goes to 100%, after its checks have run again"),
        (HALF, "failback", "blue goes to 100%, green to 0%, after blue was proven"),
        (DEPLOYED, "failback", "blue goes to 100%, green to 0%, after blue was proven"),
        ("requested", "abort", "none"),
    ],
)  # fmt: skip
def test_each_way_says_what_it_does_to_the_traffic(script: str, verb: str, effect: str):
    assert _shown(script)[verb].effect == effect


def test_what_answers_a_drift_comes_first_and_says_exactly_what_it_writes():
    found = options(state_after(f"{HALF} stopped drift:100"), ("blue", "green"), at(0))
    assert [option.verb for option in found[:3]] == ["restore", "adopt", "leave"]
    assert found[0].effect == "lb goes from blue 90% green 10% to blue 50% green 50%"
    assert found[1].effect == "none; the journal takes lb: blue 90% green 10%"
    assert found[2].effect.startswith("none; nothing is written")
    assert "first put it right at the balancer" in _shown(f"{HALF} stopped drift:100")["resume"].why_not


def test_each_way_names_its_command():
    shown = _shown("requested halted:latency")
    assert shown["accept"].command == 'bluegreen accept web latency --reason "…"'
    assert all(option.command.startswith(f"bluegreen {verb} web") for verb, option in shown.items())


def test_a_check_that_was_accepted_is_not_offered_again():
    assert "accept" not in _shown("requested halted accepted halted")
