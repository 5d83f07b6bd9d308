"""The prometheus check, against a real server that answers like Prometheus, or worse."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from aiohttp import web

from bluegreen.checks.prometheus import ANSWER_BYTES_MAX
from bluegreen.model import UNANSWERED, Finding
from tests.checks.servers import Handler, answering, hanging, look, scene, serving

NO_DATA = "the query has no data: no data is not good"


def _success(kind: str, result: Any) -> Handler:
    return answering(json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}))


def _vector(*values: str) -> Handler:
    return _success("vector", [{"metric": {"n": str(n)}, "value": [1700000000.1, v]} for n, v in enumerate(values)])


async def _queried(handler: Handler, *, query: str = "errors", timeout: str = "60s", **limits: float) -> Finding:
    async with serving(handler) as url:
        return await look(scene(url), prometheus={"url": "{url}/", "query": query, **limits}, timeout=timeout)


async def test_the_query_is_sent_with_its_placeholders_filled_in():
    asked = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, request.query["query"]))
        return await _vector("0")(request)

    query = 'sum(rate(errors{{side="{environment}",version="{version}"}}[1m])) / 2'
    assert (await _queried(handler, query=query, max=1)).ok
    assert asked == [("/api/v1/query", 'sum(rate(errors{side="green",version="1.2.3"}[1m])) / 2')]


async def test_headers_are_sent_and_their_secrets_are_told_to_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_TOKEN", "s3cret")

    async def handler(request: web.Request) -> web.StreamResponse:
        error = f"{request.headers['Authorization']} has no access to {request.headers['X-Scope-OrgID']}"
        return web.json_response({"status": "error", "errorType": "forbidden", "error": error}, status=403)

    async with serving(handler) as url:
        headers = {"Authorization": "Bearer ${env:THE_TOKEN}", "X-Scope-OrgID": "{environment}"}
        finding = await look(scene(url), prometheus={"url": "{url}", "query": "up", "min": 1}, headers=headers)
    assert not finding.ok
    assert finding.summary.endswith("(status 403): forbidden: Bearer *** has no access to green")
    assert "s3cret" not in repr(finding)


@pytest.mark.parametrize(
    ("values", "limits", "ok"),
    [
        (["0.01"], {"max": 0.01}, True), (["0.011"], {"max": 0.01}, False), (["5"], {"min": 5}, True),
        (["4.9"], {"min": 5}, False), (["3"], {"min": 1, "max": 5}, True), (["0", "9", "0"], {"max": 5}, False),
        (["0", "0", "0", "0", "0", "0", "9"], {"max": 5}, False), (["+Inf"], {"max": 5}, False),
        (["-Inf"], {"min": 0}, False), (["NaN"], {"max": 5}, False), (["0", "NaN"], {"max": 5}, False),
        ([], {"max": 5}, False),
    ],
)  # fmt: skip
async def test_every_value_must_lie_within_the_limits(values: list[str], limits: Any, ok: bool):
    finding = await _queried(_vector(*values), **limits)
    assert finding.ok is ok


async def test_values_and_limits_are_told():
    finding = await _queried(_vector(*"1234567"), min=0, max=6)
    assert finding.summary == "1, 2, 3, 4, 5 …; wanted at least 0 and at most 6"
    assert finding.detail["query"] == "errors"


async def test_a_scalar_is_a_value():
    assert (await _queried(_success("scalar", [1700000000, "0.5"]), max=1)).ok
    assert not (await _queried(_success("scalar", [1700000000, "1.5"]), max=1)).ok


@pytest.mark.parametrize("handler", [_vector(), _vector("NaN"), _success("scalar", [0, "NaN"])])
async def test_no_data_is_not_good(handler: Handler):
    finding = await _queried(handler, min=0)
    assert (finding.ok, finding.summary, finding.advice) == (False, NO_DATA, "look at the query by hand")
    assert UNANSWERED not in finding.detail, "the candidate may have what the live side has not"


async def test_an_error_of_the_query_is_told():
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"})
    finding = await _queried(answering(body, status=400), max=1)
    assert not finding.ok
    assert "no usable answer (status 400): bad_data: parse error: unexpected end" in finding.summary


@pytest.mark.parametrize(
    "handler",
    [
        _success("matrix", [{"metric": {}, "values": [[0, "1"]]}]),
        _success("string", [0, "fine"]),
        _success("scalar", []),
        _success("scalar", None),
        _success("vector", [{"metric": {}, "value": [0]}]),
        _success("vector", [{"metric": {}, "histogram": [0, {}]}]),
        _success("vector", [{"metric": {}, "value": [0, "many"]}]),
        _success("vector", {}),
        answering("<html>sign in</html>"),
        answering(""),
        answering("null"),
        answering('"success"'),
        answering('["status", "success"]'),
        answering('{"status": "success"}'),
        answering('{"status": "success", "data": null}'),
        answering("[" * 100_000),
        answering(status=503),
        answering(status=302, Location="/login"),
        answering("x" * (ANSWER_BYTES_MAX + 1)),
    ],
)
async def test_an_answer_that_is_no_number_is_not_good(handler: Handler):
    finding = await _queried(handler, min=-1e9, max=1e9)
    assert not finding.ok
    assert "no usable answer" in finding.summary or finding.summary == NO_DATA
    assert len(finding.summary) < 1500


async def test_a_long_answer_is_read_to_its_end():
    finding = await _queried(_vector(*["1"] * 20_000, "7"), max=5)
    assert not finding.ok
    assert "wanted at most 5" in finding.summary


async def test_a_server_that_hangs_is_not_waited_for():
    finding = await _queried(hanging, timeout="200ms", max=1)
    assert not finding.ok
    assert "did not answer within 0.2 s" in finding.summary
    assert UNANSWERED in finding.detail


async def test_a_server_that_is_not_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finding = await look(prometheus={"url": f"http://127.0.0.1:{port}", "query": "up", "min": 1})
    assert not finding.ok
    assert f"127.0.0.1:{port}/api/v1/query: no usable answer: " in finding.summary
    assert UNANSWERED in finding.detail
