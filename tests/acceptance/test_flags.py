"""A daemon that is killed while a flag is being set: the next one looks it up, and nothing is ever set twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from bluegreen.cli.problems import AnswerLost
from tests.acceptance.operator import Operator, running

pytestmark = pytest.mark.slow

SERVICE = """
service: web
environments: {blue: {}, green: {}}
switch_points: [{kind: memory}]
deploy: {kind: command, run: ["true"]}
flags:
  command: {read: [cat, ../flags.json], write: [../set, "{flag}", "{value}"]}
  timeout: 500ms
"""
SLOW_SET = """#!/bin/sh
echo "$1 $2" >> ../sets
while test -e ../hold; do sleep 0.05; done
test -e ../fail && exit 1
echo '{"search": false}' > ../flags.json
"""


@pytest.mark.parametrize("lands", [True, False], ids=["and it lands", "and it does not"])
async def test_a_daemon_killed_while_a_flag_is_set_never_sets_it_twice(tmp_path: Path, lands: bool) -> None:
    (tmp_path / "services").mkdir()
    config, socket = tmp_path / "bluegreen.yaml", tmp_path / "c.sock"
    config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 200ms}\n")
    service = SERVICE.replace("500ms", "30s")  # the first daemon waits for it; the one after it would not
    (tmp_path / "services" / "web.yaml").write_text(service)
    (tmp_path / "flags.json").write_text(json.dumps({"search": True}))
    (tmp_path / "set").write_text(SLOW_SET)
    (tmp_path / "set").chmod(0o755)
    (tmp_path / "hold").touch()
    operator = Operator(socket, "web")
    async with running(config, socket) as daemon:
        await operator.until(lambda seen: seen["live"] == "blue", "blue live")
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_asked(operator))
            async with asyncio.timeout(90):
                while not (tmp_path / "sets").exists():  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.02)
            await daemon.end(signal.SIGKILL)
            asking.cancel()
        (tmp_path / "services" / "web.yaml").write_text(SERVICE)
        await daemon.start()
        document = await operator.until(lambda seen: bool(_orders(seen, "unknown")), "an order that nobody knows of")
        assert _orders(document, "unknown")[0]["detail"] == "the daemon was away; it is looked up"
        await asyncio.sleep(1.5)  # longer than a program of this daemon may take; the other's still runs
        assert _orders(await operator.look(), "unknown")
        if not lands:
            (tmp_path / "fail").touch()
        (tmp_path / "hold").unlink()
        document = await operator.until(lambda seen: not seen["flags"]["setting"], "an outcome")
    [act] = document["flags"]["acts"]
    assert act["outcome"] == ("set" if lands else "not set")
    assert act["by"].startswith("uid:")
    assert (tmp_path / "sets").read_text() == "search off\n"


async def _asked(operator: Operator) -> None:
    """Asks, and may never get the answer: the daemon is killed meanwhile."""
    with contextlib.suppress(AnswerLost):
        await operator.post("flags", "search", value="off", reason="orders fail")


def _orders(document: dict[str, Any], outcome: str) -> list[dict[str, Any]]:
    return [act for act in (document["flags"] or {}).get("setting", ()) if act["outcome"] == outcome]
