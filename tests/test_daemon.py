"""The daemon as a process: how it starts, refuses to start, reloads, tells systemd, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.operator import Operator, running

pytestmark = pytest.mark.slow

SERVICE = """
service: web
environments: {{blue: {{url: "http://127.0.0.1:1"}}, green: {{url: "http://127.0.0.1:2"}}}}
switch_points: [{{kind: memory}}]
deploy: {{kind: command, run: [/bin/sh, -c, "{command}"]}}
shift: {{steps: [50%, 100%], wait: {wait}}}
"""


def laid_out(directory: Path, command: str = "true", wait: str = "1s", daemon: str = "") -> Path:
    """A configuration with one service on a balancer in memory."""
    (directory / "services").mkdir(exist_ok=True)
    (directory / "services" / "web.yaml").write_text(SERVICE.format(command=command, wait=wait))
    config = directory / "bluegreen.yaml"
    config.write_text(f"state: {{directory: state}}\ncontrol: {{socket: c.sock{daemon}}}\nobserve: {{every: 1s}}\n")
    return config


def refused(config: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A start that must not succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "bluegreen", "serve", "--config", str(config)],
        capture_output=True, text=True, timeout=90, env={**os.environ, **variables}, check=False,
    )  # fmt: skip
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    return done


class Manager:
    """Listens where systemd would."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.told: list[str] = []
        self.variables = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "300000"}

    async def until(self, line: str) -> None:
        """Wait until it was told so."""
        async with asyncio.timeout(90):
            while not any(told.startswith(line) for told in self.told):
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self.told += self._socket.recv(4096).decode().split("\n")
                await asyncio.sleep(0.02)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify.sock")
    yield listening
    listening.close()


async def test_systemd_is_told_when_it_is_ready_alive_reloading_and_stopping(tmp_path: Path, manager: Manager) -> None:
    config = laid_out(tmp_path)
    async with running(config, tmp_path / "c.sock", manager.variables) as daemon:
        await manager.until("READY=1")
        await manager.until("WATCHDOG=1")
        assert any(line == "STATUS=1 services, 0 switches open" for line in manager.told)
        manager.told.clear()
        assert daemon._process is not None
        daemon._process.send_signal(signal.SIGHUP)
        await manager.until("RELOADING=1")
        await manager.until("READY=1")
        assert await daemon.end() == 0
        await manager.until("STOPPING=1")
    assert not (tmp_path / "c.sock").exists()


async def test_a_halt_stands_in_systemds_status(tmp_path: Path, manager: Manager) -> None:
    config = laid_out(tmp_path, command="false")
    async with running(config, tmp_path / "c.sock", manager.variables):
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] is not None, "who is live")
        await operator.deploy("v2")
        await operator.ended("halted")
        await manager.until("STATUS=1 HALTED: a person is awaited")


async def test_a_second_daemon_on_the_same_state_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    async with running(config, tmp_path / "c.sock"):
        done = await asyncio.to_thread(refused, config)
        assert done.returncode == 3
        assert "is in use by process" in done.stderr


def test_a_torn_journal_is_refused_with_advice_and_left_alone(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    (tmp_path / "state").mkdir()
    torn = tmp_path / "state" / "journal.sqlite"
    torn.write_bytes(b"SQLite format 3\0" + b"\1" * 3000)
    done = refused(config)
    assert "cannot be opened as a journal" in done.stderr
    assert "keep the file" in done.stderr
    assert torn.stat().st_size == 3016


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    (tmp_path / "state").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "journal.sqlite")) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
        db.commit()
    assert "not a journal of bluegreen" in refused(config).stderr


def test_a_port_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        more = f', http: "127.0.0.1:{port}", tokens: {{ci: "${{env:CI_TOKEN}}"}}'
        done = refused(laid_out(tmp_path, daemon=more), CI_TOKEN="a secret")
    assert f"127.0.0.1:{port}" in done.stderr
    assert "another process may hold it" in done.stderr
    assert "a secret" not in done.stderr


def test_tokens_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    more = ', http: "127.0.0.1:1", tokens: {ci: "${env:CI_TOKEN}"}'
    assert "there is no token" in refused(laid_out(tmp_path, daemon=more), CI_TOKEN="").stderr


