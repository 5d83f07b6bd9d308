"""Tokens that are made while the daemon runs: the daemon never sees one but when it is used."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import aiohttp
import pytest

from bluegreen.control import identity
from bluegreen.control.tokens import MadeTokens, Token
from bluegreen.errors import BadRequest, NotFound, Refused, StoreError
from bluegreen.model import Actor
from tests.control.conftest import TOKEN, Endpoint

SECRET = "made-by-nobody-else"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()
MADE = {"name": "laptop", "sha256": DIGEST, "reason": "the dashboard"}


async def status_with(endpoint: Endpoint, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{endpoint.url}/v1/services") as answer:
        return answer.status


async def test_a_token_opens_the_door_from_its_making_to_its_revocation(endpoint: Endpoint):
    assert await status_with(endpoint, SECRET) == 401
    status, document = await endpoint.post("/v1/tokens", MADE)
    assert status == 202
    assert [(one["name"], one["from"], one["revoked_at"]) for one in document["tokens"]] == [
        ("ci", "configuration", None),
        ("laptop", "made", None),
    ]
    assert await status_with(endpoint, SECRET) == 200
    assert (await endpoint.post("/v1/tokens", {"act": "revoke", "name": "laptop"}))[0] == 202
    assert await status_with(endpoint, SECRET) == 401
    (_, made) = (await endpoint.get("/v1/tokens"))[1]["tokens"]
    assert made["revoked_by"].startswith("uid:")
    assert made["revoked_at"] is not None


async def test_the_name_of_a_made_token_stands_on_what_it_did(endpoint: Endpoint):
    await endpoint.post("/v1/tokens", MADE)
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{endpoint.url}/v1/services/web/deployments", json={"version": "v2"}) as answer,
    ):
        assert (await answer.json())["switch"]["requested_by"] == "token:laptop"


async def test_a_token_makes_and_revokes_none(endpoint: Endpoint):
    for body in (MADE, {"act": "revoke", "name": "ci"}):
        async with endpoint.tcp.post(f"{endpoint.url}/v1/tokens", json=body) as answer:
            assert answer.status == 403


async def test_another_user_of_the_socket_makes_none(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity, "_peer", lambda _: Actor("uid:1234567(eve)"))
    assert (await endpoint.post("/v1/tokens", MADE))[0] == 403


async def test_neither_a_token_nor_its_digest_is_ever_told(endpoint: Endpoint):
    told = [str(await endpoint.post("/v1/tokens", MADE)), str(await endpoint.get("/v1/tokens"))]
    assert not [one for one in told if SECRET in one or DIGEST in one or TOKEN in one]


async def test_a_stream_ends_with_its_token(endpoint: Endpoint):
    await endpoint.post("/v1/tokens", MADE)
    headers = {"Authorization": f"Bearer {SECRET}", "Accept": "text/event-stream"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{endpoint.url}/v1/events") as stream,
    ):
        await stream.content.readline()
        await endpoint.post("/v1/tokens", {"act": "revoke", "name": "laptop"})
        async with asyncio.timeout(90):
            await stream.content.read()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"name": "Not A Name", "sha256": DIGEST}, 422, "name"),
        ({"name": "laptop", "sha256": "short"}, 422, "sha256"),
        ({"sha256": DIGEST}, 422, "name"),
        ({"act": "lend", "name": "laptop"}, 422, "act"),
        ({"name": "ci", "sha256": DIGEST}, 409, ""),
        ({"act": "revoke", "name": "ci"}, 409, ""),
        ({"act": "revoke", "name": "none"}, 404, ""),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(
    endpoint: Endpoint, body: dict[str, str], status: int, field: str
):
    got, document = await endpoint.post("/v1/tokens", body)
    assert got == status
    assert not field or field in document["errors"]


def token(name: str = "laptop", digest: str = DIGEST) -> Token:
    return Token(name, digest, "uid:0(root)", "2026-11-23T09:00:00.000Z")


async def test_tokens_and_revocations_survive_a_restart(tmp_path: Path):
    made = MadeTokens(tmp_path / "tokens.json")
    await made.make(token(), {})
    await made.make(token("other", "0" * 64), {})
    await made.revoke("other", "uid:0(root)", "2026-11-23T10:00:00.000Z", {})
    again = MadeTokens(tmp_path / "tokens.json")
    assert again.every() == made.every()
    assert again.name_of(SECRET.encode()) == "laptop"
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0


async def test_the_same_token_twice_is_once_and_another_of_that_name_is_refused(tmp_path: Path):
    made = MadeTokens(tmp_path / "tokens.json")
    await made.make(token(), {})
    await made.make(token(), {})
    assert len(made.every()) == 1
    with pytest.raises(Refused):
        await made.make(token(digest="1" * 64), {})


async def test_a_revoked_name_may_be_given_again_and_the_old_token_stays_revoked(tmp_path: Path):
    made = MadeTokens(tmp_path / "tokens.json")
    await made.make(token(), {})
    await made.revoke("laptop", "uid:0(root)", "2026-11-23T10:00:00.000Z", {})
    await made.make(token(digest="1" * 64), {})
    assert made.name_of(SECRET.encode()) is None
    with pytest.raises(NotFound):
        await made.revoke("other", "uid:0(root)", "2026-11-23T10:00:00.000Z", {})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": [{"name": "x"}]}'])
async def test_a_file_that_cannot_be_read_opens_no_door_and_is_not_written_over(tmp_path: Path, text: str):
    (tmp_path / "tokens.json").write_text(text)
    made = MadeTokens(tmp_path / "tokens.json")
    assert made.trouble
    assert made.name_of(SECRET.encode()) is None
    with pytest.raises(StoreError):
        await made.make(token(), {})
    assert (tmp_path / "tokens.json").read_text() == text


async def test_a_token_that_could_not_be_kept_opens_nothing(tmp_path: Path):
    made = MadeTokens(tmp_path / "gone" / "tokens.json")
    with pytest.raises(StoreError):
        await made.make(token(), {})
    assert made.name_of(SECRET.encode()) is None
    with pytest.raises(BadRequest):
        await made.make(token("UPPER"), {})
