"""The last wall before the journal."""

from __future__ import annotations

import re
import textwrap
from base64 import b64encode, encodebytes
from collections.abc import Callable

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


def _known_key(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key of many lines, as a file or a variable holds it."""
    raw = b64encode(bytes(range(256)) * 4).decode()
    lines = [raw[at : at + 64] for at in range(0, len(raw), 64)]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])
    monkeypatch.setenv("KEY", key)
    secrets.remember("${env:KEY}")
    return key


@pytest.mark.parametrize(
    "printed",
    [
        lambda key: "\n".join(f"LOG: {line}" for line in key.splitlines()),
        lambda key: "\n".join(key.splitlines()[5:]),
        lambda key: encodebytes(key.encode()).decode(),
        lambda key: repr(encodebytes(f"{key}\n".encode())),
        lambda key: "\n".join(textwrap.wrap(b64encode(f"user:{key}".encode()).decode(), 64)),
    ],
    ids=["behind a prefix", "cut", "base64 in lines", "as a text of Python", "base64 of more"],
)  # fmt: skip
def test_a_key_of_many_lines_is_found_in_pieces(printed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    key = _known_key(monkeypatch)
    coded = b64encode(key.encode()).decode()
    told = redacted(printed(key))
    assert HIDDEN in told
    left = [run for run in re.findall(r"[A-Za-z0-9+/]{24,}", told) if run in key or run in coded]
    assert not left, told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgres://shop:pw77@db/shop", "postgres://shop:***@db/shop"),
        ("GET /orders?access_token=t99&page=2", "GET /orders?access_token=***&page=2"),
        ("curl -H 'Authorization: Bearer b11.c'", "curl -H 'Authorization: Bearer ***'"),
        ('{"Authorization": "Basic dXNlcjpw"}', '{"Authorization": "Basic ***"}'),
        (r'{"body": "{\"password\": \"hunter2\"}"}', r'{"body": "{\"password\": \"***\"}"}'),
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=***"),
        ("Set-Cookie: session=1; path=/", "Set-Cookie: ***"),
        ("deploy --api-token t99 --to green", "deploy --api-token *** --to green"),
        ("-----BEGIN PRIVATE KEY-----\nMIIb\n-----END PRIVATE KEY-----\ndone", "-----BEGIN PRIVATE KEY-----***\ndone"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden_whoever_it_belongs_to(text: str, told: str) -> None:
    assert redacted(text) == told
    assert redacted(told) == told, "what is hidden stays as it is"


@pytest.mark.parametrize(
    "text",
    [
        '{"Authorization": "Bearer ${env:TOKEN}"}', "Bearer authentication is needed", "TOKEN_FILE=/etc/token",
        "secret-check: http://10.0.0.1/x: status 500, wanted 200", "the signature: it does not match",
        "http://10.0.0.1:8080/orders: mail ann@example.com", '{"new-token": "on"}', "--token-file /etc/token",
    ],
)  # fmt: skip
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_configuration_on_record_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    config = '{"smoke": [{"http": "http://10.0.0.1/?token=t99"}]}'
    event = ev.Requested(
        Kind.DEPLOYMENT,
        "green",
        "blue",
        "v2",
        None,
        Plan(("lb",), (1000,)),
        {"lb": Weights.of({"blue": 1})},
        config,
        "h",
    )
    assert redaction.clean(event).config == config


def test_what_the_daemon_was_given_under_a_secret_name_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "pw-of-the-registry")
    monkeypatch.setenv("REGISTRY_PASSWORD_FILE", "pw-of-the-file")
    secrets.remember_environment()
    assert redacted("it said: pw-of-the-registry, pw-of-the-file") == f"it said: {HIDDEN}, pw-of-the-file"
