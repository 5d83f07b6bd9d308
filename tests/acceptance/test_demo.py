"""`bluegreen demo` as a visitor has it: its own process, a real HAProxy, real traffic; and its parts by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bluegreen.config.load import load
from bluegreen.demo.app import LEAK_AFTER, LEAK_EVERY, Shop
from bluegreen.demo.figures import steps_of
from bluegreen.demo.layout import HURRIED, VISITOR, lay_out
from bluegreen.demo.traffic import Traffic
from bluegreen.demo.world import NoBalancer, open_world
from bluegreen.errors import ExitCode

# --- the whole ---


@pytest.fixture
def home(tmp_path: Path):
    """A directory for temporary files of the demo alone; its socket's path must stay short."""
    with tempfile.TemporaryDirectory(prefix="bg-") as short:
        yield Path(short)


def demo(home: Path, *arguments: str, **options) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(home)}
    return subprocess.Popen(
        [sys.executable, "-m", "bluegreen", "demo", *arguments], env=environment, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def left_behind(home: Path) -> list[str]:
    """Command lines of living processes that were started with this home."""
    mark, found = f"TMPDIR={home}".encode(), []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


@pytest.mark.slow
def test_the_scripted_run_switches_there_and_back_without_one_failed_request(home):
    process = demo(home, "--unattended", "--json")
    printed, told = process.communicate(timeout=90)
    assert process.returncode == ExitCode.DONE, told
    figures = json.loads(printed)
    print({key: value for key, value in figures.items() if key != "switches"})
    assert figures["ok"] is True
    assert figures["faults"] == []
    assert figures["failures"] == 0
    assert figures["connections_opened"] == figures["connections"]
    assert figures["requests"] == sum(figures["answers"].values()) > 1000
    assert set(figures["answers"]) == {"v1", "v2"}
    assert set(figures["final_answers"]) == {"v1"}
    there, back = figures["switches"]
    print("switch times in ms:", [step["took_ms"] for step in (*there["steps"], *back["steps"])])
    assert (there["kind"], there["condition"]) == ("deployment", "completed")
    assert (back["kind"], back["condition"]) == ("failback", "completed")
    assert [step["asked"] for step in there["steps"]] == ["5%", "25%", "50%", "100%"]
    for step in there["steps"]:
        assert step["seen_percent"] == pytest.approx(float(step["asked"][:-1]), abs=3), step
    assert left_behind(home) == []
    assert list(home.iterdir()) == []


@pytest.mark.slow
def test_a_few_failed_requests_fail_the_scripted_run_though_all_else_went_well(home):
    process = demo(home, "--unattended")
    read_until(process, "page")
    admin = next(home.glob("bluegreen-demo-*")) / "haproxy" / "admin.sock"
    runtime(admin, "set server shop/blue state maint")
    time.sleep(0.1)  # the fault itself: how long the shop is away
    runtime(admin, "set server shop/blue state ready")
    told, errors = process.communicate(timeout=90)
    assert process.returncode == ExitCode.FAILED, told + errors
    assert re.search(r"^FAILED: \d+ requests failed: status 503$", told, re.MULTILINE), told
    assert told.count("completed") >= 2
    assert left_behind(home) == []


def runtime(admin: Path, command: str) -> None:
    with socket.socket(socket.AF_UNIX) as haproxy:
        haproxy.connect(str(admin))
        haproxy.sendall(f"{command}\n".encode())
        assert haproxy.recv(100).strip() == b""


@pytest.mark.slow
def test_a_visitor_sees_the_switch_and_ctrl_c_leaves_nothing_behind(home):
    process = demo(home)
    assert process.stdout is not None
    told = read_until(process, "Ctrl-C ends everything")
    assert "deployment of v2: completed" in told
    assert re.search(r"v1 \S+ \(\d+%\)   v2 \S+ \(\d+%\)   failed 0 ", told), told
    config = re.search(r"BLUEGREEN_CONFIG=(\S+)", told)
    assert config is not None
    assert len(left_behind(home)) >= 5  # the demo, HAProxy's two, v1, v2, the daemon

    halted = bluegreen(config[1], "deploy", "shop", "v3", "--replace-warm", "--reason", "a test", "--wait")
    assert halted.returncode == ExitCode.HALTED, halted
    assert "orders" in bluegreen(config[1], "explain", "shop").stdout
    assert "HALTED" in read_until(process, "HALTED")

    daemon = re.search(r"kill -9 (\d+)", told)
    assert daemon is not None
    os.kill(int(daemon[1]), signal.SIGKILL)
    assert set(re.findall(r"failed (\d+)", read_until(process, "the daemon is back"))) == {"0"}
    assert bluegreen(config[1], "status", "shop").returncode == ExitCode.DONE

    os.killpg(process.pid, signal.SIGINT)
    rest, errors = process.communicate(timeout=90)
    assert process.returncode == ExitCode.DONE, errors
    assert "nothing is left behind" in rest
    assert left_behind(home) == []
    assert list(home.iterdir()) == []


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it prints up to a line with `text`. pytest's own timeout bounds it."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"the demo ended before it said {text!r}:\n{''.join(lines)}")


def bluegreen(config: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bluegreen", *arguments], env={**os.environ, "BLUEGREEN_CONFIG": config}, text=True,
        capture_output=True, timeout=90,
    )  # fmt: skip


async def test_without_a_balancer_the_demo_says_what_to_install(tmp_path):
    with pytest.raises(NoBalancer, match=re.escape("pip install 'bluegreen[haproxy]'")) as refusal:
        async with open_world(tmp_path / "demo", HURRIED, None):
            pass
    assert refusal.value.exit_code == ExitCode.USAGE
    assert not (tmp_path / "demo").exists()


def test_a_directory_with_something_in_it_is_refused_and_left_alone(tmp_path, home):
    (tmp_path / "mine").write_text("precious")
    process = demo(home, "--unattended", "--directory", str(tmp_path))
    _, told = process.communicate(timeout=90)
    assert process.returncode == ExitCode.FAILED
    assert "is not empty" in told
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("pace", [VISITOR, HURRIED])
def test_the_configuration_of_the_demo_has_no_fault(home, pace):
    layout = lay_out(home, pace)
    config = load(layout.config)
    assert config.daemon.control.http == f"127.0.0.1:{layout.ports['control']}"
    assert len(set(layout.ports.values())) == 4
    assert (home / "token").stat().st_mode & 0o077 == 0


# --- the application ---


@asynccontextmanager
async def running(version: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bluegreen.demo.app", f"--port={port}", f"--version={version}", "--environment=blue",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def get(port: int, path: str) -> tuple[int, dict[str, str], dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


async def test_the_application_says_its_version_and_environment(unused_port):
    async with running("v1", unused_port) as process:
        status, headers, document = await get(unused_port, "/")
        assert (status, headers["X-Version"], headers["X-Environment"]) == (200, "v1", "blue")
        assert document == {"service": "shop", "version": "v1", "pid": process.pid}
        assert (await get(unused_port, "/orders"))[0] == 200
        assert (await get(unused_port, "/nowhere"))[0] == 404


async def test_v3_is_well_for_the_balancer_and_broken_for_the_smoke_check(unused_port):
    async with running("v3", unused_port):
        assert (await get(unused_port, "/healthz"))[0] == 200
        assert (await get(unused_port, "/orders"))[0] == 500


@pytest.mark.parametrize("version", ["v4", "v9-leaky"])
def test_a_leaking_version_fails_one_request_in_twenty_and_only_after_a_while(version):
    shop = Shop(version, "green")
    assert [shop.answer("/orders")[0], shop.answer("/healthz")[0]] == [200, 200]
    assert {shop.answer("/")[0] for _ in range(LEAK_AFTER)} == {200}
    assert shop.answer("/errors")[1]["errors_percent"] == 0
    after = [shop.answer("/")[0] for _ in range(10 * LEAK_EVERY)]
    assert sum(status == 500 for status in after) == 10
    assert float(str(shop.answer("/errors")[1]["errors_percent"])) > 1


async def test_sigterm_costs_no_request_of_a_connection_that_is_open(unused_port):
    async with running("v1", unused_port) as process:
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        await writer.drain()
        await get(unused_port, "/")  # by then the first request has been taken up
        process.terminate()
        await until(lambda: not listens(unused_port))
        writer.write(b"cd")
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in answer
        assert await process.wait() == 0


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- the traffic ---


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def traffic_against(handle: Handler, connections: int = 4, rate: float = 200.0) -> AsyncIterator[Traffic]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)  # type: ignore[arg-type]
    traffic = Traffic("127.0.0.1", server.sockets[0].getsockname()[1], connections, rate)
    async with server, asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        try:
            yield traffic
        finally:
            traffic.stop()


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that within 90 s")


def answering(status: str, headers: str = "X-Version: v1\r\n", every_closes: int = 0) -> tuple[Handler, list[int]]:
    """A server that answers each request; every n-th request has its connection closed under it instead."""
    asked: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                asked.append(len(asked) + 1)
                if every_closes and asked[-1] % every_closes == 0:
                    return
                writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: 2\r\n\r\nok".encode())
        except (EOFError, OSError):
            pass
        finally:
            writer.close()

    return handle, asked


async def test_steady_traffic_keeps_its_connections_and_its_pace():
    handle, _ = answering("200 OK")
    async with traffic_against(handle, connections=4, rate=200) as traffic:
        began = time.monotonic()
        await until(lambda: traffic.figures().requests >= 100)
        assert time.monotonic() - began > 0.4, "100 requests at 200 a second"
    figures = traffic.figures()
    assert figures.failed == 0
    assert figures.opened == 4
    assert figures.answers == {"v1": figures.requests}


async def test_each_connection_closed_under_a_request_is_one_failure_and_is_never_asked_again():
    handle, asked = answering("200 OK", every_closes=10)
    async with traffic_against(handle) as traffic:
        await until(lambda: traffic.figures().failed >= 5)
    figures = traffic.figures()
    assert figures.failures == {"connection closed": len(asked) // 10}
    assert figures.requests == len(asked)
    assert figures.opened > traffic.connections


async def test_a_bad_status_and_an_answer_without_a_version_are_failures():
    handle, _ = answering("503 Service Unavailable")
    async with traffic_against(handle) as traffic:
        await until(lambda: traffic.figures().failed >= 4)
    assert set(traffic.figures().failures) == {"status 503"}
    handle, _ = answering("200 OK", headers="")
    async with traffic_against(handle) as traffic:
        await until(lambda: traffic.figures().failed >= 4)
    assert set(traffic.figures().failures) == {"no version in the answer"}
    assert traffic.figures().answers == {}


async def test_nobody_listening_is_a_failure(unused_port):
    traffic = Traffic("127.0.0.1", unused_port, connections=1, rate=50)
    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        await until(lambda: traffic.figures().failed >= 2)
        traffic.stop()
    assert set(traffic.figures().failures) == {"connection refused"}
    assert traffic.figures().opened == 0


async def test_the_longest_gap_is_the_time_without_any_good_answer():
    quiet = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for number in range(1000):
                await reader.readuntil(b"\r\n\r\n")
                if number == 3:
                    quiet.set()
                    await asyncio.sleep(0.3)
                writer.write(b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 0\r\n\r\n")
        except EOFError:
            pass
        finally:
            writer.close()

    async with traffic_against(handle, connections=1, rate=100) as traffic:
        await quiet.wait()
        await until(lambda: traffic.figures().requests >= 6)
        assert traffic.figures().longest_gap == pytest.approx(0.31, abs=0.1)


# --- the figures ---


def test_a_step_is_measured_from_its_intent_to_its_value_and_until_the_next_change():
    def event(second: str, kind: str, **data):
        return {"at": f"2026-11-23T09:00:{second}Z", "kind": kind, "switch": "s1", "data": data}

    events = [
        event("01.000", "StepStarted", step="set_weights", point="front"),
        event("01.004", "WeightsSet", point="front", split={"blue": 950, "green": 50}),
        event("02.000", "StepStarted", step="set_weights", point="front"),
        event("02.001", "WeightsSet", point="front", split={"blue": 0, "green": 1000}),
    ]
    asked = []

    def answered(begin: float, end: float):
        asked.append(round(end - begin, 3))
        return {"v1": 95, "v2": 5} if len(asked) == 1 else {"v2": 10}

    begin = 1795424400.0  # 2026-11-23 09:00:00 UTC
    steps = steps_of(events, {"id": "s1", "candidate": "green"}, "v2", answered, begin + 3)
    assert [(step.asked, step.took_ms, step.seen_percent) for step in steps] == [("5%", 4.0, 5.0), ("100%", 1.0, 100.0)]
    assert asked == [0.996, 0.999]


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
