"""What is watched: live events, metrics, health, the page."""

from __future__ import annotations

import asyncio
import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bluegreen.control.stream import QUEUE_MAX, Hub
from tests.control.conftest import TOKEN, Endpoint

SSE = {"Accept": "text/event-stream"}
CONTRACT = {
    "bluegreen_weight": {"service", "environment", "switch_point"},
    "bluegreen_switch_state": {"service", "kind", "condition"},
    "bluegreen_halted": {"service"},
    "bluegreen_awaiting_operator_seconds": {"service"},
    "bluegreen_failback_ready": {"service"},
    "bluegreen_failback_proof_age_seconds": {"service"},
    "bluegreen_switches_total": {"service", "kind", "outcome"},
    "bluegreen_step_duration_seconds_count": {"step"},
    "bluegreen_balancer_calls_total": {"kind", "operation", "outcome"},
    "bluegreen_drift_total": {"service"},
    "bluegreen_journal_append_seconds_count": set[str](),
}


async def read_events(answer, count: int) -> list[dict[str, Any]]:
    """So many events of a stream."""
    found = []
    async with asyncio.timeout(20):
        async for line in answer.content:
            if line.startswith(b"data:"):
                found.append(json.loads(line[5:]))
                if len(found) == count:
                    break
    return found


async def test_a_stream_begins_where_the_reader_left_off_and_goes_on_live(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    all_events = await endpoint.events()
    headers = {**SSE, "Last-Event-ID": str(all_events[3]["seq"])}
    async with endpoint.unix.get("http://daemon/v1/events?service=web", headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        replayed = await read_events(answer, len(all_events) - 4)
        assert replayed == all_events[4:]
        await endpoint.post("/v1/services/web/release", {})
        (live,) = await read_events(answer, 1)
        assert (live["kind"], live["seq"]) == ("WarmReleased", all_events[-1]["seq"] + 1)


async def test_an_open_stream_does_not_hold_up_the_end(endpoint: Endpoint) -> None:
    """The runner would wait for 30 s."""
    async with endpoint.unix.get("http://daemon/v1/events", headers=SSE) as answer:
        await read_events(answer, 1)
        async with asyncio.timeout(5):
            await endpoint.runner.cleanup()


async def test_a_reader_that_does_not_read_is_dropped_and_holds_up_nothing(endpoint: Endpoint) -> None:
    hub, entries = Hub(), await endpoint.parts.store.read()
    queue: asyncio.Queue[Any] = asyncio.Queue(QUEUE_MAX)
    hub._queues.add(queue)
    for _ in range(QUEUE_MAX + 1):
        hub.publish(entries[0])
    assert queue not in hub._queues
    assert await queue.get() is None, "its stream is ended, so that the client comes back by its last id"


async def test_every_metric_of_the_contract_is_there_with_its_labels(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    async with endpoint.unix.get("http://daemon/metrics") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    samples = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    for name, labels in CONTRACT.items():
        assert labels <= samples[name], name
    values = {
        (sample.name, sample.labels.get("environment", sample.labels.get("outcome", ""))): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["bluegreen_weight", "green"] == 100.0
    assert values["bluegreen_switches_total", "completed"] == 1.0
    assert values["bluegreen_failback_ready", ""] == 1.0


async def test_a_halt_is_seen_in_the_metrics(endpoint: Endpoint) -> None:
    (endpoint.directory / "services" / "bad").touch()
    assert (await endpoint.deployed())["switch"]["condition"] == "halted"
    async with endpoint.unix.get("http://daemon/metrics") as answer:
        text = await answer.text()
    assert 'bluegreen_halted{service="web"} 1.0' in text
    assert 'bluegreen_switch_state{condition="halted",kind="deployment",service="web"} 1.0' in text


async def test_ready_says_what_is_not(endpoint: Endpoint) -> None:
    assert await endpoint.get("/readyz") == (200, {"ready": True, "faults": []})
    (endpoint.directory / "state" / "memory-web-memory.json").write_text("torn")
    await endpoint.parts.fleet.engine("web").observe()
    status, document = await endpoint.get("/readyz")
    assert status == 503
    assert "cannot be read" in document["faults"][0]


class Inline(HTMLParser):
    """Collects what a strict content security policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag, attrs):
        names = {name for name, _ in attrs}
        self.found += [f"{tag} {name}" for name in names if name.startswith("on") or name == "style"]
        self.found += ["style"] if tag == "style" else []
        self._script = tag == "script"

    def handle_data(self, data):
        if self._script and data.strip():
            self.found.append("inline script")


async def test_the_page_is_served_under_a_strict_policy_that_it_keeps(endpoint: Endpoint) -> None:
    for name, kind in (("", "text/html"), ("page/app.js", "text/javascript"), ("page/style.css", "text/css")):
        async with endpoint.unix.get(f"http://daemon/{name}") as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            text = await answer.text()
            assert "innerHTML" not in text
            if not name:
                inline = Inline()
                inline.feed(text)
                assert inline.found == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="chromium is not installed and this user may not")
async def test_a_browser_shows_the_split_and_the_halt_and_what_is_lawful(endpoint: Endpoint, tmp_path: Path) -> None:
    (endpoint.directory / "services" / "bad").touch()
    assert (await endpoint.deployed())["switch"]["condition"] == "halted"
    shown = await asyncio.to_thread(
        subprocess.run,
        [
            "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=4000", "--dump-dom",
            f"{endpoint.url}/#token={TOKEN}",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    for text in ("HALTED web", "blue 100%", "ticket", "Traffic stays as it is until a person decides", ">Resume…<"):
        assert text in shown.stdout
    assert TOKEN not in shown.stdout
