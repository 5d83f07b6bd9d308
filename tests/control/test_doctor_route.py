"""Routes that look at everything a switch will need: what fails is said, nothing is changed, nothing is waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bluegreen import doctor
from tests.control.conftest import SERVICE, Endpoint

MORE = """
gates: [{name: errors, command: [/bin/sh, -c, "test ! -e high"], every: 50ms}]
guards: [{name: quota, command: [/bin/sh, -c, "test ! -e used-up"]}]
evidence: [{name: logs, command: [/bin/echo, logs]}]
"""
ALL_GOOD = [
    ("balancers", ["memory: reachable"]),
    ("weights and health", ["memory: weights", "memory: blue healthy"]),
    ("the way forward", ["deploy command"]),
    ("this host", ["host: programs", "host: disk", "notifiers"]),
    ("guards", ["quota"]),
    ("smoke checks, asked of what is live", ["ticket on blue"]),
    ("gates", ["errors on blue"]),
]


@pytest.fixture
def service_file() -> str:
    return SERVICE + MORE


def failed(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["check"]: one for part in document["sections"] for one in part["findings"] if not one["ok"]}


async def test_all_that_a_switch_needs_is_looked_at_and_nothing_is_put_on_record(endpoint: Endpoint) -> None:
    before = await endpoint.events()
    status, document = await endpoint.get("/v1/services/web/doctor")
    assert (status, document["ok"], document["service"]) == (200, True, "web"), document
    found = [(part["about"], [one["check"] for one in part["findings"]]) for part in document["sections"]]
    assert found == ALL_GOOD
    assert await endpoint.events() == before
    assert (await endpoint.get("/v1/services/none/doctor"))[0] == 404


async def test_what_is_not_good_is_told_with_what_to_do(endpoint: Endpoint) -> None:
    for name in ("bad", "high", "used-up"):
        (endpoint.directory / "services" / name).touch()
    _, document = await endpoint.get("/v1/services/web/doctor")
    assert document["ok"] is False
    assert set(failed(document)) == {"quota", "ticket on blue", "errors on blue"}
    assert "it fails where users are now" in failed(document)["ticket on blue"]["advice"]


async def test_a_weight_that_another_hand_has_changed_is_found(endpoint: Endpoint) -> None:
    (endpoint.directory / "state" / "memory-web-memory.json").write_text('{"blue": 60, "green": 40}')
    _, document = await endpoint.get("/v1/services/web/doctor")
    drift = failed(document)["memory: weights"]
    assert "the balancer shows blue 60% green 40%, the journal says blue 100% green 0%" in drift["summary"]
    assert "bluegreen restore web" in drift["advice"]


@pytest.mark.slow
async def test_after_a_deployment_the_way_back_is_told(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    async with asyncio.timeout(90):
        while True:
            _, document = await endpoint.get("/v1/services/web/doctor")
            if "failback to blue" not in failed(document):
                break
    assert document["sections"][-1]["about"] == "the way back"
    assert "possible now" in document["sections"][-1]["findings"][0]["summary"]
    (endpoint.directory / "services" / "bad").touch()
    async with asyncio.timeout(90):
        while "failback to blue" not in failed(document):
            _, document = await endpoint.get("/v1/services/web/doctor")
    assert "ticket: " in failed(document)["failback to blue"]["summary"]


async def test_at_a_halt_it_looks_at_the_candidate_that_is_there(endpoint: Endpoint) -> None:
    (endpoint.directory / "services" / "broken").touch()
    assert (await endpoint.deployed())["switch"]["condition"] == "halted"
    _, document = await endpoint.get("/v1/services/web/doctor")
    assert document["ok"] is True


async def test_the_daemon_and_every_service_are_one_document(endpoint: Endpoint) -> None:
    status, document = await endpoint.get("/v1/doctor")
    assert (status, document["ok"], document["daemon"]["ok"]) == (200, True, True)
    assert [one["check"] for one in document["daemon"]["findings"]] == ["journal"]
    assert [one["service"] for one in document["services"]] == ["web"]
    (endpoint.directory / "services" / "used-up").touch()
    assert (await endpoint.get("/v1/doctor"))[1]["ok"] is False


class TestWhatHangs:
    @pytest.fixture
    def service_file(self) -> str:
        hangs = 'guards: [{name: quota, command: [/bin/sh, -c, "sleep 60"], timeout: 60s}]'
        return SERVICE + hangs

    async def test_what_hangs_is_told_and_the_rest_is_there(self, endpoint: Endpoint) -> None:
        engine = endpoint.parts.fleet.engine("web")
        sections = await doctor.examine(engine, endpoint.parts.clock, seconds=0.5)
        found = {section.about: section.findings for section in sections}
        assert (found["guards"][0].ok, found["guards"][0].summary) == (False, "no answer within 0.5 s")
        assert all(one.ok for one in found["balancers"])


async def test_a_defect_in_one_look_hides_nothing() -> None:
    async def defect() -> tuple[()]:
        raise ZeroDivisionError("on purpose")

    (finding,) = await doctor.within("gates", defect, 1.0)
    assert (finding.ok, finding.summary) == (False, "a defect of bluegreen itself: ZeroDivisionError: on purpose")


# --- a preflight looks at the same ---


@pytest.mark.slow
async def test_a_preflight_halts_on_what_the_host_lacks_and_an_operator_may_go_past_it(endpoint: Endpoint) -> None:
    engine = endpoint.parts.fleet.engine("web")
    text = (endpoint.directory / "services" / "web.yaml").read_text().replace("/bin/echo", "/no/such/program")
    await _reconfigured(endpoint, text)
    document = await endpoint.deployed()
    assert document["switch"]["halt"]["cause"] == "preflight_failed"
    assert "evidence logs: /no/such/program does not exist" in document["switch"]["halt"]["summary"]
    accepted = {"check": "host: programs", "reason": "no logs are needed today"}
    assert (await endpoint.post("/v1/services/web/accept", accepted))[0] == 202
    assert (await endpoint.until("completed"))["live"] == "green"
    assert engine.state.live == "green"


async def _reconfigured(endpoint: Endpoint, text: str) -> None:
    from bluegreen.config.load import load
    from bluegreen.wiring import setup_of

    (endpoint.directory / "services" / "web.yaml").write_text(text)
    config = load(Path(endpoint.directory / "bluegreen.yaml"))
    await endpoint.parts.fleet.engine("web").reconfigure(setup_of(config.services["web"]))
