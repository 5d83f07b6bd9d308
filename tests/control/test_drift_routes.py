"""Another hand at the balancer, as the API, the metrics and the page tell it, and what an operator answers by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.control.browser import Page, browser
from tests.control.conftest import TOKEN, Endpoint
from tests.control.test_page import in_a_browser


def balancer(endpoint: Endpoint) -> Path:
    return endpoint.directory / "state" / "memory-web-memory.json"


async def drifted(endpoint: Endpoint, blue: int = 70, green: int = 30) -> dict[str, Any]:
    """Another hand changes the weights, and that is seen."""
    balancer(endpoint).write_text(json.dumps({"blue": blue, "green": green}))
    return await until(endpoint, lambda document: bool(document["drift"]))


async def until(endpoint: Endpoint, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while not condition(document := await endpoint.service()):  # noqa: ASYNC110 - asked as a client would
            await asyncio.sleep(0.01)
        return document


async def metrics(endpoint: Endpoint) -> str:
    async with endpoint.unix.get("http://daemon/metrics") as answer:
        return await answer.text()


async def test_a_drift_is_told_with_before_and_after_and_is_restored_by_its_id(endpoint: Endpoint) -> None:
    document = await drifted(endpoint)
    [drift] = document["drift"]
    assert drift["expected"] == {"blue": 100.0, "green": 0.0}
    assert drift["shown"] == {"blue": 70.0, "green": 30.0}
    assert drift["last_good"] < drift["since"]
    assert [option["verb"] for option in document["options"][:3]] == ["leave", "adopt", "restore"]
    status, answer = await endpoint.post("/v1/services/web/restore", {"reason": "a slip", "drift": [drift["id"]]})
    assert (status, answer["restore"]["reason"]) == (202, "a slip")
    await until(endpoint, lambda now: not now["drift"] and now["restore"] is None)
    assert json.loads(balancer(endpoint).read_text())["green"] == 0
    kinds = [event["kind"] for event in await endpoint.events()]
    assert kinds[-4:] == ["DriftSeen", "RestoreAsked", "RestoreStarted", "Restored"]
    assert 'bluegreen_drift_total{service="web"} 1.0' in await metrics(endpoint)


async def test_an_answer_to_another_drift_is_a_problem_and_writes_nothing(endpoint: Endpoint) -> None:
    await drifted(endpoint)
    for verb in ("restore", "leave"):
        status, problem = await endpoint.post(f"/v1/services/web/{verb}", {"reason": "a slip", "drift": ["000"]})
        assert (status, problem["type"]) == (409, "urn:bluegreen:state-moved")
        status, problem = await endpoint.post(f"/v1/services/web/{verb}")
        assert (status, problem["type"]) == (409, "urn:bluegreen:refused")
        status, problem = await endpoint.post(f"/v1/services/web/{verb}", {"reason": "a slip", "drift": [5]})
        assert (status, list(problem["errors"])) == (422, ["drift"])
    assert json.loads(balancer(endpoint).read_text())["green"] == 30


async def test_the_same_key_restores_once(endpoint: Endpoint) -> None:
    await drifted(endpoint)
    for _ in range(2):
        status, _ = await endpoint.post(
            "/v1/services/web/restore", {"reason": "a slip"}, headers={"Idempotency-Key": "k1"}
        )
        assert status == 202
        await until(endpoint, lambda now: not now["drift"])
    assert [event["kind"] for event in await endpoint.events()].count("RestoreAsked") == 1


async def test_what_is_left_is_told_with_who_and_why_and_alarms_nobody(endpoint: Endpoint) -> None:
    await drifted(endpoint)
    assert 'bluegreen_drifted{service="web"} 1.0' in await metrics(endpoint)
    status, document = await endpoint.post("/v1/services/web/leave", {"reason": "a test of ours"})
    assert status == 202
    assert document["drift"][0]["left"]["reason"] == "a test of ours"
    assert document["drift"][0]["left"]["by"].startswith("uid:")
    assert 'bluegreen_drifted{service="web"} 0.0' in await metrics(endpoint)


async def test_what_cannot_be_read_is_unknown_and_never_told_as_unchanged(endpoint: Endpoint) -> None:
    assert 'bluegreen_weight{environment="blue"' in await metrics(endpoint)
    good = balancer(endpoint).read_text() if balancer(endpoint).exists() else None
    balancer(endpoint).write_text("torn")
    document = await until(endpoint, lambda now: now["switch_points"]["memory"]["shown"] is None)
    assert document["switch_points"]["memory"]["agrees"] is None
    assert "cannot be read" in document["switch_points"]["memory"]["error"]
    assert document["environments"]["blue"]["healthy"] is None
    assert document["drift"] == []
    text = await metrics(endpoint)
    assert "bluegreen_weight{" not in text, "no old number is told for a new one"
    assert 'bluegreen_switch_point_readable{service="web",switch_point="memory"} 0.0' in text
    balancer(endpoint).write_text(good) if good else balancer(endpoint).unlink()
    await until(endpoint, lambda now: now["switch_points"]["memory"]["agrees"] is True)
    assert 'bluegreen_weight{environment="blue"' in await metrics(endpoint)


async def test_the_weight_is_what_the_balancer_shows_also_where_that_is_drift(endpoint: Endpoint) -> None:
    await drifted(endpoint)
    assert 'bluegreen_weight{environment="green",service="web",switch_point="memory"} 30.0' in await metrics(endpoint)


@pytest.fixture
async def page(endpoint: Endpoint, tmp_path: Path) -> AsyncIterator[Page]:
    async with browser(f"{endpoint.url}/#token={TOKEN}", tmp_path / "profile") as opened:
        yield opened
        assert opened.faults == []


class TestInABrowser:
    pytestmark = in_a_browser

    async def test_a_drift_is_restored_with_a_reason_after_before_and_after_were_shown(
        self, endpoint: Endpoint, page: Page
    ) -> None:
        await drifted(endpoint)
        await page.sees("DRIFT at memory", "The journal says blue 100%, green 0%", "blue 70%, green 30%")
        await page.click("Restore…")
        await page.sees("memory goes from blue 70% green 30% to blue 100% green 0%", "30% → 0%")
        await page.type("reason", "a slip of the hand")
        await page.click("Restore")
        await page.sees("blue has the traffic")
        asked = next(event for event in await endpoint.events() if event["kind"] == "RestoreAsked")
        assert (asked["by"], asked["reason"]) == ("token:ci", "a slip of the hand")

    async def test_what_is_left_says_by_whom_and_no_longer_waits(self, endpoint: Endpoint, page: Page) -> None:
        await drifted(endpoint)
        await page.click("Leave drift…")
        await page.sees("nothing is written", "Do nothing")
        await page.type("reason", "a test of ours")
        await page.click("Leave drift")
        await page.sees("Left as it is at memory", "Left as it is by token:ci: a test of ours", "nobody is awaited")
