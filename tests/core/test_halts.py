"""The ways on and back, as people are shown them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bluegreen.core.admit import admit
from bluegreen.core.events import Halted
from bluegreen.core.halts import advised, options
from bluegreen.core.readiness import Proof, Readiness
from bluegreen.core.requests import Stop
from bluegreen.core.ways import Option
from bluegreen.model import WHOLE
from tests.builders import DEPLOYED, SHIFTING, at, finding, make_plan, state_after, the_switch

HALF = f"{SHIFTING} set:50 watched:60 reached:0 set:500"
STAYS = "blue 50% -> 50%, green 50% -> 50%"
LOST = f"{SHIFTING} writing:50 lost"


def _all(script: str, environments: tuple[str, ...] = ("blue", "green")) -> tuple[Option, ...]:
    state = state_after(script, environments=environments)
    return options(state, environments, at(0), make_plan(), make_plan(steps=(WHOLE,), bake=0))


def _shown(script: str, environments: tuple[str, ...] = ("blue", "green")) -> dict[str, Option]:
    return {option.verb: option for option in _all(script, environments)}


def _lawful(script: str, environments: tuple[str, ...] = ("blue", "green")) -> set[str]:
    return {verb for verb, option in _shown(script, environments).items() if option.lawful}


@pytest.mark.parametrize(
    ("script", "verbs"),
    [
        ("", {"deploy"}),
        ("drift:100", {"restore", "adopt", "leave"}),
        ("drift:100 left", {"restore", "adopt"}),
        ("drift:100 ordered", set()),
        ("drift:100 ordered restoring strayed", set()),
        ("drift:100 ordered restoring strayed unread", {"adopt"}),
        (f"{HALF} stopped drift:100", {"hold", "restore", "adopt", "leave"}),
        (DEPLOYED, {"failback", "release"}),
        ("requested", {"pause", "halt", "abort"}),
        ("requested paused", {"resume", "halt", "abort"}),
        ("requested halted", {"hold", "resume", "accept", "abort", "deploy"}),
        ("requested broken", {"hold", "resume", "abort", "deploy"}),
        (f"{HALF}", {"pause", "promote", "halt", "failback"}),
        (f"{HALF} awaited", {"approve", "promote", "halt", "failback"}),
        (f"{HALF} stopped", {"hold", "resume", "promote", "failback"}),
        (f"{HALF} drifted", {"hold", "resume", "promote", "failback", "adopt"}),
        (LOST, {"pause", "promote", "halt", "failback"}),
        (f"{LOST} stopped", {"hold", "failback"}),
        (f"{LOST} vain", {"hold", "resume", "failback", "adopt"}),
        (f"{LOST} stopped found", {"hold", "resume", "promote", "failback"}),
        ("requested preflight deploying stopped", {"hold", "resume", "abort"}),
        ("requested preflight deploying stopped restarted", {"hold", "abort"}),
        (f"{DEPLOYED} failback stopped", {"hold", "resume", "deploy", "abort"}),
    ],
)  # fmt: skip
def test_what_is_lawful_where(script: str, verbs: set[str]):
    assert _lawful(script) == verbs


@pytest.mark.parametrize("script", ["requested halted", f"{HALF} stopped", f"{HALF} stopped drift:100", DEPLOYED])
def test_the_lawful_ways_come_first_the_safest_before_the_others_and_the_rest_says_why_not(script: str):
    found = _all(script)
    assert [option.lawful for option in found] == sorted((option.lawful for option in found), reverse=True)
    assert all(bool(option.why_not) != option.lawful for option in found)
    for option in found:
        told = (option.effect, option.duration, option.risk, option.traffic)
        assert all(told) if option.lawful else not any(told)


def test_staying_comes_first_then_going_on_then_forward_then_back():
    assert [one.verb for one in _all(f"{HALF} stopped") if one.lawful] == ["hold", "resume", "promote", "failback"]
    shown = [(one.label, one.moves_traffic) for one in _all("requested halted:latency") if one.lawful]
    assert shown == [
        ("hold", False), ("retry", True), ("accept latency", True), ("roll forward", True), ("abort", False),
    ]  # fmt: skip
    assert _shown(f"{HALF} stopped")["resume"].label == "resume", "nothing failed: there is nothing to try again"


def test_adopting_is_not_offered_while_the_switch_goes_on():
    """A write whose answer was lost is looked up at that very moment."""
    assert not _shown(LOST)["adopt"].lawful
    assert not _shown(f"{SHIFTING} set:50 drift:300")["adopt"].lawful


@pytest.mark.parametrize(
    ("script", "verb", "effect"),
    [
        (f"{HALF} stopped", "hold", f"none: {STAYS}"),
        (f"{HALF} stopped", "resume",
         "none at first: shift runs again; then green goes to 100%: blue 50% -> 0%, green 50% -> 100%"),
        (f"{HALF} paused", "resume", "green goes to 100%: blue 50% -> 0%, green 50% -> 100%"),
        (f"{SHIFTING} set:1000 shifted paused", "resume", "none: blue 0% -> 0%, green 100% -> 100%"),
        (f"{SHIFTING} set:1000 shifted stopped", "resume",
         "none at first: bake runs again; green stays where it is: blue 0% -> 0%, green 100% -> 100%"),
        (f"{SHIFTING} halted", "accept",
         "none at first: shift runs again; then green goes to 5%, 50%, 100%: blue 100% -> 0%, green 0% -> 100%"),
        (f"{LOST} vain", "resume",
         "none until that is known: it is not known what became of a write to lb; "
         "then green goes to 5%, 50%, 100%: blue ? -> 0%, green ? -> 100%"),
        (f"{SHIFTING} set:50 awaited", "approve", "green goes to 50%, 100%: blue 95% -> 0%, green 5% -> 100%"),
        (HALF, "promote",
         "green goes to 100% at once, after its checks have run again: blue 50% -> 0%, green 50% -> 100%"),
        (HALF, "failback", "blue goes to 100%, after blue was proven: blue 50% -> 100%, green 50% -> 0%"),
        (DEPLOYED, "failback", "blue goes to 100%, after blue was proven: blue 0% -> 100%, green 100% -> 0%"),
        (DEPLOYED, "release", "none; no failback to blue after it: blue 0% -> 0%, green 100% -> 100%"),
        ("requested", "abort", "none: blue 100% -> 100%, green 0% -> 0%"),
        ("requested halted", "deploy",
         "none until VERSION is in green and its checks have passed; then green goes to 5%, 50%, 100%: "
         "blue 100% -> 0%, green 0% -> 100%"),
    ],
)  # fmt: skip
def test_each_way_says_exactly_what_it_does_to_the_traffic(script: str, verb: str, effect: str):
    assert _shown(script)[verb].effect == effect


def test_what_answers_a_drift_says_exactly_what_it_writes_and_what_writes_nothing_stands_first():
    found = _all(f"{HALF} stopped drift:100")
    assert [option.verb for option in found[:4]] == ["hold", "leave", "adopt", "restore"]
    shown = {option.verb: option.effect for option in found}
    assert shown["restore"] == (
        "lb goes from blue 90% green 10% to blue 50% green 50%: blue 90% -> 50%, green 10% -> 50%"
    )
    assert shown["adopt"].startswith("none; the journal takes lb: blue 90% green 10%: blue 90% -> 90%")
    assert shown["leave"].startswith("none; nothing is written")
    assert [option.moves_traffic for option in found[:4]] == [False, False, False, True]
    assert "first put it right at the balancer" in _shown(f"{HALF} stopped drift:100")["resume"].instead


def test_no_refusal_sends_to_a_way_that_is_refused_too():
    abort = _shown(f"{HALF} stopped drift:100")["abort"]
    assert abort.instead.startswith("first put it right at the balancer, or: bluegreen restore web")
    assert abort.instead.endswith("; then, to move it back: bluegreen failback web")
    assert _shown(f"{HALF} stopped")["abort"].instead == "to move it back: bluegreen failback web"
    back = _shown(f"{DEPLOYED} failback proven set:500 halted")["abort"]
    assert back.instead.startswith("it is a failback already: `resume`")


def test_what_another_hand_has_changed_since_a_halt_comes_before_its_own_advice():
    def told(script: str) -> str:
        state = state_after(script)
        halt = the_switch(state).halt
        assert halt is not None
        return advised(halt, state)

    assert told(f"{HALF} halted") == "look"
    first = "first answer what another hand has changed: bluegreen restore web, or adopt"
    assert told(f"{HALF} halted drift:100") == f"{first}; then: look"
    assert told(f"{HALF} drifted drift:100") == "look", "it says so itself"


def test_a_failed_check_that_cannot_be_accepted_is_told_with_what_to_do_in_place_of_it():
    accept = _shown(f"{HALF} broken")["accept"]
    assert (accept.lawful, accept.label) == (False, "accept healthy")
    assert accept.why_not == "healthy cannot be accepted: it keeps the traffic safe"
    assert accept.instead.startswith("look at it; acceptable: none")


def test_what_staying_means_under_a_drift_is_told_by_what_the_balancer_shows():
    assert _shown(f"{HALF} stopped")["hold"].risk.startswith("50% of the traffic stays on green")
    assert _shown(f"{HALF} stopped drift:100")["hold"].risk.startswith("10% of the traffic stays on green")


@pytest.mark.parametrize("script", [f"{LOST} stopped", f"{LOST} vain"])
def test_a_write_that_was_lost_is_never_told_as_no_risk(script: str):
    shown = _shown(script)
    assert shown["hold"].risk.startswith("not known: green may have 5% of the traffic already")
    if shown["resume"].lawful:
        assert "not known: green may have 5% of the traffic already" in shown["resume"].risk


@pytest.mark.parametrize(("script", "way"), [("requested", "abort"), (HALF, "failback")])
def test_whoever_stops_the_line_is_told_of_the_way_back_that_there_is(script: str, way: str):
    (halted,) = admit(Stop(reason="odd"), state_after(script), at(0))
    assert isinstance(halted, Halted)
    assert halted.advice == f"when it is clear why: `resume`, or `{way}`"


def test_each_way_names_its_command():
    shown = _shown("requested halted:latency")
    assert shown["accept"].command == 'bluegreen accept web latency --reason "…"'
    for verb, option in shown.items():
        assert option.command.startswith(f"bluegreen {'claim' if verb == 'hold' else verb} web")


def test_a_check_that_was_accepted_is_not_offered_again():
    assert "accept" not in _shown("requested halted accepted halted")


@pytest.mark.parametrize("script", [LOST, "requested preflight deploying"])
def test_what_relies_on_something_unknown_is_not_lawful_until_it_was_looked_up(script: str):
    resume = _shown(f"{script} stopped restarted")["resume"]
    assert not resume.lawful
    assert "it is not known what became of" in resume.why_not
    assert resume.instead == "it is being looked up now: look again in a moment"


class TestForward:
    """Forward is as easy as back: from any halt."""

    def test_a_candidate_without_traffic_is_deployed_over(self):
        for environments in (("blue", "green"), ("blue", "green", "red"), ("red", "blue", "green")):
            option = _shown("requested preflight deployed healthy broken", environments)["deploy"]
            assert (option.lawful, option.label) == (True, "roll forward")
            assert option.subject == state_after("requested", environments=environments).switch.candidate  # type: ignore[union-attr]

    def test_a_third_environment_takes_the_new_version_where_both_others_have_traffic(self):
        option = _shown(f"{HALF} stopped", ("blue", "green", "red"))["deploy"]
        assert (option.lawful, option.subject) == (True, "red")
        assert "red, a third environment," in option.effect
        assert option.effect.endswith("blue 50% -> 0%, green 50% -> 0%, red 0% -> 100%")
        assert option.risk == "green keeps 50% of the traffic until the new version has it"

    def test_the_side_that_a_failback_has_left_is_no_third_environment(self):
        option = _shown(f"{DEPLOYED} failback proven set:1000 shifted stopped")["deploy"]
        assert option.effect.startswith("none until VERSION is in green and its checks")

    def test_with_two_environments_that_both_have_traffic_it_says_what_comes_first(self):
        option = _shown(f"{HALF} stopped")["deploy"]
        assert option.why_not == "no idle environment: blue carries 50%, green carries 50%"
        assert "`resume`" in option.instead
        assert "fail back first" in option.instead
        assert "third environment" in option.instead

    def test_at_a_halted_failback_the_warm_environment_may_be_given_up_and_that_is_said(self):
        option = _shown(f"{DEPLOYED} failback broken")["deploy"]
        assert (option.lawful, option.subject) == (True, "blue")
        assert "--replace-warm" in option.command
        assert "there is no failback to it any more" in option.risk
        assert not _shown(DEPLOYED)["deploy"].lawful, "where nothing is halted a warm environment is not offered"


class TestRisk:
    def test_each_says_what_could_go_wrong(self):
        shown = _shown("requested preflight deployed healthy halted:latency")
        assert shown["resume"].risk == "none: nothing goes on before it has passed"
        assert shown["accept"].risk == "goes on with a known failure: latency: latency is bad"
        assert shown["hold"].risk.startswith("none")
        half = _shown(f"{HALF} stopped")
        assert half["hold"].risk == "50% of the traffic stays on green, with whatever is wrong there"
        assert half["promote"].risk.startswith("the other 50% of the users at once")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                {"kind": "schema", "phase": "contract", "backward_compatible": "yes"},
                "cannot live with schema:7 (contract)",
            ),
            ({"kind": "security"}, "cannot live with security:7: roll forward rather than back"),
            ({"kind": "api", "backward_compatible": "no"}, "blue cannot live with api:7"),
            ({"kind": "job"}, "whether blue can work with job:7 is unknown"),
            ({"kind": "job", "backward_compatible": "yes"}, "by its change manifest blue can work with all"),
        ],
    )
    def test_the_way_back_is_judged_as_in_the_report(self, change: dict[str, str], said: str):
        state = state_after(HALF)
        written = json.dumps([{"id": "7", "summary": "s", **change}])
        state = replace(state, switch=replace(the_switch(state), changes=written))
        listed = {option.verb: option for option in options(state, ("blue", "green"), at(0))}
        assert said in listed["failback"].risk

    def test_what_is_known_to_be_wrong_with_the_old_side_comes_first(self):
        bad, unseen = (finding(name, ok=False) for name in ("orders", "rights"))
        proofs = (Proof(bad, at(0)), Proof(unseen, at(0), looked=False), Proof(finding("port", ok=True), at(0)))
        shown = {"blue": Readiness("blue", proofs)}
        listed = {
            option.verb: option for option in options(state_after(HALF), ("blue", "green"), at(9), readiness=shown)
        }
        assert listed["failback"].lawful
        assert listed["failback"].risk.startswith(f"blue is not ready: orders: {bad.summary}; no change manifest")

    def test_no_manifest_is_unknown_and_never_safe(self):
        assert "no change manifest was given" in _shown(HALF)["failback"].risk
        assert "has had traffic since 2026-11-23 09:00:" in _shown(HALF)["failback"].risk
