"""Flags by the OpenFeature Remote Evaluation Protocol, from a real server: read, never written, no secret told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from bluegreen.aws import Sessions
from bluegreen.config.flags import FlagSource
from bluegreen.errors import AccessDenied, BalancerError, Rejected, Throttled, Unreachable
from bluegreen.flags import FLAGS_MAX, VALUE_MAX, Sources, open_flags
from bluegreen.ports import Flags
from tests.checks.servers import Handler, serving

SECRET = "s3cr3t-of-the-flags"


def provider(url: str, **more: Any) -> Flags:
    return open_flags(FlagSource.model_validate({"ofrep": url, "timeout": "5s", **more}), Sources("web", Sessions()))


class Ofrep:
    """Evaluates every flag in bulk, as the protocol has it; keeps what it was asked."""

    def __init__(self, *flags: dict[str, Any], status: int = 200, document: Any = None) -> None:
        self._document = {"flags": list(flags)} if document is None else document
        self._status = status
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.asked.append((request.method, request.path, headers, json.loads(await request.text())))
        text = self._document if isinstance(self._document, str) else json.dumps(self._document)
        return web.Response(text=text, status=self._status, content_type="application/json")


async def read(handler: Handler, **more: Any):
    async with serving(handler) as url:
        return await provider(url, **more).read()


async def test_all_flags_are_read_by_one_bulk_evaluation():
    server = Ofrep(
        {"key": "search", "value": True, "reason": "STATIC", "variant": "on"},
        {"key": "cart", "value": False, "reason": "DISABLED"},
        {"key": "theme", "value": "dark"},
        {"key": "limit", "value": 5},
        {"key": "shape", "value": {"b": 1, "a": [True, None]}},
        {"key": "default", "reason": "DEFAULT"},
        {"key": "broken", "errorCode": "TARGETING_KEY_MISSING", "errorDetails": "no key"},
    )
    assert await read(server) == {
        "search": "on", "cart": "off", "theme": "dark", "limit": "5", "shape": '{"a": [true, null], "b": 1}',
        "default": "default of the code", "broken": "error TARGETING_KEY_MISSING",
    }  # fmt: skip
    [(method, path, _, body)] = server.asked
    assert (method, path) == ("POST", "/ofrep/v1/evaluate/flags")
    assert body == {"context": {"targetingKey": "web"}}


async def test_the_context_and_the_headers_are_those_of_the_configuration(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLAGS_KEY", SECRET)
    server = Ofrep({"key": "search", "value": f"echo {SECRET}"})
    context = {"targetingKey": "ops-{service}", "beta": True, "share": 0.5}
    shown = await read(server, context=context, headers={"Authorization": "Bearer ${env:FLAGS_KEY}"})
    [(_, _, headers, body)] = server.asked
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert body == {"context": {"targetingKey": "ops-web", "beta": True, "share": 0.5}}
    assert shown == {"search": "echo ***"}, "no secret is told, whoever says it"


@pytest.mark.parametrize(
    ("status", "document", "error", "words"),
    [
        (401, {}, AccessDenied, "answered 401; check the credentials in `flags.headers`"),
        (403, {}, AccessDenied, "answered 403"),
        (429, {}, Throttled, "it limits its rate"),
        (404, {}, Rejected, "is this the base URL of an OFREP server?"),
        (400, {"errorCode": "INVALID_CONTEXT", "errorDetails": "no plan"}, Rejected, "400: INVALID_CONTEXT: no plan"),
        (500, {"errorDetails": f"broke on {SECRET}"}, Unreachable, "broke on ***"),
        (302, {}, Rejected, "answered 302"),
        (200, {"flags": 5}, Rejected, "the answer is no bulk evaluation"),
        (200, {"flags": [{"value": 5}]}, Rejected, "the answer is no bulk evaluation"),
        (200, [1], Rejected, "the answer is no bulk evaluation"),
        (200, "<html>", Rejected, "the answer is no bulk evaluation"),
        (200, "[" * 100_000, Rejected, "the answer is no bulk evaluation"),
    ],
)
async def test_what_is_no_answer_is_told_in_words(status, document, error, words, monkeypatch):
    monkeypatch.setenv("FLAGS_KEY", SECRET)
    with pytest.raises(error) as refused:
        await read(Ofrep(status=status, document=document), headers={"X-Api-Key": "${env:FLAGS_KEY}"})
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)


async def test_a_server_that_hangs_or_is_not_there_is_unreachable_in_time():
    async def hang(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    with pytest.raises(Unreachable, match=r"did not answer within 0\.5 s"):
        await read(hang, timeout="500ms")
    with pytest.raises(Unreachable):
        await provider("http://127.0.0.1:1").read()
    with pytest.raises(AccessDenied, match="NO_SUCH_VARIABLE"):
        await read(Ofrep(), headers={"X-Api-Key": "${env:NO_SUCH_VARIABLE}"})


async def test_it_only_reads_and_says_where_flags_are_set():
    server = Ofrep({"key": "search", "value": True})
    async with serving(server) as url:
        flags = provider(url + "/")
        assert not flags.writable
        assert flags.place == url
        with pytest.raises(Rejected, match="this protocol only reads"):
            await flags.write("search", "off", "on")
        [finding] = await flags.examine()
        assert finding.summary == f"1 flags at {url}, and are set elsewhere"


async def test_long_values_are_short_and_still_differ():
    one, other = "x" * 1000 + "a", "x" * 1000 + "b"
    shown = await read(Ofrep({"key": "one", "value": one}, {"key": "other", "value": other}))
    assert all(len(value) == VALUE_MAX for value in shown.values())
    assert shown["one"] != shown["other"]


async def test_too_many_flags_and_odd_names_are_refused_and_never_cut():
    many = [{"key": f"flag-{number}", "value": True} for number in range(FLAGS_MAX + 1)]
    for flags, words in (
        (many, f"{FLAGS_MAX + 1} flags are served here, and at most {FLAGS_MAX}"),
        ([{"key": "x" * 201, "value": True}], "a flag's name is of 201 characters"),
        ([{"key": "", "value": True}], "a flag's name is of 0 characters"),
    ):
        with pytest.raises(BalancerError, match=words):
            await read(Ofrep(*flags))
