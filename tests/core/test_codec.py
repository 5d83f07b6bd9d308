"""Events to JSON and back: exact both ways, and nothing is guessed at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bluegreen.core import events as ev
from bluegreen.core.codec import KINDS, Undecodable, decode, encode
from bluegreen.core.notes import NoteEvent
from bluegreen.model import Cause, Finding, Kind, Phase, Plan, Weights
from tests.builders import START, weights

texts = some.text(max_size=8)
names = some.sampled_from(["blue", "green", "red"])
splits = some.dictionaries(names, some.integers(0, 1000), min_size=1).map(Weights.of)
details = some.dictionaries(texts, texts, max_size=2)
findings = some.lists(
    some.builds(Finding, texts, some.booleans(), texts, texts, some.booleans(), details), max_size=2
).map(tuple)
seconds = some.floats(0, 1e6)
plans = some.builds(
    Plan,
    some.lists(texts, max_size=2).map(tuple), some.lists(some.integers(1, 1000), max_size=3).map(tuple),
    some.none() | seconds, seconds, seconds, some.booleans(),
)  # fmt: skip
maybe = some.none() | texts
points = some.dictionaries(texts, splits, max_size=2)

events = some.one_of(
    some.builds(ev.Baseline, names, points),
    some.builds(ev.Adopted, points),
    some.builds(ev.DriftSeen, texts, splits, splits, texts, some.none() | some.just(START)),
    some.builds(ev.DriftTraced, texts, texts, texts, some.none() | some.just(START)),
    some.builds(ev.DriftLeft, points),
    some.builds(ev.RestoreAsked, points),
    some.builds(ev.RestoreStarted, texts, splits, splits),
    some.builds(ev.Restored, texts, splits, some.booleans()),
    some.builds(ev.RestoreRefused, texts, texts, texts, findings),
    some.builds(ev.RestoreLost, texts, texts),
    some.builds(ev.RestoreUnmade, texts),
    some.builds(ev.RestoreUnread, texts, texts),
    some.builds(
        ev.Requested, some.sampled_from(Kind), names, names, maybe, maybe, plans, points, texts, texts, some.booleans()
    ),
    some.builds(ev.StepStarted, texts, maybe, some.none() | splits, some.none() | splits, some.none() | splits),
    some.builds(ev.PreflightPassed, findings),
    some.builds(ev.Deployed, texts, texts, details),
    some.builds(ev.WeightsSet, texts, splits, splits, some.booleans()),
    some.builds(ev.Watched, seconds),
    some.builds(ev.StepReached, some.integers(0, 20)),
    some.builds(ev.KeptWarm, some.none() | names, some.none() | some.just(START)),
    some.builds(
        ev.Halted,
        texts, some.sampled_from(Phase), some.sampled_from(Cause), texts, texts, findings, texts, some.booleans(),
    ),
)  # fmt: skip


@given(events)
def test_an_event_comes_back_from_json_as_it_was(event: ev.Event):
    kind, data = encode(event)
    assert decode(kind, json.loads(json.dumps(data))) == event


def test_every_event_has_its_kind():
    known = {cls.__name__ for cls in (*ev.Event.__subclasses__(), *NoteEvent.__subclasses__())}
    assert set(KINDS) == known - {NoteEvent.__name__}


def test_a_field_that_an_older_entry_lacks_takes_its_default():
    assert decode("Deployed", {"summary": "done"}) == ev.Deployed("done")
    assert decode("Restarted", {"pid": 7}) == ev.Restarted(7)


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("Vanished", {}, "unknown event 'Vanished'"),
        ("Restarted", {"pid": 7, "colour": "red"}, "unknown field 'colour'"),
        ("Restarted", {}, "no 'pid'"),
        ("Restarted", {"pid": "7"}, "wanted int, found '7'"),
        ("Watched", {"seconds": "long"}, "could not convert"),
        ("Paused", None, "NoneType"),
        ("WeightsUnchanged", {"point": None}, "wanted str, found None"),
        ("DriftSeen", {"point": "lb", "expected": {"blue": -1}, "seen": {}}, "never negative"),
        ("DriftSeen", {"point": "lb", "expected": 7, "seen": {}}, "int"),
        ("Halted", {"halt": "h", "phase": "dancing", "cause": "bug", "summary": ""}, "'dancing' is not a valid Phase"),
        ("KeptWarm", {"environment": "blue", "protected_until": "tomorrow"}, "Invalid isoformat"),
        ("PreflightPassed", {"findings": [{"check": "a"}]}, "no 'ok'"),
        ("PreflightPassed", {"findings": 7}, "not iterable"),
    ],
)
def test_what_is_no_event_of_ours_is_undecodable(kind: str, data: Any, why: str):
    with pytest.raises(Undecodable) as caught:
        decode(kind, data)
    assert why in str(caught.value)


def test_weights_are_a_plain_object_and_times_are_text():
    assert encode(ev.WeightsSet("lb", weights(blue=1), weights(blue=1000)))[1] == {
        "point": "lb", "weights": {"blue": 1}, "split": {"blue": 1000}, "recovered": False,
    }  # fmt: skip
    assert encode(ev.KeptWarm("blue", START))[1]["protected_until"] == "2026-11-23T09:00:00+00:00"
