"""The log's lines: every entry of the journal can be told."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bluegreen.core import events as ev
from bluegreen.log import log_entry
from tests.builders import OPERATOR, record


@pytest.mark.parametrize("event", [ev.OutcomeLost("lb", "no answer"), ev.DeployNotMade("no answer")])
def test_an_event_with_a_reason_of_its_own_is_told_with_it(event: ev.Event) -> None:
    with capture_logs() as lines:
        log_entry(ev.Entry(1, 1, record(event, "s1"), "hash"))
    assert (lines[0]["event"], lines[0]["reason"]) == (type(event).__name__, "no answer")


def test_what_an_operator_does_is_told_with_the_reason() -> None:
    with capture_logs() as lines:
        log_entry(ev.Entry(1, 1, record(ev.Aborted(), "s1", OPERATOR, "because"), "hash"))
    assert (lines[0]["by"], lines[0]["reason"]) == (OPERATOR, "because")
