"""What of a switch's way is done, and what undoing it would take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from bluegreen.core.operations import Outcome, Stage, Undo, way
from bluegreen.core.state import ServiceState
from bluegreen.model import Answer
from tests.builders import DEPLOYED, SHIFTING, make_plan, state_after, the_switch
from tests.core.driver import Driver, Move, Setting, moves
from tests.core.driver import settings as some_settings

LOST = f"{SHIFTING} writing:50 lost"


def _way(script: str, **plan: Any) -> list[Stage]:
    state = state_after(script, make_plan(**plan))
    return list(way(state, the_switch(state)))


def _outcomes(script: str, **plan: Any) -> dict[str, str]:
    return {stage.what: stage.outcome.value for stage in _way(script, **plan)}


def _stage(script: str, what: str, **plan: Any) -> Stage:
    return next(stage for stage in _way(script, **plan) if stage.what == what)


def test_the_whole_way_is_told_also_what_never_ran():
    assert _outcomes(f"{SHIFTING} set:50 watched:60 reached:0 set:500 broken", points=("a", "b")) == {
        "preflight": "done", "2 to green": "done", "green healthy": "done", "smoke": "done",
        "a: green 5%": "done", "b: green 5%": "done", "a: green 50%": "done", "b: green 50%": "done",
        "a: green 100%": "not done", "b: green 100%": "not done",
        "shift to green": "failed", "bake 30 s": "not done", "blue kept warm": "not done",
    }  # fmt: skip
    assert set(_outcomes(DEPLOYED).values()) == {"done"}
    assert _outcomes(f"{DEPLOYED} failback proven set:1000 shifted stopped") == {
        "blue proven": "done", "lb: blue 5%": "done", "lb: blue 50%": "done", "lb: blue 100%": "done",
        "shift to blue": "done",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("script", "what", "outcome"),
    [
        ("requested", "preflight", "not done"),
        ("requested halted", "preflight", "failed"),
        ("requested preflight deploying", "2 to green", "under way"),
        ("requested preflight deploying stopped", "2 to green", "under way"),
        ("requested preflight deploying restarted", "2 to green", "unknown"),
        ("requested preflight deploying restarted undeployed", "2 to green", "not done"),
        ("requested preflight deploying broken", "2 to green", "failed"),
        ("requested preflight deployed healthy smoking", "smoke", "under way"),
        ("requested preflight deployed healthy smoking stopped", "smoke", "not done"),
        (f"{SHIFTING} writing:50", "lb: green 5%", "under way"),
        (LOST, "lb: green 5%", "unknown"),
        (f"{SHIFTING} writing:50 restarted", "lb: green 5%", "unknown"),
        (f"{LOST} found", "lb: green 5%", "done"),
        (f"{LOST} unchanged", "lb: green 5%", "not done"),
        (f"{SHIFTING} writing:50 broken", "lb: green 5%", "failed"),
        (f"{SHIFTING} set:50", "shift to green", "under way"),
        (f"{SHIFTING} set:50 stopped", "shift to green", "not done"),
        (f"{SHIFTING} set:1000 shifted", "bake 30 s", "under way"),
        (f"{SHIFTING} set:1000 shifted broken", "bake 30 s", "failed"),
        (f"{SHIFTING} set:500 stopped adopted:100", "lb: green 50%", "not done"),
    ],
)  # fmt: skip
def test_each_outcome_is_what_is_on_record(script: str, what: str, outcome: str):
    assert _stage(script, what).outcome is Outcome(outcome)


def test_a_share_that_was_there_before_the_switch_began_is_done_and_says_so():
    stage = _stage(f"{SHIFTING} set:50 stopped failback", "lb: blue 50%")
    assert (stage.outcome, stage.detail) == (Outcome.DONE, "it was there before")


def test_a_share_that_a_promotion_skipped_later_stays_on_the_way():
    assert _outcomes(f"{SHIFTING} set:50 watched:60 reached:0 set:500 promoted")["lb: green 50%"] == "done"


class TestUndo:
    def test_weights_are_one_write_and_say_which(self):
        stage = _stage(f"{SHIFTING} set:50 stopped", "lb: green 5%")
        assert (stage.undo, stage.takes) == (Undo.ONE_WRITE, "one write moves it back to blue: bluegreen failback web")
        both = _stage(f"{SHIFTING} set:50 stopped", "a: green 5%", points=("a", "b"))
        assert both.takes.startswith("one write at each of 2 switch points")

    def test_under_a_drift_the_other_hands_change_is_answered_first_and_what_was_not_done_needs_nothing(self):
        script = f"{SHIFTING} set:50 broken drift:100"
        done, not_done = _stage(script, "lb: green 5%"), _stage(script, "lb: green 100%")
        assert done.undo is Undo.BY_HAND
        assert done.takes.startswith("another hand has set lb: restore or adopt that first; then one write moves it")
        assert (not_done.undo, not_done.takes) == (Undo.NOTHING, "")

    def test_what_was_not_done_needs_nothing(self):
        for stage in _way("requested preflight broken"):
            if stage.outcome is Outcome.NOT_DONE:
                assert (stage.undo, stage.takes) == (Undo.NOTHING, "")

    def test_an_unknown_write_says_that_it_is_looked_up_first(self):
        stage = _stage(LOST, "lb: green 5%")
        assert stage.takes.startswith("whether it was made is looked up first; if it was, one write moves it back")

    def test_without_a_warm_environment_weights_are_by_hand(self):
        stage = _stage(f"{DEPLOYED} released", "lb: green 100%")
        assert (stage.undo, stage.takes) == (
            Undo.BY_HAND, "there is no failback: web has no warm environment to fail back to",
        )  # fmt: skip

    def test_of_a_past_switch_nothing_is_left_to_move_back(self):
        state = state_after(f"{DEPLOYED} failback proven set:1000")
        (past,) = state.past
        assert all(stage.undo is Undo.NOTHING for stage in way(state, past) if stage.point)

    @pytest.mark.parametrize(
        ("reversible", "said", "undo", "takes"),
        [
            (Answer.UNKNOWN, "", Undo.BY_HAND, "whether the deploy command changed anything else, nobody has said"),
            (Answer.YES, "", Undo.NOTHING, "green is deployed over by the next deployment; what was there before"),
            (Answer.NO, "", Undo.CANNOT, "the deploy command says that it cannot be taken back"),
            (Answer.YES, "run ./down {version}", Undo.BY_HAND, "the deploy command says: run ./down 2"),
            (Answer.UNKNOWN, "ask Ann", Undo.BY_HAND, "the deploy command says: ask Ann"),
            (Answer.NO, "mails are sent", Undo.CANNOT, "the deploy command says: mails are sent"),
        ],
    )
    def test_a_deployment_is_what_its_owner_says(self, reversible: Answer, said: str, undo: Undo, takes: str):
        plan = replace(make_plan(), deploy_reversible=reversible, deploy_undo=said)
        for script in (SHIFTING, "requested preflight deploying broken"):
            state = state_after(script, plan)
            stage = next(one for one in way(state, the_switch(state)) if one.step == "deploy")
            assert stage.undo is undo
            assert takes in stage.takes

    @pytest.mark.parametrize(
        ("entry", "undo", "takes"),
        [
            (
                {"kind": "schema", "id": "93", "summary": "s", "backward_compatible": "yes"},
                Undo.NOTHING,
                "deployed over",
            ),
            ({"kind": "api", "id": "v2", "summary": "s", "backward_compatible": "no"}, Undo.NOTHING, "deployed over"),
            (
                {"kind": "schema", "id": "93", "summary": "s", "backward_compatible": "no"},
                Undo.CANNOT,
                "cannot work with it; nobody",
            ),
            (
                {"kind": "data", "id": "tax", "summary": "s", "backward_compatible": "no", "undo": "./untax"},
                Undo.BY_HAND,
                "./untax",
            ),
            (
                {"kind": "schema", "id": "93", "summary": "s", "backward_compatible": "unknown"},
                Undo.BY_HAND,
                "may not be able",
            ),
            ({"kind": "schema", "id": "93", "summary": "s"}, Undo.BY_HAND, "schema:93 stays"),
            ("nonsense", Undo.BY_HAND, "cannot be read"),
            (
                {"kind": "schema", "id": "93", "summary": "s", "phase": "contract"},
                Undo.CANNOT,
                "cannot work with it; nobody",
            ),
        ],
    )
    def test_a_migration_stays_behind_and_that_is_said(self, entry: object, undo: Undo, takes: str):
        stage = self._deployed([entry])
        assert stage.undo is undo
        assert takes in stage.takes

    def test_a_manifest_that_cannot_be_read_is_never_taken_for_safe(self):
        assert self._deployed("{").undo is Undo.BY_HAND

    def _deployed(self, changes: Sequence[object] | str) -> Stage:
        state = state_after(SHIFTING, replace(make_plan(), deploy_reversible=Answer.YES))
        text = changes if isinstance(changes, str) else json.dumps(changes)
        switch = replace(the_switch(state), changes=text)
        return next(one for one in way(state, switch) if one.step == "deploy")


@given(some_settings, moves)
def test_no_history_is_without_an_answer_and_unknown_is_never_called_done(setting: Setting, history: list[Move]):
    driver = Driver(setting)
    for move in history:
        driver.play(move)
        _sound(driver.state)


def _sound(state: ServiceState) -> None:
    if state.switch is None:
        return
    for switch in (state.switch, *state.past):
        stages = way(state, switch)
        assert stages[0].step == "preflight"
        assert all(stage.takes for stage in stages if stage.undo is not Undo.NOTHING)
    for stage in way(state, state.switch):
        change = state.in_doubt.get(stage.point or "")
        share = change.split.share(state.switch.candidate) if change is not None else None
        if share is not None and state.open_switch and stage.what.endswith(f" {share / 10:g}%"):
            assert stage.outcome in (Outcome.UNKNOWN, Outcome.UNDER_WAY)


def test_an_operation_keeps_when_it_began():
    state = state_after(SHIFTING)
    first = the_switch(state).operations[0]
    assert first.since is not None
    assert first.at > first.since
