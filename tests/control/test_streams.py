"""What is watched: live events, metrics, health."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from aiohttp import ClientSession, UnixConnector, web
from prometheus_client.parser import text_string_to_metric_families

from bluegreen.control.app import build_app
from bluegreen.control.exchange import Door
from bluegreen.control.stream import QUEUE_MAX, Hub
from bluegreen.control.tokens import MadeTokens
from tests.control.conftest import ABOUT, Endpoint

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
    async with asyncio.timeout(90):
        async for line in answer.content:
            if line.startswith(b"data:"):
                found.append(json.loads(line[5:]))
                if len(found) == count:
                    break
    return found


async def eventually(true: Callable[[], bool]) -> None:
    """Until it is."""
    async with asyncio.timeout(90):
        while not true():  # noqa: ASYNC110 - asked as an outsider would
            await asyncio.sleep(0.01)


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


async def test_open_streams_do_not_hold_up_the_end(endpoint: Endpoint, report_figures) -> None:
    """The runner would wait for 30 s, twice."""
    async with contextlib.AsyncExitStack() as stack:
        for url, session in ((endpoint.url, endpoint.tcp), ("http://daemon", endpoint.unix)):
            answer = await stack.enter_async_context(session.get(f"{url}/v1/events", headers=SSE))
            await read_events(answer, 1)
        began = time.perf_counter()
        await endpoint.runner.cleanup()
        took = time.perf_counter() - began
    report_figures(f"the end of two doors with an open stream each: {took * 1000:.1f} ms")
    assert took < 15


@contextlib.asynccontextmanager
async def another_door(endpoint: Endpoint, hub: Hub) -> AsyncIterator[tuple[str, web.AppRunner]]:
    """A door with a hub of its own, so that what is published here reaches nobody else."""
    door = Door(
        endpoint.parts.fleet,
        hub,
        endpoint.parts.metrics,
        ABOUT,
        lambda: {},
        MadeTokens(endpoint.directory / "none.json"),
    )
    runner = web.AppRunner(build_app(door), access_log=None, shutdown_timeout=30)
    await runner.setup()
    path = str(endpoint.directory / "other.sock")
    await web.UnixSite(runner, path).start()
    yield path, runner
    await runner.cleanup()


async def test_a_reader_that_does_not_read_is_cut_off_and_holds_up_nobody(endpoint: Endpoint, report_figures) -> None:
    hub = Hub(send_seconds=0.3)
    entry = (await endpoint.parts.store.read())[0]
    async with another_door(endpoint, hub) as (path, runner):
        reader, writer = await asyncio.open_unix_connection(path, limit=1024)
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: d\r\nAccept: text/event-stream\r\n\r\n")
        await reader.readuntil(b"data:")
        await eventually(lambda: len(hub._queues) == 1)
        (queue,) = hub._queues
        seq, longest = 1, 0.0
        async with asyncio.timeout(90):
            while queue.empty():  # until nothing more fits into the pipe between the two
                for _ in range(100):
                    hub.publish(replace(entry, seq=(seq := seq + 1)))
                await asyncio.sleep(0.01)
        for more in range(QUEUE_MAX + 1):
            began = time.perf_counter()
            hub.publish(replace(entry, seq=seq + more))
            longest = max(longest, time.perf_counter() - began)
        assert queue not in hub._queues
        server = runner.server
        assert server is not None
        await eventually(lambda: not server.connections)  # it has taken nothing for 0.3 s
        writer.close()
    report_figures(f"the longest that a stalled reader held up an entry: {longest * 1e6:.0f} µs")
    assert longest < 5


async def test_a_reader_that_has_gone_is_let_go_of_though_nothing_happens(endpoint: Endpoint) -> None:
    hub = Hub(ping_seconds=0.05)
    async with another_door(endpoint, hub) as (path, _), ClientSession(connector=UnixConnector(path)) as session:
        async with session.get("http://daemon/v1/events", headers=SSE) as answer:
            await read_events(answer, 1)
            await eventually(lambda: len(hub._queues) == 1)
        await eventually(lambda: not hub._queues)


async def test_a_stream_of_one_service_tells_nothing_of_others_and_an_unknown_one_is_refused(
    endpoint: Endpoint,
) -> None:
    async with endpoint.unix.get("http://daemon/v1/events?service=shop", headers=SSE) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
    hub = Hub()
    entry = (await endpoint.parts.store.read())[0]
    other = replace(entry, seq=99, record=replace(entry.record, service="shop"))
    async with (
        another_door(endpoint, hub) as (path, _),
        ClientSession(connector=UnixConnector(path)) as session,
        session.get("http://daemon/v1/events?service=web&after=1", headers=SSE) as answer,
    ):
        await eventually(lambda: len(hub._queues) == 1)
        hub.publish(other)
        hub.publish(replace(entry, seq=100))
        (event,) = await read_events(answer, 1)
    assert (event["seq"], event["service"]) == (100, "web")


async def test_every_metric_of_the_contract_is_there_with_its_labels(endpoint: Endpoint) -> None:
    await endpoint.deployed()
    async with endpoint.unix.get("http://daemon/metrics") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    samples = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    for name, labels in CONTRACT.items():
        assert labels <= samples[name], name
    values = {
        (sample.name, *(sample.labels[name] for name in ("environment", "kind", "outcome") if name in sample.labels)):
        sample.value
        for family in families
        for sample in family.samples
    }  # fmt: skip
    assert values["bluegreen_weight", "green"] == 100.0
    assert values["bluegreen_switches_total", "deployment", "completed"] == 1.0
    assert values["bluegreen_switches_total", "failback", "completed"] == 0.0, "there from the start"
    assert values["bluegreen_failback_ready",] == 1.0


async def test_a_halt_is_seen_in_the_metrics(endpoint: Endpoint) -> None:
    (endpoint.directory / "services" / "bad").touch()
    assert (await endpoint.deployed())["switch"]["condition"] == "halted"
    async with endpoint.unix.get("http://daemon/metrics") as answer:
        text = await answer.text()
    assert 'bluegreen_halted{service="web"} 1.0' in text
    assert 'bluegreen_switch_state{condition="halted",kind="deployment",service="web"} 1.0' in text


async def test_ready_says_what_is_not(endpoint: Endpoint) -> None:
    status, document = await endpoint.get("/readyz")
    assert (status, document["ready"], document["faults"]) == (200, True, [])
    assert document["journal"]["ok"]
    (endpoint.directory / "state" / "memory-web-memory.json").write_text("torn")
    await endpoint.parts.fleet.engine("web").observe()
    status, document = await endpoint.get("/readyz")
    assert status == 503
    assert "cannot be read" in document["faults"][0]
