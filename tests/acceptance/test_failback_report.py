"""Going back over a contract migration and a security fix: a real daemon, a real HAProxy, the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bluegreen.balancers.embedded import find_binary
from bluegreen.cli.client import Client, UnixDoor
from bluegreen.demo.layout import SERVICE, Pace
from bluegreen.demo.world import World, open_world
from bluegreen.errors import BadRequest, Refused
from tests.acceptance.operator import Operator, split
from tests.cli.terminal import at_a_terminal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

MANIFEST = """\
- kind: schema
  id: 20261101-orders
  summary: orders lose a column
  phase: contract
  undo: restore it from the backup
- {kind: security, id: tls, summary: tls is mended, advisories: [{id: CVE-2026-1, severity: high}]}
"""
UNSAFE = ["point-of-no-return", "schema:20261101-orders", "security:tls"]


async def bluegreen(world: World, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bluegreen", *arguments, "--socket", str(world.layout.socket),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def at_the_terminal(world: World) -> str:
    """A person reads, types each id and the name; gives the screen."""
    with at_a_terminal("failback", SERVICE, "--socket", str(world.layout.socket), "--no-color") as terminal:
        terminal.expect("Why?")
        terminal.type("5xx on pay")
        for id_ in UNSAFE:
            terminal.expect(f"Type {id_} :")
            terminal.type(id_)
        terminal.expect("Type the service's name to move its traffic to")
        terminal.type(SERVICE)
        assert terminal.end() == 0, terminal.screen
        return terminal.screen


async def test_a_contract_migration_and_a_security_fix_are_told_and_must_be_acknowledged(tmp_path: Path) -> None:
    manifest = tmp_path / "changes.yaml"
    manifest.write_text(MANIFEST)
    async with open_world(None, Pace(wait="0s", bake="0s"), find_binary()) as world:
        operator = Operator(world.layout.socket, SERVICE)
        code, _, err = await bluegreen(world, "deploy", SERVICE, "v2", "--changes", str(manifest), "--wait")
        assert code == 0, err

        code, out, err = await bluegreen(world, "failback", SERVICE, "--yes", "--reason", "5xx")
        assert code == 3, out + err
        for id_ in UNSAFE:
            assert f"unsafe   {id_}" in out
            assert f"--acknowledge {id_}" in err
        told = " ".join(out.split())
        assert "CVE-2026-1 (high) is open again" in told
        assert "no client is held at" in told

        door = Client(UnixDoor(str(world.layout.socket)))
        plan: dict[str, Any] = await asyncio.to_thread(door.get, "services", SERVICE, "failback")
        said = {"plan": plan["plan"], "reason": "5xx", "acknowledge": UNSAFE[1:], "confirm": SERVICE}
        with pytest.raises(BadRequest) as refused:
            await asyncio.to_thread(lambda: door.post("services", SERVICE, "failback", body=said))
        assert list(refused.value.errors) == UNSAFE[:1]
        assert split(await operator.look())["green"] == 100.0

        screen = await asyncio.to_thread(at_the_terminal, world)
        assert "UNREAD  advisory:CVE-2026-1" in screen
        done = await operator.ended("completed")
        assert done["switch"]["acknowledged"] == UNSAFE

        with pytest.raises(Refused, match="debts that nobody has acknowledged"):
            await operator.deploy("v3")
        code, out, _ = await bluegreen(world, "debts", SERVICE, "--acknowledge", "--json")
        assert (code, [debt["acknowledged"] for debt in json.loads(out)["debts"]]) == (0, [True, True])
        await operator.deploy("v2")
        assert (await operator.ended("completed"))["debts"] == [], "what was left is live again"
