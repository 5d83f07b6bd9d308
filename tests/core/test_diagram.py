"""The diagram is drawn from the tables, and stays readable."""

from __future__ import annotations

import runpy

import pytest

from bluegreen.core import diagram
from bluegreen.core.phases import CONDITIONS, TRANSITIONS
from bluegreen.model import Condition, Phase


def test_it_names_every_phase_and_condition():
    drawn = diagram.mermaid()
    assert all(f" {phase}" in drawn for phase in Phase if phase is not Phase.ENDED)
    assert all(f" {condition}" in drawn for condition in Condition)


def test_it_draws_every_event_that_moves_a_switch():
    drawn = diagram.mermaid()
    onward = {event for phase, moves in TRANSITIONS.items() for event, to in moves.items() if to is not phase}
    swings = {event for condition, moves in CONDITIONS.items() for event, to in moves.items() if to is not condition}
    assert all(event.__name__ in drawn for event in onward | swings)


def test_it_has_few_arrows():
    assert diagram.mermaid().count("-->") < 40


def test_it_is_printed(capsys: pytest.CaptureFixture[str]):
    runpy.run_path(str(diagram.__file__), run_name="__main__")
    assert capsys.readouterr().out == diagram.mermaid()
