"""The http check: the whole answer is looked at, everything that is wrong is told, and no secret is."""

from __future__ import annotations

import asyncio
import datetime
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.checks.common import ANSWER_BYTES_MAX, EXCERPT_MAX, excerpt
from tests.checks.servers import Handler, answering, hanging, look, scene, serving


async def _asked(handler: Handler, expect: dict[str, Any] | None = None, **keys: Any):
    async with serving(handler) as url:
        rest = keys if expect is None else {"expect": expect, **keys}
        return await look(scene(url), http="{url}/healthz", **rest)


def _json(**document: Any) -> Handler:
    return answering(json.dumps(document))


# --- the answer ---


async def test_a_good_answer_is_ok_and_says_what_was_seen():
    finding = await _asked(answering("fine"))
    assert finding.ok
    assert finding.summary.startswith("http://127.0.0.1:")
    assert "/healthz answered 200 in " in finding.summary
    assert (finding.detail["status"], finding.detail["body"]) == ("200", "fine")


@pytest.mark.parametrize(
    ("got", "wanted", "ok"), [(200, 200, True), (503, 200, False), (204, 204, True), (200, 404, False)]
)
async def test_the_status_is_the_one_that_is_wanted(got: int, wanted: int, ok: bool):
    finding = await _asked(answering(status=got), {"status": wanted})
    assert finding.ok is ok
    assert ok or f"status {got}, wanted {wanted}" in finding.summary


async def test_headers_and_body_are_compared_with_placeholders_filled_in():
    good = {"headers": {"X-Version": "{version}"}, "body": "I am {environment}"}
    assert (await _asked(answering("Yes: I am green.", X_Version="1.2.3"), good)).ok
    bad = await _asked(answering("Yes: I am blue.", X_Version="1.2.2"), good)
    assert not bad.ok
    assert "header X-Version is '1.2.2', wanted '1.2.3'" in bad.summary
    assert "the body does not contain 'I am green'" in bad.summary


async def test_values_are_found_by_their_paths():
    answer = _json(version="1.2.3", checks=[{"name": "db", "ok": True}, {"name": "queue", "ok": True}], depth=4)
    wanted = {
        "version": "{version}",
        "checks[?name=='db'].ok | [0]": True,
        "length(checks)": 2,
        "depth": 4.0,
        "no.such": None,
    }
    assert (await _asked(answer, {"json": wanted})).ok


async def test_everything_that_is_wrong_is_told_at_once():
    finding = await _asked(
        answering(json.dumps({"version": "1.2.2", "ready": 1}), status=500, X_Side="blue"),
        {"headers": {"X-Side": "green"}, "body": "absent", "json": {"version": "{version}", "ready": True}},
    )
    for part in (
        "status 500",
        "header X-Side",
        "does not contain",
        'version is "1.2.2", wanted "1.2.3"',
        "ready is 1, wanted true",
    ):
        assert part in finding.summary


async def test_the_wrong_version_from_the_wrong_side_is_not_ok():
    finding = await _asked(
        _json(version="1.2.2", side="blue"), {"json": {"version": "{version}", "side": "{environment}"}}
    )
    assert not finding.ok
    assert 'side is "blue", wanted "green"' in finding.summary


async def test_a_version_that_looks_like_a_number_may_be_answered_as_one():
    async with serving(_json(version=7, build=1.5)) as url:
        wanted: Any = {"expect": {"json": {"version": "{version}", "build": "1.5"}}}
        assert (await look(scene(url, "7"), http="{url}", **wanted)).ok
        assert not (await look(scene(url, "07"), http="{url}", **wanted)).ok
        assert not (await look(scene(url, "7.0"), http="{url}", **wanted)).ok


@pytest.mark.parametrize("body", ["", "ok", "{", "[" * 100_000, "9" * 5000])
async def test_a_body_that_is_not_json_is_not_ok(body: str):
    finding = await _asked(answering(body), {"json": {"version": "1"}})
    assert not finding.ok
    assert "the body is not JSON" in finding.summary


async def test_a_path_that_does_not_fit_the_answer_is_told():
    finding = await _asked(_json(version="1.2.3"), {"json": {"length(checks)": 2, "version": "x"}})
    assert not finding.ok
    assert "length(checks) cannot be looked up" in finding.summary
    assert 'version is "1.2.3"' in finding.summary


