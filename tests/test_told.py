"""What is durable is told; and telling it never ends the daemon, whatever kind of event it is."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as some

from bluegreen.control import documents
from bluegreen.control.metrics import Metrics
from bluegreen.core import events as ev
from bluegreen.core.codec import KINDS
from bluegreen.log import log_entry
from bluegreen.model import Weights
from tests.builders import START, record

some.register_type_strategy(Weights, some.just(Weights.of({"blue": 950, "green": 50})))
some.register_type_strategy(datetime, some.just(START))


@pytest.mark.parametrize("kind", KINDS)
@given(data=some.data())
def test_every_kind_of_event_can_be_told(kind: str, data) -> None:
    event = data.draw(some.from_type(KINDS[kind]))
    entry = ev.Entry(7, 3, record(event, reason="because"), "hash")
    with structlog.testing.capture_logs() as lines:
        log_entry(entry)
    (line,) = lines
    assert (line["event"], line["seq"], line["service"], line["switch"]) == (kind, 7, "web", "s1")
    assert line["reason"] == "because"
    Metrics().published(entry)
    json.dumps(documents.event(entry))


def test_a_lost_answer_is_told_with_its_reason() -> None:
    with structlog.testing.capture_logs() as lines:
        log_entry(ev.Entry(1, 1, record(ev.OutcomeLost("eu", "no answer")), "hash"))
    assert (lines[0]["event"], lines[0]["reason"], lines[0]["log_level"]) == ("OutcomeLost", "no answer", "warning")
