"""The small checks: a connection, a program, the balancers' view."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bluegreen.errors import Unreachable
from bluegreen.model import Finding, Target, TargetState
from tests.checks.servers import look, scene
from tests.programs import alive, pids_in, sh

# --- tcp ---


async def test_a_port_that_listens_is_ok():
    with socket.create_server(("127.0.0.1", 0)) as server:
        finding = await look(scene(port=str(server.getsockname()[1])), tcp="127.0.0.1:{port}")
    assert finding.ok
    assert "took a connection in " in finding.summary


async def test_ipv6_is_written_in_brackets():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert (await look(scene(port=str(server.getsockname()[1])), tcp="[::1]:{port}")).ok


async def test_a_port_where_nobody_listens_is_not_ok():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    finding = await look(tcp=address)
    assert not finding.ok
    assert finding.summary.startswith(f"{address} takes no connection: ")


async def test_a_port_that_takes_nothing_more_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, _full(server):
        finding = await look(tcp=f"127.0.0.1:{server.getsockname()[1]}", timeout="200ms")
    assert not finding.ok
    assert "took no connection within 0.2 s" in finding.summary


@pytest.mark.parametrize("address", ["nobody.invalid:80", "127.0.0.1:99999", "127.0.0.1", "127.0.0.1:http!", ":0"])
async def test_an_address_that_cannot_be_is_not_ok(address: str):
    finding = await look(tcp=address)
    assert not finding.ok
    assert finding.summary.startswith(f"{address} takes no connection: ")


@contextlib.contextmanager
def _full(server: socket.socket) -> Iterator[None]:
    """Connections fill the server's queue."""
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield


# --- command ---


async def test_a_command_that_ends_with_0_is_ok():
    finding = await look(scene("http://x"), command=sh('test "$1" = http://x', "{url}"))
    assert finding.ok
    assert finding.summary.startswith("sh ended with 0 after ")


async def test_a_command_that_fails_is_told_with_its_last_line():
    finding = await look(command=sh("echo first; echo 3 orders lost >&2; exit 4"))
    assert not finding.ok
    assert finding.summary.startswith("sh ended with 4 after ")
    assert finding.summary.endswith(": 3 orders lost")
    assert finding.detail["output"] == "first\n3 orders lost\n"


async def test_a_command_whose_time_is_over_is_ended_with_its_tree(tmp_path: Path):
    line = 'sleep 60 & echo $! >> "$1"; echo waiting; wait'
    finding = await look(command=sh(line, str(tmp_path / "pids")), timeout="1500ms")
    assert not finding.ok
    assert "its time is 1.5 s" in finding.summary
    (child,) = pids_in(tmp_path / "pids")
    assert not alive(child)


async def test_a_command_that_cannot_be_run_is_told_once_by_name():
    assert (await look(command=["./smoke.sh"], directory="/")).summary == "./smoke.sh does not exist"


async def test_a_relative_command_runs_in_its_directory(tmp_path: Path):
    script = tmp_path / "smoke.sh"
    script.write_text("#!/bin/sh\ntest -e smoke.sh\n")
    script.chmod(0o755)
    assert (await look(command=["./smoke.sh"], directory=str(tmp_path))).ok


@pytest.mark.parametrize("padding", [0, 190, 195, 990, 995, 65_530])
async def test_a_commands_secret_is_told_to_nobody_wherever_its_output_is_cut(
    padding: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("THE_TOKEN", "QWERTZ-UIOP")
    line = f'head -c {padding} /dev/zero | tr "\\0" x; printf %s "$T"; head -c {padding} /dev/zero | tr "\\0" y; exit 1'
    finding = await look(command=sh(line), variables={"T": "${env:THE_TOKEN}"})
    assert not finding.ok
    for part in ("QW", "WER", "RTZ", "UI", "OP"):
        assert part not in finding.summary
        assert part not in finding.detail["output"]


# --- targets ---


def _targets(healthy: int, others: int) -> tuple[Target, ...]:
    bad = [TargetState.UNHEALTHY, TargetState.INITIAL, TargetState.DRAINING, TargetState.UNUSED, TargetState.UNKNOWN]
    good = [Target(f"good-{index}", TargetState.HEALTHY) for index in range(healthy)]
    return (*good, *(Target(f"bad-{index}", bad[index % len(bad)]) for index in range(others)))


async def _counted(minimum: int | str, **points: tuple[int, int]) -> Finding:
    async def now() -> Mapping[str, Mapping[str, tuple[Target, ...]]]:
        return {point: {"blue": _targets(9, 0), "green": _targets(*counts)} for point, counts in points.items()}

    return await look(targets=minimum, targets_seen=now)


@pytest.mark.parametrize(
    ("minimum", "healthy", "others", "ok"),
    [
        (2, 2, 5, True), (2, 1, 0, False), (1, 0, 5, False), (1, 0, 0, False), ("50%", 0, 0, False),
        ("50%", 2, 2, True),
        ("50%", 2, 3, False), ("100%", 3, 0, True), ("100%", 3, 1, False), ("0.1%", 0, 9, False), ("0.1%", 1, 9, True),
    ],
)  # fmt: skip
async def test_only_enough_healthy_targets_are_ok(minimum: int | str, healthy: int, others: int, ok: bool):
    finding = await _counted(minimum, alb=(healthy, others))
    assert finding.ok is ok
    assert f"alb: {healthy} of {healthy + others} healthy, wanted " in finding.summary


async def test_every_switch_point_must_have_enough_and_all_are_told():
    finding = await _counted(2, alb=(1, 0), nlb=(3, 0), haproxy=(0, 2))
    assert not finding.ok
    assert finding.summary == (
        "alb: 1 of 1 healthy, wanted 2; nlb: 3 of 3 healthy, wanted 2; haproxy: 0 of 2 healthy, wanted 2"
    )


async def test_no_switch_point_is_not_ok():
    assert not (await _counted(1)).ok


async def test_health_that_cannot_be_read_is_not_ok():
    async def unreadable() -> Mapping[str, Mapping[str, tuple[Target, ...]]]:
        await asyncio.sleep(0)
        raise Unreachable("the balancer does not answer", "look at the network")

    finding = await look(targets=1, targets_seen=unreadable)
    assert (finding.ok, finding.advice) == (False, "look at the network")
    assert finding.summary == "health cannot be read: the balancer does not answer"