async def test_a_redirect_is_an_answer_and_is_not_followed():
    asked = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPFound("/elsewhere")

    assert not (await _asked(handler)).ok
    assert (await _asked(handler, {"status": 302, "headers": {"Location": "/elsewhere"}})).ok
    assert asked == ["/healthz", "/healthz"]


# --- time and size ---


async def test_an_answer_that_came_too_late_is_not_ok():
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.15)
        return web.Response()

    finding = await _asked(handler, {"within": "100ms"})
    assert not finding.ok
    assert "wanted within 100 ms" in finding.summary
    assert (await _asked(answering(), {"within": "1500ms"})).ok


async def test_an_endpoint_that_hangs_is_not_waited_for():
    finding = await _asked(hanging, timeout="200ms")
    assert not finding.ok
    assert "did not answer within 0.2 s" in finding.summary


async def test_an_answer_that_drips_is_not_waited_for():
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b".")
            await asyncio.sleep(0.02)

    finding = await _asked(handler, timeout="300ms")
    assert not finding.ok
    assert "did not answer within 0.3 s" in finding.summary


async def test_a_body_without_end_is_not_read_to_its_end():
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while sent < 100 * ANSWER_BYTES_MAX:
            await answer.write(b"x" * 65536)
            sent += 65536
        return answer

    finding = await _asked(handler)
    assert not finding.ok
    assert "the body is larger than 1024 KiB" in finding.summary
    assert sent < 20 * ANSWER_BYTES_MAX
    assert (await _asked(answering("x" * ANSWER_BYTES_MAX), {"body": "xxx"})).ok


# --- nobody there ---


async def test_a_refused_connection_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finding = await look(scene(f"http://127.0.0.1:{port}"), http="{url}/")
    assert not finding.ok
    assert f"127.0.0.1:{port}" in finding.summary


@pytest.mark.parametrize(
    "url", ["http://nobody.invalid/", "http://", "no url at all", "http://127.0.0.1:99999/", "ftp://127.0.0.1/"]
)
async def test_what_is_no_reachable_url_is_told(url: str):
    finding = await look(http=url)
    assert not finding.ok
    assert url in finding.summary


async def test_a_server_that_hangs_up_is_told():
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    finding = await _asked(handler)
    assert not finding.ok
    assert finding.summary.partition("/healthz: ")[2]


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path):
    async with serving(answering("fine"), _self_signed(tmp_path)) as url:
        finding = await look(scene(url), http="{url}/")
    assert not finding.ok
    assert "certificate" in finding.summary.lower()


# --- secrets ---


async def test_a_secret_is_sent_and_told_to_nobody(monkeypatch: pytest.MonkeyPatch):
    secret = 's3cr"et\\x'
    monkeypatch.setenv("THE_TOKEN", secret)

    async def echo(request: web.Request) -> web.StreamResponse:
        got = request.headers["Authorization"]
        return web.json_response({"got": got}, headers={"X-Got": got})

    expect = {"json": {"got": "x"}, "headers": {"X-Got": "x"}}
    finding = await _asked(echo, expect, headers={"Authorization": "Bearer ${env:THE_TOKEN}"})
    assert not finding.ok
    assert 'got is "Bearer ***", wanted "x"' in finding.summary
    assert "X-Got is 'Bearer ***'" in finding.summary
    assert finding.detail["body"] == '{"got": "Bearer ***"}'


async def test_a_missing_secret_is_told_by_its_reference_and_nothing_is_asked():
    asked = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return web.Response()

    finding = await _asked(handler, headers={"Authorization": "${env:NO_SUCH_SECRET}"})
    assert not finding.ok
    assert finding.summary.startswith("${env:NO_SUCH_SECRET}: ")
    assert finding.advice
    assert asked == []


@given(
    st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4),
    st.text(),
    st.integers(0, 2000),
)
def test_an_excerpt_never_shows_a_secret(secret: str, around: str, padding: int):
    body = "x" * padding + around + secret + json.dumps([secret]) + repr(secret) + around
    shown = excerpt(body, [secret])
    if secret not in "x" * 2000 + around + " …[]\"'":
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown
    assert len(shown) <= EXCERPT_MAX + 2


# --- parts ---


def _self_signed(directory: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (directory / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    (directory / "certificate.pem").write_bytes(made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    return context
