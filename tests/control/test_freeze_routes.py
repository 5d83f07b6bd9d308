"""Freezes over the API: what they refuse, how they are overridden, and that a failback never waits for them."""

from __future__ import annotations

import pytest

from tests.control.conftest import SERVICE, Endpoint

pytestmark = pytest.mark.slow

ALWAYS = """
freeze:
  - {name: year-end, why: the busiest weeks, start: "2020-01-01 00:00", end: "2120-01-01 00:00",
     actions: [deploy, promote, release]}
"""
DEPLOYMENTS = "/v1/services/web/deployments"


@pytest.fixture
def service_file() -> str:
    return SERVICE + ALWAYS


async def test_a_deployment_in_a_freeze_is_refused_or_overridden_for_a_reason_on_record(endpoint: Endpoint) -> None:
    document = await endpoint.service()
    assert document["freeze"] == {
        "active": [
            {"name": "year-end", "why": "the busiest weeks", "actions": ["deploy", "promote", "release"],
             "since": "2020-01-01T00:00:00.000Z", "until": "2120-01-01T00:00:00.000Z"}
        ],
        "next": None,
    }  # fmt: skip
    (option,) = [one for one in document["options"] if one["verb"] == "deploy"]
    assert not option["lawful"]
    assert "--override-freeze" in option["instead"]

    status, refusal = await endpoint.post(DEPLOYMENTS, {"version": "v2", "reason": "now"})
    assert status == 409
    assert refusal["detail"] == "deploy is frozen for web until 2120-01-01 00:00 UTC: year-end (the busiest weeks)"
    assert (await endpoint.get("/v1/services/web/plan?version=v2"))[1]["why_not"].startswith("deploy is frozen")

    status, refusal = await endpoint.post(DEPLOYMENTS, {"version": "v2", "override_freeze": True})
    assert (status, refusal["errors"]) == (422, {"reason": "missing"})

    await endpoint.deployed("v2", override_freeze=True, reason="CVE-2026-1")
    asked = [one for one in await endpoint.events() if one["kind"] == "Requested"]
    assert [one["reason"] for one in asked] == ["CVE-2026-1 (overrides the freeze year-end)"]


async def test_the_way_back_is_open_in_a_freeze_and_letting_it_go_is_not(endpoint: Endpoint) -> None:
    document = await endpoint.deployed("v2", override_freeze=True, reason="CVE-2026-1")
    assert document["switch"]["condition"] == "completed"
    assert (await endpoint.post("/v1/services/web/release"))[0] == 409
    for verb in ("abort", "pause", "resume", "halt", "accept"):
        body = {"override_freeze": True, "reason": "now", "check": "ticket"}
        status, refusal = await endpoint.post(f"/v1/services/web/{verb}", body)
        assert (status, refusal["detail"]) == (422, f"`{verb}` is never frozen")
    plan = (await endpoint.get("/v1/services/web/failback"))[1]
    assert plan["lawful"], plan["why_not"]
    said = {"plan": plan["plan"], "reason": "v2 is ill", "acknowledge": plan["acknowledge"], "confirm": "web"}
    assert (await endpoint.post("/v1/services/web/failback", said))[0] == 202
    assert (await endpoint.until("completed"))["live"] == "blue"


async def test_doctor_says_it_and_finds_no_fault_in_it(endpoint: Endpoint) -> None:
    found = (await endpoint.get("/v1/services/web/doctor"))[1]
    (section,) = [one for one in found["sections"] if one["about"] == "freezes"]
    assert section["ok"]
    assert section["findings"][0]["summary"] == (
        "in force: deploy, promote, release from 2020-01-01 00:00 until 2120-01-01 00:00 UTC (the busiest weeks)"
    )


@pytest.mark.parametrize("endpoint", ["approve"], indirect=True)
async def test_an_approval_outside_of_what_is_frozen_goes_on_and_a_promote_does_not(endpoint: Endpoint) -> None:
    await endpoint.post(DEPLOYMENTS, {"version": "v2", "override_freeze": True, "reason": "CVE-2026-1"})
    await endpoint.until("paused")
    assert (await endpoint.post("/v1/services/web/promote"))[0] == 409
    assert (await endpoint.post("/v1/services/web/approve"))[0] == 202
    await endpoint.until("completed")
