"""What is badly asked gets an answer that says what to do; it never becomes a defect of the daemon, or an entry."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.control.conftest import Endpoint

DEPLOY = "/v1/services/web/deployments"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[" * 100_000, "body"),
        (b'{"version": "v2", "reason": "\\ud800"}', "body"),
        (b'{"version": "v2", "changes": [NaN]}', "body"),
        (b'{"version": "v2", "reason": "\xff"}', "body"),
        (b'{"version": "v2", "changes": {}}', "changes"),
        (b'"v2"', "body"),
    ],
)
async def test_a_body_that_cannot_be_kept_is_refused_before_anything_is_written(
    endpoint: Endpoint, body: bytes, field: str
) -> None:
    before = await endpoint.events()
    async with endpoint.unix.post(f"http://daemon{DEPLOY}", data=body) as answer:
        assert (answer.status, answer.content_type) == (422, "application/problem+json")
        problem = await answer.json()
    assert problem["type"] == "urn:bluegreen:bad-request"
    assert field in problem["errors"]
    assert await endpoint.events() == before


@pytest.mark.parametrize("key", ["after", "limit"])
@pytest.mark.parametrize("text", ["x", "-1", "1.5", "²", "9" * 30])
async def test_a_number_that_is_none_is_said_by_its_name(endpoint: Endpoint, key: str, text: str) -> None:
    status, problem = await endpoint.get("/v1/events", params={key: text})
    assert (status, problem["type"]) == (422, "urn:bluegreen:bad-request")
    assert key in problem["errors"]


async def test_a_last_event_id_that_is_no_number_begins_at_the_beginning(endpoint: Endpoint) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "9" * 30}
    async with endpoint.unix.get("http://daemon/v1/events", headers=headers) as answer:
        assert answer.status == 200
        assert await answer.content.readline() == b"id: 1\r\n"


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"\xff\xfe"])
async def test_an_unusable_key_is_refused(endpoint: Endpoint, key: bytes) -> None:
    before = await endpoint.events()
    status = await _raw(endpoint, b"Idempotency-Key: " + key, b'{"version": "v2"}')
    assert status == 422
    assert await endpoint.events() == before


async def test_a_token_of_any_bytes_is_just_not_known(endpoint: Endpoint) -> None:
    host, port = endpoint.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/services HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 90)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"urn:bluegreen:unauthenticated" in answer


async def test_a_name_typed_wrong_is_no_confirmation(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    _, plan = await endpoint.get("/v1/services/web/failback")
    body = {"plan": plan["plan"], "reason": "x", "confirm": "wbe"}
    status, problem = await endpoint.post("/v1/services/web/failback", body)
    assert (status, set(problem["errors"])) == (422, {"confirm"})
    assert (await endpoint.service())["live"] == "green"
    status, _ = await endpoint.post("/v1/services/web/failback", body | {"confirm": "web"})
    assert status == 202


async def test_too_large_a_body_is_told_the_limit(endpoint: Endpoint) -> None:
    async with endpoint.unix.post(f"http://daemon{DEPLOY}", data=b"x" * 300_000) as answer:
        assert answer.status == 413
        assert (await answer.json())["advice"] == "at most 262144 bytes"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_who_is_not_known_is_told_the_same_of_what_exists_and_of_what_does_not(
    endpoint: Endpoint, headers: dict[str, str]
) -> None:
    async with aiohttp.ClientSession(headers=headers) as nobody:
        told = []
        for path in ("/v1/services/web", "/v1/services/shop", "/v1/switches/x", "/v1/nothing"):
            async with nobody.get(endpoint.url + path) as answer:
                told.append((answer.status, await answer.json()))
    assert {status for status, _ in told} == {401}
    assert [problem for _, problem in told] == [told[0][1]] * len(told)
    assert told[0][1]["type"] == "urn:bluegreen:unauthenticated"


async def _raw(endpoint: Endpoint, header: bytes, body: bytes) -> int:
    """The status of a request that no client library would send."""
    reader, writer = await asyncio.open_unix_connection(endpoint.socket)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: d\r\nConnection: close\r\n%b\r\nContent-Length: %d\r\n\r\n%b"
        % (DEPLOY.encode(), header, len(body), body)
    )
    answer = await asyncio.wait_for(reader.read(), 90)
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ", 2)[1])
