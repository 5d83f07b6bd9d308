"""Feature flags and artifacts over HTTP: read live, set with a reason, on record like everything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.control.conftest import SERVICE, Endpoint

pytestmark = pytest.mark.slow

FLAGS = """
flags:
  command: {read: [cat, ../flags.json], write: [../set, "{flag}", "{value}"]}
  timeout: 2s
  every: 200ms
digest: {command: [cat, "../digest-{environment}"], attempts: 1, every: 100ms}
"""
SET = """#!/bin/sh
test -e ../hang && exec sleep 60
sed -i "s/\\"$1\\": [a-z]*/\\"$1\\": $([ "$2" = on ] && echo true || echo false)/" ../flags.json
"""
DIGEST = "sha256:" + "1a" * 32
FLAG = "/v1/services/web/flags/search"


@pytest.fixture
def service_file(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """With flags and a probe, but for the test of a service without."""
    if "without_flags" in request.node.name:
        return SERVICE
    (tmp_path / "flags.json").write_text(json.dumps({"search": True, "limit": 5}))
    (tmp_path / "set").write_text(SET)
    (tmp_path / "set").chmod(0o755)
    for side in ("blue", "green"):
        (tmp_path / f"digest-{side}").write_text(DIGEST)
    return SERVICE + FLAGS


async def until(endpoint: Endpoint, condition: Any) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while not condition(document := await endpoint.service()):  # noqa: ASYNC110 - asked as a client would
            await asyncio.sleep(0.01)
        return document


async def test_flags_are_listed_with_what_changed_since_the_deployment(endpoint: Endpoint) -> None:
    status, document = await endpoint.get("/v1/services/web/flags")
    assert (status, document["error"], document["at_deploy"]) == (200, "", None)
    assert document["flags"][1] == {"flag": "search", "now": "on", "at_deploy": None, "changed": False}
    assert (document["place"], document["writable"]) == ("what `cat ../flags.json` reads", True)
    assert [event["kind"] for event in await endpoint.events()].count("FlagsSeen") == 0, "looking is not on record"
    await endpoint.deployed()
    (endpoint.directory / "flags.json").write_text(json.dumps({"search": False, "new": True}))
    document = await until(endpoint, lambda now: now["flags"] and now["flags"]["changed"])
    assert document["flags"]["changed"] == [
        {"flag": "limit", "before": "5", "after": None},
        {"flag": "new", "before": None, "after": "on"},
        {"flag": "search", "before": "on", "after": "off"},
    ]
    _, listed = await endpoint.get("/v1/services/web/flags")
    assert listed["flags"][2] == {"flag": "search", "now": "off", "at_deploy": "on", "changed": True}
    assert listed["record"]["at_deploy"]["of"] == document["switch"]["id"]


async def test_setting_a_flag_is_on_record_with_intent_outcome_actor_and_reason(endpoint: Endpoint) -> None:
    body = {"value": "off", "reason": "orders fail", "expected": "on"}
    status, document = await endpoint.post(FLAG, body)
    assert status == 202
    [act] = document["flags"]["acts"]
    assert (act["flag"], act["before"], act["value"], act["outcome"], act["reason"]) == (
        "search", "on", "off", "set", "orders fail",
    )  # fmt: skip
    assert act["by"].startswith("uid:")
    told = [event for event in await endpoint.events() if event["kind"].startswith("FlagSet")]
    assert [(event["kind"], event["by"].split(":")[0], event["reason"]) for event in told] == [
        ("FlagSetStarted", "uid", "orders fail"), ("FlagSet", "daemon", ""),
    ]  # fmt: skip
    assert json.loads((endpoint.directory / "flags.json").read_text())["search"] is False


@pytest.mark.parametrize(
    ("name", "body", "status", "slug", "words"),
    [
        ("search", {"value": "off"}, 409, "refused", "needs a reason"),
        ("search", {"reason": "why"}, 422, "bad-request", "which value?"),
        ("search", {"value": "x" * 201, "reason": "why"}, 422, "bad-request", "which value?"),
        ("search", {"value": "a\x07", "reason": "why"}, 422, "bad-request", "which value?"),
        ("search", {"value": True, "reason": "why"}, 422, "bad-request", "value"),
        ("search", {"value": "off", "reason": "why", "halt": "h9"}, 409, "state-moved", "nothing is halted now"),
        ("search", {"value": "off", "reason": "why", "expected": "off"}, 409, "state-moved", "search is on now"),
        ("serch", {"value": "off", "reason": "why"}, 404, "not-found", "no flag 'serch'"),
        ("a%2Fb", {"value": "off", "reason": "why"}, 404, "not-found", "no flag 'a/b'"),
    ],
)
async def test_what_is_refused_writes_nothing(
    endpoint: Endpoint, name: str, body: dict[str, Any], status: int, slug: str, words: str
) -> None:
    before = (await endpoint.service())["revision"]
    got, problem = await endpoint.post(f"/v1/services/web/flags/{name}", body)
    assert (got, problem["type"]) == (status, f"urn:bluegreen:{slug}")
    assert words in problem["detail"]
    assert (await endpoint.service())["revision"] == before


async def test_the_same_key_sets_once_and_another_request_with_it_is_refused(endpoint: Endpoint) -> None:
    body, key = {"value": "off", "reason": "why"}, {"Idempotency-Key": "k1"}
    for _ in range(2):
        status, _ = await endpoint.post(FLAG, body, headers=key)
        assert status == 202
    assert [event["kind"] for event in await endpoint.events()].count("FlagSetStarted") == 1
    status, _ = await endpoint.post(FLAG, {**body, "value": "on"}, headers=key)
    assert status == 422


async def test_a_provider_that_cannot_be_read_is_told_and_nothing_is_ordered(endpoint: Endpoint) -> None:
    (endpoint.directory / "flags.json").unlink()
    status, document = await endpoint.get("/v1/services/web/flags")
    assert (status, document["flags"]) == (200, [])
    assert "No such file" in document["error"]
    status, problem = await endpoint.post(FLAG, {"value": "off", "reason": "why"})
    assert (status, problem["type"]) == (502, "urn:bluegreen:balancer")
    assert "the flags of web cannot be read" in problem["detail"]


async def test_a_service_without_flags_says_so(endpoint: Endpoint) -> None:
    assert (await endpoint.service())["flags"] is None
    for status, problem in (
        await endpoint.get("/v1/services/web/flags"),
        await endpoint.post(FLAG, {"value": "off", "reason": "why"}),
    ):
        assert (status, problem["detail"]) == (409, "web has no feature flags")


@pytest.mark.parametrize("endpoint", ["10s"], indirect=True)
async def test_a_flag_is_offered_at_a_halt_before_the_failback(endpoint: Endpoint) -> None:
    await endpoint.post("/v1/services/web/deployments", {"version": "v2", "artifact": DIGEST})
    await until(endpoint, lambda now: now["switch"]["phase"] == "shift")
    (endpoint.directory / "flags.json").write_text(json.dumps({"search": True, "limit": 5, "new": True}))
    (endpoint.directory / "digest-green").write_text("sha256:" + "2b" * 32)
    await endpoint.until("halted")
    document = await until(endpoint, lambda now: now["flags"]["at_halt"])
    halt, green = document["switch"]["halt"], document["environments"]["green"]
    assert halt["cause"] == "wrong_artifact"
    assert halt["summary"].endswith(f"not {DIGEST} which was given at deploy")
    assert (green["artifact"]["same"], green["artifact"]["given"]) == (False, DIGEST)
    verbs = [option["verb"] for option in document["options"] if option["lawful"]]
    assert verbs.index("flag") < verbs.index("failback")
    status, document = await endpoint.post(
        "/v1/services/web/flags/new", {"value": "off", "reason": "it broke", "halt": halt["id"]}
    )
    assert (status, document["switch"]["condition"]) == (202, "halted")
    assert document["flags"]["acts"][0]["outcome"] == "set"


@pytest.mark.slow
async def test_an_order_whose_answer_is_lost_is_unknown_until_it_is_looked_up(endpoint: Endpoint) -> None:
    (endpoint.directory / "hang").touch()
    status, document = await endpoint.post(FLAG, {"value": "off", "reason": "why"})
    assert status == 202
    [act] = document["flags"]["setting"]
    assert act["outcome"] == "unknown"
    assert "set was ended" in act["detail"]
    document = await until(endpoint, lambda now: not now["flags"]["setting"])
    assert document["flags"]["acts"][0]["outcome"] == "not set"
    assert document["flags"]["acts"][0]["detail"] == "search still shows on"
