"""What can be asked, who asks, and what comes back."""

from __future__ import annotations

import os
import re

import aiohttp
import pytest
from openapi_spec_validator import validate

from tests.control.conftest import TOKEN, Endpoint

ROLES = {"live", "idle", "candidate", "warm"}
CONDITIONS = {"running", "paused", "halted", "completed", "aborted", "failed_back", "superseded"}


async def test_a_command_that_was_pasted_without_its_version_deploys_nothing(endpoint: Endpoint) -> None:
    status, problem = await endpoint.post("/v1/services/web/deployments", {"version": "VERSION"})
    assert (status, problem["errors"]) == (422, {"version": "wanted the version to be deployed in its place"})


async def test_who_asks_is_on_record_by_uid_and_by_token(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    async with endpoint.tcp.get(f"{endpoint.url}/v1/services/web/failback") as answer:
        plan = (await answer.json())["plan"]
    body = {"plan": plan, "reason": "why not"}
    async with endpoint.tcp.post(f"{endpoint.url}/v1/services/web/failback", json=body) as answer:
        assert answer.status == 202
    asked = [event for event in await endpoint.events() if event["kind"] == "Requested"]
    assert asked[0]["by"].startswith(f"uid:{os.getuid()}(")
    assert (asked[1]["by"], asked[1]["reason"]) == ("token:ci", "why not")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
async def test_tcp_without_the_right_token_gets_nothing(endpoint: Endpoint, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as nobody:
        for path in ("/v1/services", "/v1/events", "/v1/services/web"):
            async with nobody.get(endpoint.url + path, headers=headers) as answer:
                assert answer.status == 401
                assert answer.content_type == "application/problem+json"
        async with nobody.post(
            f"{endpoint.url}/v1/services/web/deployments", json={"version": "v2"}, headers=headers
        ) as a:
            assert a.status == 401
        async with nobody.get(f"{endpoint.url}/healthz") as answer:
            assert answer.status == 200
    assert not [event for event in await endpoint.events() if event["kind"] == "Requested"]


async def test_the_openapi_document_is_valid_and_has_exactly_the_routes_that_are_served(endpoint: Endpoint) -> None:
    _, document = await endpoint.get("/openapi.json")
    validate(document)
    assert document["openapi"].startswith("3.1")
    told = {(path, method) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.resource.canonical, route.method.lower())
        for route in endpoint.runner.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert told == served


async def test_a_deployment_is_accepted_with_its_place(endpoint: Endpoint) -> None:
    async with endpoint.unix.post("http://daemon/v1/services/web/deployments", json={"version": "v2"}) as answer:
        assert answer.status == 202
        switch = (await answer.json())["switch"]
        assert answer.headers["Location"] == f"/v1/switches/{switch['id']}"
    status, found = await endpoint.get(answer.headers["Location"])
    assert (status, found["id"], found["version"]) == (200, switch["id"], "v2")
    status, problem = await endpoint.post("/v1/services/web/deployments", {"version": "v3"})
    assert (status, problem["type"]) == (409, "urn:bluegreen:refused")
    await endpoint.until("completed")


async def test_the_change_manifest_goes_on_record(endpoint: Endpoint) -> None:
    changes = [{"kind": "schema", "id": "0093", "summary": "orders get a column", "backward_compatible": "yes"}]
    await endpoint.deployed("v2", changes=changes)
    assert (await endpoint.service())["switch"]["changes"] == changes
    requested = next(event for event in await endpoint.events() if event["kind"] == "Requested")
    assert '"0093"' in requested["data"]["changes"]


async def test_the_same_key_does_one_thing_and_another_request_with_it_is_refused(endpoint: Endpoint) -> None:
    headers = {"Idempotency-Key": "k1"}
    answers = [
        await endpoint.post("/v1/services/web/deployments", {"version": "v2"}, headers=headers) for _ in range(3)
    ]
    assert {status for status, _ in answers} == {202}
    assert len({body["switch"]["id"] for _, body in answers}) == 1
    status, problem = await endpoint.post("/v1/services/web/deployments", {"version": "v3"}, headers=headers)
    assert (status, problem["type"]) == (422, "urn:bluegreen:bad-request")


async def test_a_failback_wants_a_plan_and_a_reason_and_the_plan_must_be_of_now(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    status, problem = await endpoint.post("/v1/services/web/failback", {})
    assert status == 422
    assert set(problem["errors"]) == {"plan", "reason"}
    status, problem = await endpoint.post("/v1/services/web/failback", {"plan": "fb-000000000000", "reason": "x"})
    assert (status, problem["type"]) == (409, "urn:bluegreen:state-moved")
    _, plan = await endpoint.get("/v1/services/web/failback")
    assert plan["target"]["environment"] == "blue"
    assert plan["traffic"] == [
        {"switch_point": "memory", "now": {"blue": 0.0, "green": 100.0}, "after": {"blue": 100.0, "green": 0.0}}
    ]
    status, _ = await endpoint.post("/v1/services/web/failback", {"plan": plan["plan"], "reason": "x"})
    assert status == 202
    assert (await endpoint.until("completed"))["live"] == "blue"


@pytest.mark.parametrize(
    "verb", ["approve", "pause", "resume", "promote", "abort", "accept", "release", "halt", "adopt", "restore", "leave"]
)
async def test_what_is_not_lawful_is_refused_with_advice_and_changes_nothing(endpoint: Endpoint, verb: str) -> None:
    before = await endpoint.events()
    status, problem = await endpoint.post(f"/v1/services/web/{verb}", {"reason": "r", "check": "c"})
    assert (status, problem["type"]) == (409, "urn:bluegreen:refused")
    assert problem["detail"]
    assert problem["advice"]
    assert await endpoint.events() == before


async def test_an_answer_to_another_halt_is_refused(endpoint: Endpoint) -> None:
    (endpoint.directory / "services" / "bad").touch()
    halted = await endpoint.deployed()
    halt = halted["switch"]["halt"]["id"]
    status, problem = await endpoint.post("/v1/services/web/resume", {"halt": "web-000-h9"})
    assert (status, problem["type"]) == (409, "urn:bluegreen:state-moved")
    (endpoint.directory / "services" / "bad").unlink()
    status, _ = await endpoint.post("/v1/services/web/resume", {"halt": halt})
    assert status == 202
    await endpoint.until("completed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"), (b"[]", "body"), (b'{"version": 5}', "version"), (b'{"versoin": "v2"}', "versoin"),
        (b"{}", "version"), (b'{"version": "a b"}', "version"), (b'{"version": "-rf"}', "version"),
        (b'{"version": "v2", "replace_warm": "yes"}', "replace_warm"),
    ],
)  # fmt: skip
async def test_a_bad_body_says_which_field(endpoint: Endpoint, body: bytes, field: str) -> None:
    async with endpoint.unix.post("http://daemon/v1/services/web/deployments", data=body) as answer:
        assert answer.status == 422
        assert answer.content_type == "application/problem+json"
        assert field in (await answer.json())["errors"]


async def test_what_does_not_exist_is_404_and_names_what_does(endpoint: Endpoint) -> None:
    status, problem = await endpoint.get("/v1/services/shop")
    assert (status, problem["advice"]) == (404, "known services: web")
    for path in ("/v1/nothing", "/v1/switches/none", "/page/secret.txt", "/page/..%2Fapp.py"):
        status, problem = await endpoint.get(path)
        assert (status, problem["type"]) == (404, "urn:bluegreen:not-found")


async def test_too_large_and_the_wrong_method_are_problems_too(endpoint: Endpoint) -> None:
    async with endpoint.unix.post("http://daemon/v1/services/web/deployments", data=b"x" * 300_000) as answer:
        assert (answer.status, answer.content_type) == (413, "application/problem+json")
    async with endpoint.unix.delete("http://daemon/v1/services/web") as answer:
        assert (answer.status, answer.content_type) == (405, "application/problem+json")
        assert "GET" in answer.headers["Allow"]


async def test_an_unchanged_document_is_not_sent_again(endpoint: Endpoint) -> None:
    async with endpoint.unix.get("http://daemon/v1/services/web") as answer:
        etag = answer.headers["ETag"]
        assert etag.startswith(f'"{(await answer.json())["revision"]}-')
    async with endpoint.unix.get("http://daemon/v1/services/web", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
    balancer = endpoint.parts.fleet.engine("web").ports().balancers["memory"]
    balancer._inner.set_targets("green", ())  # type: ignore[attr-defined]
    await endpoint.parts.fleet.engine("web").observe()
    async with endpoint.unix.get("http://daemon/v1/services/web", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 200, "health has changed, though the journal has not"


async def test_documents_keep_to_the_contract_over_a_whole_switch_and_back(endpoint: Endpoint) -> None:
    await endpoint.post("/v1/services/web/deployments", {"version": "v2"})
    seen = []
    while (document := await endpoint.service())["switch"]["condition"] == "running":
        seen.append(document)
    _, plan = await endpoint.get("/v1/services/web/failback")
    await endpoint.post("/v1/services/web/failback", {"plan": plan["plan"], "reason": "x"})
    seen.append(await endpoint.until("completed"))
    assert len(seen) > 5
    for document in seen:
        assert {"service", "live", "environments", "warm", "switch"} <= set(document)
        for environment in document["environments"].values():
            assert environment["role"] in ROLES
            assert {"role", "release", "weight", "healthy", "targets"} <= set(environment)
        wanted = {"id", "kind", "phase", "condition", "step", "awaiting", "options"}
        assert wanted <= set(document["switch"])
        assert document["switch"]["condition"] in CONDITIONS
    warm = [document["warm"] for document in seen if document["warm"]]
    assert warm
    assert {"environment", "ready", "proven_at", "reasons"} <= set(warm[0])


async def test_a_plan_shows_every_step_and_changes_nothing(endpoint: Endpoint) -> None:
    before = await endpoint.events()
    status, plan = await endpoint.get("/v1/services/web/plan?version=v2")
    assert (status, plan["lawful"], plan["candidate"]) == (200, True, "green")
    assert [step["step"] for step in plan["steps"]] == [
        "preflight", "deploy", "wait_healthy", "smoke", "shift", "shift", "bake", "keep_warm",
    ]  # fmt: skip
    assert all(finding["ok"] for finding in plan["findings"])
    assert await endpoint.events() == before


async def test_the_token_is_in_no_answer_and_in_no_entry(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    everything = ""
    for path in ("/v1/services", "/v1/services/web", "/v1/events", "/metrics", "/openapi.json", "/readyz", "/"):
        async with endpoint.tcp.get(endpoint.url + path) as answer:
            everything += await answer.text()
    assert TOKEN not in everything
    assert TOKEN.encode() not in (endpoint.directory / "state" / "journal.sqlite-wal").read_bytes()
    assert re.search(r"v2", everything)
