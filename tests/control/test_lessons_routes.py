"""What halts have taught, as the API and the page tell it; and guards made over HTTP, with all that is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluegreen.model import CAUSE_CLASSES
from tests.control.browser import browser
from tests.control.conftest import TOKEN, Endpoint
from tests.control.test_page import in_a_browser

LESSONS, GUARDS = "/v1/services/web/lessons", "/v1/services/web/guards"
FILE = {"command": ["/usr/bin/test", "-e", "there"]}


async def halted(endpoint: Endpoint, version: str = "v2") -> dict[str, Any]:
    """A halt: the smoke check fails."""
    (endpoint.directory / "services" / "bad").touch()
    return dict((await endpoint.deployed(version))["switch"]["halt"])


async def resumed(endpoint: Endpoint, **more: str) -> dict[str, Any]:
    (endpoint.directory / "services" / "bad").unlink()
    status, _ = await endpoint.post("/v1/services/web/resume", more)
    assert status == 202
    return await endpoint.until("completed", "halted")


@pytest.mark.slow
async def test_the_second_halt_of_a_kind_tells_of_the_first(endpoint: Endpoint) -> None:
    first = await halted(endpoint)
    assert (first["lessons"]["fingerprint"], first["lessons"]["times"]) == ("smoke/ticket/check_failed", 0)
    await resumed(endpoint, cause="dependency", note="the mock was down")
    second = await halted(endpoint, "v3") if await released(endpoint) else {}
    told = second["lessons"]
    assert (told["times"], told["answers"][0]["helped"]) == (1, 1)
    assert told["text"].startswith("seen once before, last 20")
    assert "; resume helped once after " in told["text"]
    assert "; last note: dependency, 'the mock was down' by " in told["text"]
    assert (await endpoint.service())["lessons"] == {"recurring": 1, "without_cause": 0}


async def released(endpoint: Endpoint) -> bool:
    status, _ = await endpoint.post("/v1/services/web/release")
    return status == 202


async def test_a_halt_that_nobody_explained_is_listed_until_somebody_does(endpoint: Endpoint) -> None:
    halt = await halted(endpoint)
    assert (await endpoint.get(LESSONS))[1]["without_cause"] == [], "it still waits"
    await resumed(endpoint)
    _, document = await endpoint.get(LESSONS)
    assert [one["halt"] for one in document["without_cause"]] == [halt["id"]]
    assert document["classes"] == list(CAUSE_CLASSES)
    status, document = await endpoint.post(LESSONS, {"lesson": halt["id"], "cause": "network", "note": "a cable"})
    assert (status, document["without_cause"]) == (202, [])
    assert document["lessons"][0]["last_note"] == document["lessons"][0]["last_note"] | {
        "cause": "network", "note": "a cable"
    }  # fmt: skip
    status, document = await endpoint.post(
        LESSONS, {"lesson": document["lessons"][0]["id"], "act": "close", "reason": "a one-off"}
    )
    assert (status, document["lessons"][0]["state"], document["lessons"][0]["closed"]["reason"]) == (
        202, "closed", "a one-off"
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        (LESSONS, {}, 422, "lesson"),
        (LESSONS, {"lesson": "x", "cause": "human", "note": "n"}, 404, ""),
        (LESSONS, {"lesson": "smoke/ticket/check_failed", "note": "n"}, 422, "cause"),
        (LESSONS, {"lesson": "smoke/ticket/check_failed", "cause": "luck", "note": "n"}, 422, "cause"),
        (LESSONS, {"lesson": "smoke/ticket/check_failed", "cause": "human"}, 422, "note"),
        (LESSONS, {"lesson": "smoke/ticket/check_failed", "act": "close"}, 422, "reason"),
        (LESSONS, {"lesson": "smoke/ticket/check_failed", "act": "forget"}, 422, "act"),
        (GUARDS, {}, 422, "name"),
        (GUARDS, {"name": "g"}, 422, "check"),
        (GUARDS, {"name": "g", "check": {"http": "{nope}/x"}}, 422, "http"),
        (GUARDS, {"name": "g", "check": {"http": "http://u:hush@h/"}}, 422, "http"),
        (GUARDS, {"name": "g", "check": {"http": "http://h", "headers": {"Cookie": "hush"}}}, 422, "headers.Cookie"),
        (GUARDS, {"name": "ticket", "check": FILE}, 422, "name"),
        (GUARDS, {"name": "journal", "check": FILE}, 409, ""),
        (GUARDS, {"name": "g", "check": FILE, "lesson": "x"}, 404, ""),
        (GUARDS, {"name": "g", "act": "enforce"}, 404, ""),
        (GUARDS, {"name": "g", "act": "bless"}, 422, "act"),
        ("/v1/services/web/resume", {"cause": "luck"}, 422, "cause"),
        ("/v1/services/web/adopt", {"cause": "human"}, 422, "cause"),
    ],
)
async def test_what_is_not_as_wanted_is_refused_by_its_field_and_nothing_is_on_record(
    endpoint: Endpoint, path: str, body: dict[str, Any], status: int, field: str
) -> None:
    await halted(endpoint)
    before = len(await endpoint.events())
    answered, problem = await endpoint.post(path, body)
    assert (answered, bool(problem["detail"])) == (status, True)
    if field:
        assert list(problem["errors"]) == [field]
    assert "hush" not in json.dumps(problem)
    assert len(await endpoint.events()) == before


@pytest.mark.slow
async def test_a_guard_lives_from_shadow_to_enforcing_to_its_end(endpoint: Endpoint) -> None:
    await halted(endpoint)
    await resumed(endpoint)
    assert await released(endpoint)
    body = {"name": "there", "check": FILE, "lesson": "smoke/ticket/check_failed", "reason": "ticket 7"}
    status, document = await endpoint.post(GUARDS, body)
    assert (status, document["warnings"]) == (202, [])
    [guard] = document["guards"]
    assert (guard["kind"], guard["shadow"], guard["ran"], guard["reason"]) == ("command", True, 0, "ticket 7")
    assert guard["check"]["directory"] == str(endpoint.directory / "services"), "as those of the file"
    status, problem = await endpoint.post(GUARDS, {"name": "there", "act": "enforce"})
    assert status == 409
    assert "--force" in problem["advice"]
    assert (await endpoint.deployed("v3"))["switch"]["condition"] == "completed"
    _, document = await endpoint.get(GUARDS)
    assert (document["guards"][0]["ran"], document["guards"][0]["would_have_failed"]) == (1, 1)
    assert (await endpoint.post(GUARDS, {"name": "there", "act": "enforce"}))[0] == 202
    _, document = await endpoint.get(LESSONS)
    assert (document["lessons"][0]["state"], document["lessons"][0]["guards"]) == (
        "guarded", [{"name": "there", "shadow": False}]
    )  # fmt: skip
    await released(endpoint)
    stopped = await endpoint.deployed("v4")
    assert stopped["switch"]["phase"] == "preflight"
    assert stopped["switch"]["halt"]["summary"].startswith("there: ")
    (endpoint.directory / "services" / "there").touch()
    await endpoint.post("/v1/services/web/resume")
    assert (await endpoint.until("completed", "halted"))["switch"]["condition"] == "completed"
    _, plan = await endpoint.get("/v1/services/web/plan?version=v5&artifact=")
    await released(endpoint)
    _, plan = await endpoint.get("/v1/services/web/plan?version=v5")
    assert plan["findings"][-1]["summary"] == "covers 1 past halt: smoke/ticket/check_failed (guard there)"
    status, document = await endpoint.post(GUARDS, {"name": "there", "act": "remove", "reason": "exported"})
    assert (status, document["guards"]) == (202, [])


async def test_a_token_makes_no_guard_that_runs_a_program_or_uses_a_secret(endpoint: Endpoint) -> None:
    refused: list[dict[str, Any]] = [
        FILE,
        {"http": "http://h/", "headers": {"X-Api-Key": "${env:HOME}"}},
        {"aws_permission": "a:B", "region": "eu-west-1", "endpoint_url": "http://h", "role": "arn:aws:iam::1:role/r"},
    ]
    for check in refused:
        async with endpoint.tcp.post(f"{endpoint.url}{GUARDS}", json={"name": "g", "check": check}) as answer:
            assert answer.status == 403, check
            assert "is made by root or by the daemon" in (await answer.json())["detail"]
    async with endpoint.tcp.post(f"{endpoint.url}{GUARDS}", json={"name": "g", "check": {"tcp": "h:1"}}) as answer:
        assert answer.status == 202
    for check in refused:
        assert (await endpoint.post(GUARDS, {"name": f"g{len(check)}", "check": check}))[0] == 202


async def test_the_same_key_adds_one_guard(endpoint: Endpoint) -> None:
    body, headers = {"name": "g", "check": {"tcp": "h:1"}}, {"Idempotency-Key": "k1"}
    answers = [await endpoint.post(GUARDS, body, headers=headers) for _ in range(2)]
    assert [status for status, _ in answers] == [202, 202]
    assert [event["kind"] for event in await endpoint.events()].count("GuardAdded") == 1
    status, problem = await endpoint.post(GUARDS, {**body, "name": "other"}, headers=headers)
    assert (status, problem["detail"]) == (422, "this Idempotency-Key came with another request before")


class TestInABrowser:
    pytestmark = in_a_browser

    async def test_a_halt_shows_what_is_known_of_its_kind(self, endpoint: Endpoint, tmp_path: Path) -> None:
        await halted(endpoint)
        await resumed(endpoint, cause="dependency", note="the <b id=evil>mock</b>")
        assert await released(endpoint)
        await halted(endpoint, "v3")
        async with browser(f"{endpoint.url}/#token={TOKEN}", tmp_path / "profile") as page:
            await page.sees("Seen before: smoke/ticket/check_failed: seen once before", "the <b id=evil>mock</b>")
            assert await page.run("document.getElementById('evil')") is None
            assert page.faults == []
