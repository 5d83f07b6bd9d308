"""The failback's report and the debts by HTTP: the guard is in the daemon, whatever a client looks like."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest

from tests.control.conftest import Endpoint

pytestmark = pytest.mark.slow

CHANGES = [
    {"kind": "schema", "id": "20261101-orders", "summary": "orders lose a column", "phase": "contract"},
    {"kind": "security", "id": "tls", "summary": "x", "advisories": [{"id": "CVE-2026-1", "severity": "high"}]},
]
UNSAFE = ["point-of-no-return", "schema:20261101-orders", "security:tls"]
FAILBACK = "/v1/services/web/failback"
DEBTS = "/v1/services/web/debts"


async def asked(endpoint: Endpoint, **more: Any) -> tuple[int, dict[str, Any]]:
    """With the plan of now."""
    _, plan = await endpoint.get(FAILBACK)
    return await endpoint.post(FAILBACK, {"plan": plan["plan"], "reason": "5xx", **more})


async def test_the_plan_has_the_report_and_says_what_must_be_acknowledged(endpoint: Endpoint) -> None:
    await endpoint.deployed("v2", changes=CHANGES)
    _, plan = await endpoint.get(FAILBACK)
    assert plan["acknowledge"] == UNSAFE
    assert {"id", "verdict", "text", "topic"} == set(plan["lines"][0])
    assert [line["verdict"] for line in plan["lines"][:4]] == ["unsafe"] * 3 + ["unknown"]
    assert plan["advice"].startswith("roll forward rather than back")


async def test_a_post_that_leaves_out_any_of_it_is_refused_and_moves_nothing(endpoint: Endpoint) -> None:
    await endpoint.deployed("v2", changes=CHANGES)
    before = (await endpoint.service())["revision"]
    for missing in UNSAFE:
        said = [id_ for id_ in UNSAFE if id_ != missing]
        status, problem = await asked(endpoint, acknowledge=said, confirm="web")
        assert (status, list(problem["errors"])) == (422, [missing])
        assert problem["type"] == "urn:bluegreen:bad-request"
    status, problem = await asked(endpoint)
    assert (status, list(problem["errors"])) == (422, UNSAFE)
    for confirm in (None, "wbe"):
        status, problem = await asked(endpoint, acknowledge=UNSAFE, confirm=confirm)
        assert (status, list(problem["errors"])) == (422, ["confirm"])
    status, problem = await asked(endpoint, acknowledge=[1], confirm="web")
    assert (status, list(problem["errors"])) == (422, ["acknowledge"])
    assert (await endpoint.service())["revision"] == before
    status, started = await asked(endpoint, acknowledge=UNSAFE, confirm="web")
    assert (status, started["switch"]["acknowledged"]) == (202, UNSAFE)


async def test_a_failback_leaves_debts_and_a_deployment_waits_until_they_are_read(endpoint: Endpoint) -> None:
    await endpoint.deployed("v2", changes=CHANGES)
    await asked(endpoint, acknowledge=UNSAFE, confirm="web")
    await endpoint.until("completed")
    debts = (await endpoint.service())["debts"]
    assert [(debt["id"], debt["owner"], debt["acknowledged"]) for debt in debts] == [
        ("schema:20261101-orders", None, False),
        ("advisory:CVE-2026-1", None, False),
    ]
    status, problem = await endpoint.post("/v1/services/web/deployments", {"version": "v3"})
    assert (status, problem["type"]) == (409, "urn:bluegreen:refused")
    assert "bluegreen debts web --acknowledge" in problem["advice"]
    _, after = await endpoint.post(DEBTS, {"acknowledge": []})
    assert all(debt["acknowledged"] for debt in after["debts"])
    _, after = await endpoint.post(DEBTS, {"own": "advisory:CVE-2026-1", "owner": "security team"})
    assert after["debts"][1]["owner"] == "security team"
    _, after = await endpoint.post(DEBTS, {"paid": "schema:20261101-orders", "reason": "put back from the backup"})
    assert [debt["id"] for debt in after["debts"]] == ["advisory:CVE-2026-1"]
    assert after == (await endpoint.get(DEBTS))[1]
    paid = [event for event in await endpoint.events() if event["kind"] == "DebtPaid"][-1]
    assert paid["reason"] == "put back from the backup"
    assert paid["by"].startswith("uid:")
    status, _ = await endpoint.post("/v1/services/web/deployments", {"version": "v3"})
    assert status == 202


async def test_a_word_on_debts_that_is_none_is_refused(endpoint: Endpoint) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {}, {"own": "a"}, {"own": "a", "owner": " "}, {"paid": "a"}, {"paid": "a", "acknowledge": []},
        {"acknowledge": [1]}, {"paid": "a", "reason": "no such debt"}, {"acknowledge": ["a"]},
    )  # fmt: skip
    for body in bodies:
        status, problem = await endpoint.post(DEBTS, body)
        assert status == 422, (body, problem)


async def test_every_fault_of_a_manifest_is_told_at_once_by_its_place(endpoint: Endpoint) -> None:
    bad = [{"kind": "moon", "id": "x", "summary": "s"}, {"kind": "data"}, 3]
    status, problem = await endpoint.post("/v1/services/web/deployments", {"version": "v2", "changes": bad})
    assert status == 422
    assert list(problem["errors"]) == ["changes[0].kind", "changes[1].id", "changes[1].summary", "changes[2]"]
    assert (await endpoint.service())["switch"] is None


async def test_an_empty_manifest_is_on_record_as_one(endpoint: Endpoint) -> None:
    assert (await endpoint.deployed("v2", changes=[]))["switch"]["changes"] == []
    _, plan = await endpoint.get(FAILBACK)
    assert {line["id"]: line["verdict"] for line in plan["lines"]}["manifest:v2"] == "safe"


async def test_the_schema_of_a_manifest_is_published_and_agrees_with_the_check(endpoint: Endpoint) -> None:
    _, schema = await endpoint.get("/v1/schemas/changes.json")
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    assert validator.is_valid(CHANGES)
    assert validator.is_valid([])
    assert not validator.is_valid([{"kind": "moon", "id": "x", "summary": "s"}])
    assert not validator.is_valid([{"kind": "data", "id": "x"}])
    assert not validator.is_valid({})
