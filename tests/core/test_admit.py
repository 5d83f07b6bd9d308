"""Who may ask what, and what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bluegreen.core import admit as ad
from bluegreen.core import events as ev
from bluegreen.core.halts import options
from bluegreen.core.phases import apply
from bluegreen.core.state import ServiceState
from bluegreen.errors import Refused, StateMoved
from bluegreen.model import Cause, Kind, Plan, Weights
from tests.builders import (
    DEPLOYED,
    SERVICE,
    SHIFTING,
    at,
    deploy,
    failback,
    finding,
    halted,
    make_plan,
    record,
    state_after,
    the_switch,
    weights,
)  # fmt: skip

THREE = ("blue", "green", "red")
HALF = f"{SHIFTING} set:50 watched:60 reached:0 set:500"


def _asked(request: ad.AnyRequest, script: str, *, later: float = 0, plan: Plan | None = None) -> Sequence[ev.Event]:
    return ad.admit(request, state_after(script, plan, _names(request)), at(later))


def _names(request: ad.AnyRequest) -> tuple[str, ...]:
    return request.pinned.environments if isinstance(request, ad.Deploy) else ("blue", "green")


def _three(*, replace_warm: bool = False) -> ad.Deploy:
    return deploy("s9", replace_warm=replace_warm, environments=THREE)


def _kinds(events: Sequence[ev.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


REFUSED: list[tuple[ad.AnyRequest, str, str]] = [
    (deploy(), "requested", "deployment s1 of web is running in preflight; one switch at a time"),
    (deploy(), "requested paused", "is paused in preflight"),
    (deploy(), "drift:100", "switch point lb shows blue 90% green 10%, the journal says blue 100% green 0%; first"),
    (deploy(), f"{SHIFTING} writing:50 lost stopped", "cannot deploy: it is not known what became of a write to lb"),
    (deploy(), f"{SHIFTING} writing:50 stopped", "cannot deploy: it is not known what became of a write to lb"),
    (deploy(), f"{HALF} stopped", "no idle environment: blue carries 50%, green carries 50%"),
    (deploy(), DEPLOYED, "blue is kept warm for a failback until 2026-11-23 10:00:23 UTC"),
    (deploy(plan=make_plan(("lb", "new"))), "", "new: what this switch point shows is not on record yet"),
    (failback(reason=" "), DEPLOYED, "a failback needs a reason"),
    (failback(reason="…"), DEPLOYED, "a failback needs a reason"),
    (failback(), "", "web has no warm environment to fail back to; the way on is an ordinary deployment"),
    (failback(), "requested", "green has no traffic: there is nothing to move back; `abort` ends the switch"),
    (failback(), f"{SHIFTING} set:1000 drift:100", "switch point lb shows"),
    (failback(), f"{DEPLOYED} failback", "to blue is running already"),
    (failback(plan=make_plan(("lb", "new"))), DEPLOYED, "new: what this switch point shows"),
    (ad.Approve(), f"{SHIFTING} set:50", "no approval is awaited"),
    (ad.Approve(), "", "no switch is under way; there is nothing to approve"),
    (ad.Pause(), "requested paused", "s1 is paused already"),
    (ad.Resume(), "requested", "s1 is running already"),
    (ad.Resume(), f"{SHIFTING} set:50 awaited", "waits for an approval, not for a resume; bluegreen approve web"),
    (ad.Resume(), DEPLOYED, "no switch is under way"),
    (ad.Promote(), "requested", "only a shift can be promoted; nothing proves the candidate yet"),
    (ad.Promote(), f"{SHIFTING} promoted", "takes its last step already"),
    (ad.Abort(), f"{SHIFTING} set:50", "green has 5% of the traffic: ending the switch would not move it; to"),
    (ad.Abort(), f"{SHIFTING} writing:50", "cannot abort: it is not known what became of a write to lb"),
    (ad.Abort(), f"{SHIFTING} writing:50 lost", "cannot abort"),
    (ad.Accept(check="errors", reason="known"), "requested", "there is no failed check to accept"),
    (ad.Accept(check="errors", reason=""), "requested halted", "needs a reason"),
    (ad.Accept(check="other", reason="known"), "requested halted", "not among the failed checks of s1-h1; accept"),
    (ad.Accept(check="healthy", reason="known"), "requested broken",
     "it keeps the traffic safe; look at it; acceptable: none; see `bluegreen explain web`"),
    (ad.Stop(reason="odd"), "requested halted", "s1 is halted already"),
    (ad.Stop(reason=""), "requested", "a halt needs a reason"),
    (ad.Release(), f"{DEPLOYED} failback", "the warm environment may yet be needed"),
    (ad.Release(), "", "web has no warm environment; there is nothing to let go"),
    (ad.Adopt(seen={"lb": weights(blue=1)}), f"{SHIFTING} set:50", "weights change while it goes on"),
    (ad.Adopt(seen={"lb": weights(blue=7, green=0)}), "", "every switch point shows what the journal says"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "script", "why"), REFUSED, ids=[f"{type(r).__name__}-{s[-30:]}" for r, s, _ in REFUSED]
)
def test_a_refusal_says_why_and_changes_nothing(request_: ad.AnyRequest, script: str, why: str):
    state = state_after(script)
    before = repr(state)
    with pytest.raises(Refused) as refusal:
        ad.admit(request_, state, at(0))
    assert why in str(refusal.value)
    assert refusal.value.advice
    assert repr(state) == before


def test_every_verb_is_refused_where_no_switch_is_open():
    for request in (
        ad.Approve(),
        ad.Pause(),
        ad.Resume(),
        ad.Promote(),
        ad.Abort(),
        ad.Accept(check="a", reason="b"),
        ad.Stop(reason="c"),
    ):
        with pytest.raises(Refused, match="no switch is under way"):
            _asked(request, "")


def test_a_service_whose_live_environment_is_unknown_is_not_deployed_to():
    with pytest.raises(Refused, match="not known which environment is live"):
        ad.admit(deploy(), ServiceState(SERVICE), at(0))


# --- deployments ---


def _candidate(request: ad.Deploy, script: str, later: float = 0) -> str:
    requested = _asked(request, script, later=later)[-1]
    assert isinstance(requested, ev.Requested)
    return requested.candidate


def test_a_deployment_goes_to_the_idle_environment_first():
    assert _candidate(deploy(), "") == "green"
    assert _candidate(_three(), DEPLOYED) == "red"
    assert _candidate(_three(replace_warm=True), DEPLOYED) == "red"


def test_a_deployment_replaces_the_warm_environment_when_its_time_is_over_or_on_request():
    assert _candidate(deploy(), DEPLOYED, later=3700) == "blue"
    assert _candidate(deploy(replace_warm=True, reason="no room"), DEPLOYED) == "blue"
    with pytest.raises(Refused, match=r"giving up blue, .* needs a reason"):
        _candidate(deploy(replace_warm=True), DEPLOYED)
    assert _candidate(deploy(), f"{DEPLOYED} released") == "blue"


def test_forward_is_possible_from_a_halt():
    events = _asked(_three(), f"{HALF} stopped")
    assert _kinds(events) == ["Superseded", "Requested"]
    requested = events[1]
    assert isinstance(requested, ev.Requested)
    assert (requested.candidate, requested.source) == ("red", "blue")
    assert requested.base == {"lb": Weights.of({"blue": 500, "green": 500, "red": 0})}
    assert _kinds(_asked(deploy("s2"), "requested halted")) == ["Superseded", "Requested"]


# --- failbacks ---


@pytest.mark.parametrize("condition", ["", " paused", " stopped", " awaited"])
def test_a_failback_in_mid_shift_goes_to_the_environment_that_is_still_live(condition: str):
    events = _asked(failback(), f"{HALF}{condition}")
    assert _kinds(events) == ["FailedBack", "Requested"]
    requested = events[1]
    assert isinstance(requested, ev.Requested)
    assert (requested.switch_kind, requested.candidate, requested.source) == (Kind.FAILBACK, "blue", "green")


def test_a_failback_after_the_end_goes_to_the_warm_environment_with_its_release():
    state = state_after(
        f"{DEPLOYED} requested:7200 preflight deployed healthy smoke set:1000 shifted watched:30 baked kept"
    )
    assert ad.failback_target(state) == ("green", "blue", "2")
    assert ad.failback_target(state_after(DEPLOYED)) == ("blue", "green", None)


@pytest.mark.parametrize("write", ["writing:50", "writing:50 lost", "writing:50 restarted"])
def test_a_failback_is_possible_where_the_candidate_may_have_traffic(write: str):
    assert _kinds(_asked(failback(), f"{SHIFTING} {write}")) == ["FailedBack", "Requested"]


# --- the short verbs ---


@pytest.mark.parametrize(
    ("request_", "script", "kinds"),
    [
        (ad.Approve(), f"{SHIFTING} set:50 awaited", ["Approved"]),
        (ad.Pause(), "requested", ["Paused"]),
        (ad.Resume(), "requested paused", ["Resumed"]),
        (ad.Resume(), "requested halted", ["Resumed"]),
        (ad.Promote(), f"{SHIFTING} set:50", ["Promoted"]),
        (ad.Promote(), f"{SHIFTING} set:50 stopped", ["Promoted"]),
        (ad.Abort(), "requested", ["Aborted"]),
        (ad.Abort(), f"{SHIFTING} stopped", ["Aborted"]),
        (ad.Accept(check="errors", reason="known"), "requested halted", ["CheckAccepted", "Resumed"]),
        (ad.Release(), DEPLOYED, ["WarmReleased"]),
        (ad.Stop(reason="odd"), "requested", ["Halted"]),
    ],
)  # fmt: skip
def test_what_is_lawful_leads_to_its_events(request_: ad.AnyRequest, script: str, kinds: list[str]):
    assert _kinds(_asked(request_, script)) == kinds


def test_accepting_one_of_two_failed_checks_resumes_nothing_yet():
    state = state_after("requested")
    halt = halted(the_switch(state), Cause.CHECK_FAILED, finding("a"), finding("b"))
    two = apply(state, record(halt))
    assert _kinds(ad.admit(ad.Accept(check="a", reason="known"), two, at(0))) == ["CheckAccepted"]


def test_anyone_stops_the_line_and_the_halt_says_why():
    halt = _asked(ad.Stop(reason="odd latency"), "requested")[0]
    assert isinstance(halt, ev.Halted)
    assert (halt.cause, halt.halt, halt.summary) == (Cause.OPERATOR, "s1-h1", "stopped by an operator: odd latency")


def test_an_adoption_takes_what_differs_or_is_in_doubt_and_nothing_else():
    plan = make_plan(("a", "b"))
    state = state_after(f"{SHIFTING} writing:50 lost vain", plan)
    shown = {"a": weights(blue=100, green=0), "b": weights(blue=100, green=0), "c": weights(blue=1, green=0)}
    events = ad.admit(ad.Adopt(seen=shown), state, at(0))
    assert events == (ev.Adopted({"a": shown["a"], "c": shown["c"]}),)


def test_an_answer_to_another_halt_is_refused():
    assert _kinds(_asked(ad.Resume(halt="s1-h1"), "requested halted")) == ["Resumed"]
    with pytest.raises(StateMoved, match="the halt now is s1-h2"):
        _asked(ad.Resume(halt="s1-h1"), "requested halted resumed halted")
    with pytest.raises(StateMoved, match="nothing is halted now"):
        _asked(ad.Resume(halt="s1-h1"), "requested halted resumed")


def test_of_several_warm_environments_one_must_be_named() -> None:
    state = state_after("requested preflight deployed healthy smoke set:1000 shifted watched:30 baked kept")
    (kept,) = state.warm.values()
    several = replace(state, warm={**state.warm, "yellow": replace(kept, environment="yellow")})
    with pytest.raises(Refused, match="several environments are warm: blue, yellow"):
        ad.admit(ad.Release(), several, at(0))
    with pytest.raises(Refused, match="red is not warm"):
        ad.admit(ad.Release(environment="red"), several, at(0))
    assert ad.admit(ad.Release(environment="yellow"), several, at(0)) == (ev.WarmReleased("yellow"),)
    commands = [option.command for option in options(several, ("blue", "green", "yellow"), at(0))]
    assert "bluegreen release web --environment yellow" in commands
