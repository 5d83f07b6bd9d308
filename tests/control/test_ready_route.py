"""The route on the way back, and what the service's document and the metrics say of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.control.conftest import Endpoint

pytestmark = pytest.mark.slow


async def becomes(endpoint: Endpoint, ready: bool) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while True:
            _, document = await endpoint.get("/v1/services/web/ready")
            if document["ready"] is ready:
                return dict(document)
            await asyncio.sleep(0.02)


async def test_with_nothing_to_go_back_to_it_says_so(endpoint: Endpoint) -> None:
    status, document = await endpoint.get("/v1/services/web/ready")
    assert (status, document["ready"], document["lawful"], document["environment"]) == (200, False, False, None)
    assert "no warm environment" in document["reasons"][0]
    assert (await endpoint.get("/v1/services/none/ready"))[0] == 404


async def test_every_proof_stands_there_with_its_age_and_the_service_says_the_same(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    document = await becomes(endpoint, ready=True)
    assert (document["environment"], document["lawful"], document["reasons"]) == ("blue", True, [])
    assert {one["check"] for one in document["proofs"]} == {
        "memory: weights", "memory: blue healthy", "memory: blue attached", "memory: capacity", "memory: reachable",
        "release on record", "ticket",
    }  # fmt: skip
    assert all(0 <= one["age_seconds"] <= one["valid_seconds"] for one in document["proofs"])
    warm = (await endpoint.service())["warm"]
    assert (warm["environment"], warm["ready"], warm["reasons"]) == ("blue", True, [])
    assert [one["check"] for one in warm["proofs"]] == [one["check"] for one in document["proofs"]]
    status, plan = await endpoint.get("/v1/services/web/failback")
    assert (status, plan["target"]["ready"]) == (200, True)


async def test_new_proofs_of_the_same_are_no_new_document(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    await becomes(endpoint, ready=True)
    engine = endpoint.parts.fleet.engine("web")
    async with endpoint.unix.get("http://d/v1/services/web") as answer:
        before = answer.headers["ETag"]
    await engine.observe()
    async with endpoint.unix.get("http://d/v1/services/web", headers={"If-None-Match": before}) as answer:
        assert answer.status == 304


async def test_giving_up_what_is_warm_wants_a_reason(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    path = "/v1/services/web/deployments"
    for body in ({}, {"replace_warm": True}, {"replace_warm": True, "reason": " "}):
        status, problem = await endpoint.post(path, {"version": "v3", **body})
        assert (status, problem["type"]) == (409, "urn:bluegreen:refused")
        assert "--reason" in problem["advice"]
    assert (await endpoint.post(path, {"version": "v3", "replace_warm": True, "reason": "no room"}))[0] == 202