def test_a_token_that_cannot_be_had_is_refused_by_its_reference(tmp_path: Path) -> None:
    more = ', http: "127.0.0.1:0", tokens: {ci: "${env:NO_SUCH_TOKEN}"}'
    assert "${env:NO_SUCH_TOKEN}" in refused(laid_out(tmp_path, daemon=more)).stderr


async def test_a_socket_that_somebody_answers_at_is_not_taken_away(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), tmp_path / "c.sock")
    done = await asyncio.to_thread(refused, laid_out(tmp_path))
    assert "another process answers at" in done.stderr
    server.close()


def test_a_bad_configuration_is_refused_with_its_place(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    service = tmp_path / "services" / "web.yaml"
    service.write_text(service.read_text().replace("steps: [50%, 100%]", "steps: [50%, 40%]"))
    done = refused(config)
    assert done.returncode == 2
    assert f"{service}:6: shift" in done.stderr


async def test_a_bad_reload_keeps_the_old_configuration_and_says_so(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    log = tmp_path / "daemon.log"
    async with running(config, tmp_path / "c.sock") as daemon:
        (tmp_path / "services" / "web.yaml").write_text("service: web\n")
        assert daemon._process is not None
        daemon._process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(90):
            while "the old one stays in force" not in log.read_text():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        await operator.ended("completed")


async def test_a_running_switch_keeps_the_configuration_it_started_with(tmp_path: Path) -> None:
    config = laid_out(tmp_path, wait="approve")
    async with running(config, tmp_path / "c.sock") as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        await operator.until(lambda seen: seen["switch"]["awaiting"] == "approval", "the approval")
        laid_out(tmp_path, command="false", wait="0s")
        assert daemon._process is not None
        daemon._process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.5)
        await daemon.end(signal.SIGKILL)
        await daemon.start()
        assert (await operator.look())["switch"]["awaiting"] == "approval", "also after a restart"
        await operator.post("approve")
        await operator.ended("completed")
        await operator.deploy("v3", replace_warm=True)
        assert (await operator.ended("halted"))["switch"]["phase"] == "deploy", "the new one is for the next"


async def test_sigterm_during_a_deploy_command_leaves_it_running_and_an_abort_ends_its_tree(tmp_path: Path) -> None:
    marker = f"sleep 98{os.getpid()}"
    config = laid_out(tmp_path, command=f"setsid {marker} & exec {marker}")
    async with running(config, tmp_path / "c.sock") as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        await operator.until(lambda seen: seen["switch"]["phase"] == "deploy", "the deploy command")
        await asyncio.to_thread(_until_running, marker)
        loop = asyncio.get_running_loop()
        began, pids = loop.time(), _pids(marker)
        assert await daemon.end() == 0
        assert loop.time() - began < 10
        assert _pids(marker) == pids
        await daemon.start()
        assert (await operator.look())["switch"]["condition"] == "running"
        assert _pids(marker) == pids, "the same ones: adopted, not started again"
        await operator.post("abort")
        await operator.ended("aborted")
        assert _pids(marker) == []


def _pids(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and marker in (entry / "cmdline").read_text().replace("\0", " "):
                found.append(entry.name)
    return found


def _until_running(marker: str) -> None:
    import time

    for _ in range(500):
        if len(_pids(marker)) >= 2:
            return
        time.sleep(0.02)
    raise AssertionError("the deploy command does not run")


async def test_log_lines_are_json_with_the_journals_fields_where_nobody_watches(tmp_path: Path) -> None:
    config = laid_out(tmp_path)
    async with running(config, tmp_path / "c.sock") as daemon:
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        await operator.ended("completed")
        await daemon.end()
    lines = [json.loads(line) for line in (tmp_path / "daemon.log").read_text().splitlines()]
    requested = next(line for line in lines if line["event"] == "Requested")
    assert requested["by"].startswith(f"uid:{os.getuid()}")
    assert {"seq", "service", "switch", "timestamp", "level"} <= set(requested)


async def test_a_log_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    config = laid_out(tmp_path, wait="0s")
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bluegreen", "serve", "--config", str(config), stderr=write, stdout=write
    )
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 65536)  # the pipe is full: the daemon's next line cannot be written
    os.set_blocking(write, True)
    operator = Operator(tmp_path / "c.sock", "web")
    try:
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        for number in range(3):
            await operator.deploy(f"v{number}", replace_warm=True)
            await operator.ended("completed")
    finally:
        process.kill()
        await process.wait()
        os.close(read)
        os.close(write)
