"""The last wall before the journal."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bluegreen import redaction
from bluegreen.config import secrets
from bluegreen.config.values import HIDDEN, redacted
from bluegreen.core import events as ev
from bluegreen.model import Finding, Kind, Plan, Weights

SECRET = "correct horse+battery/staple"


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_resolved", set())
    monkeypatch.setenv("S", SECRET)
    secrets.remember("Bearer ${env:S} and ${env:NOT_THERE}")


@given(before=some.binary(max_size=7), after=some.binary(max_size=7))
def test_a_secret_is_found_in_base64_wherever_it_begins(before: bytes, after: bytes) -> None:
    coded = b64encode(before + SECRET.encode() + after).decode()
    assert HIDDEN in redacted(coded)
    assert b64encode(SECRET.encode()).decode()[4:30] not in redacted(coded)


def test_an_event_holds_no_secret_however_deep() -> None:
    finding = Finding("orders", ok=False, summary=f"sent {SECRET}", detail={"body": f"<{SECRET}>", "n": "1"})
    event = redaction.clean(ev.PreflightPassed((finding,)))
    assert SECRET not in repr(event)
    assert event.findings[0].detail == {"body": f"<{HIDDEN}>", "n": "1"}


def test_what_holds_no_secret_stays_as_it_is() -> None:
    event = ev.Requested(
        Kind.DEPLOYMENT, "green", "blue", "v2", None, Plan(("lb",), (1000,)), {"lb": Weights.of({"blue": 1})}, "{}", "h"
    )
    assert redaction.clean(event) == event


def test_a_short_secret_hides_no_ordinary_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "8080")
    assert secrets.resolve("${env:SHORT}") == "8080"
    assert redacted("port 8080") == "port 8080"
    assert redacted("port 8080", ["8080"]) == f"port {HIDDEN}"
