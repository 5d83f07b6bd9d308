"""Evidence over a real daemon: kept at a halt, read by a person, proven, and still there after a kill."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from aiohttp import web

from bluegreen.cli.client import Client, UnixDoor
from tests.acceptance.operator import Document, Operator, running
from tests.checks.servers import serving

pytestmark = pytest.mark.slow

SERVICE = """
service: web
environments: {{blue: {{url: "{url}/blue"}}, green: {{url: "{url}/green"}}}}
switch_points: [{{kind: memory}}]
deploy: {{kind: command, run: [/bin/sh, -c, "echo rolled out {{version}}; rm -f {gone}"]}}
smoke: [{{name: orders, http: "{{url}}/orders", timeout: 2s}}]
evidence:
  - {{name: logs, command: [/bin/sh, -c, "echo last lines of {{environment}}, live is {{live}}"], timeout: 2s}}
  - {{name: hangs, command: [sleep, "60"], timeout: 1s}}
  - {{name: missing, command: ["{gone}"]}}
"""


def laid_out(directory: Path, url: str) -> Path:
    (directory / "services").mkdir()
    gone = directory / "logs.sh"  # there at the preflight; the deploy command takes it away
    gone.write_text("#!/bin/sh\n")
    gone.chmod(0o755)
    (directory / "services" / "web.yaml").write_text(SERVICE.format(url=url, gone=gone))
    config = directory / "bluegreen.yaml"
    config.write_text("state: {directory: state}\ncontrol: {socket: c.sock}\nobserve: {every: 500ms}\n")
    return config


async def answers(request: web.Request) -> web.Response:
    broken = request.path.startswith("/green/")
    return web.Response(status=500 if broken else 200, text="no connection to db-1" if broken else "fine")


def sealed(document: Document) -> bool:
    return bool(((document["switch"] or {}).get("evidence") or {}).get("state") == "sealed")


async def cli(directory: Path, *verb: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bluegreen", "--socket", str(directory / "c.sock"), *verb],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


async def test_what_was_there_at_a_halt_is_read_by_a_person_and_handed_on_as_one_file(tmp_path: Path) -> None:
    async with serving(answers) as url, running(laid_out(tmp_path, url), tmp_path / "c.sock"):
        operator = Operator(tmp_path / "c.sock", "web")
        await operator.until(lambda seen: seen["live"] == "blue", "who is live")
        await operator.deploy("v2")
        document = await operator.until(sealed, "the evidence")
        evidence = document["switch"]["evidence"]
        assert evidence["conclusions"] == ["orders is good on blue: the check itself works, the fault is green's"]
        assert [one for one in document["options"] if one["lawful"]]
        told = (await cli(tmp_path, "explain", "web")).stdout
        assert "the check itself works" in told
        assert "bluegreen evidence web" in told
        told = (await cli(tmp_path, "evidence", "web")).stdout
        assert evidence["digest"] in told
        assert "body: no connection to db-1" in told
        output = tmp_path / "halt.tar.gz"
        assert (await cli(tmp_path, "evidence", "web", "--output", str(output))).returncode == 0
        again = await cli(tmp_path, "evidence", "web", "--output", str(output))
        assert again.returncode == 1
        assert "is there already" in again.stderr
        with tarfile.open(fileobj=io.BytesIO(output.read_bytes())) as tar:
            files = {Path(one.name).name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
        assert hashlib.sha256(files["manifest.json"]).hexdigest() == evidence["digest"]
        assert "last lines of green, live is blue" in files["command-logs.txt"].decode()
        assert "its time is 1 s" in files["command-hangs.txt"].decode()
        assert "does not exist" in files["command-missing.txt"].decode()
        assert json.loads(files["deploy-output.json"])["deployed"][0]["output"] == "rolled out v2\n"
        bundle = tmp_path / "state" / "evidence" / evidence["digest"]
        (bundle / "findings.json").write_text("{}")
        changed = await cli(tmp_path, "evidence", "web", "--json")
        assert changed.returncode == 1
        assert json.loads(changed.stdout)["manifest"]["changed"] == ["findings.json"]
        refused = await cli(tmp_path, "evidence", "nobody")
        assert refused.returncode != 0


async def test_a_daemon_that_is_killed_while_it_gathers_gathers_after_its_next_start(tmp_path: Path) -> None:
    async with serving(answers) as url:
        config = laid_out(tmp_path, url)
        async with running(config, tmp_path / "c.sock") as daemon:
            operator = Operator(tmp_path / "c.sock", "web")
            await operator.until(lambda seen: seen["live"] == "blue", "who is live")
            await operator.deploy("v2")
            document = await operator.until(
                lambda seen: (seen["switch"] or {}).get("condition") == "halted",
                "the halt, while a command takes its time",
            )
            assert document["switch"]["evidence"]["state"] == "gathering"
            assert [one for one in document["options"] if one["lawful"]] == []
            await daemon.end(signal.SIGKILL)
        async with running(config, tmp_path / "c.sock"):
            document = await operator.until(sealed, "the evidence")
            assert document["switch"]["evidence"]["late"] is True
            client = Client(UnixDoor(str(tmp_path / "c.sock")))
            events = (await asyncio.to_thread(client.get, "events"))["events"]
            assert [one["kind"] for one in events].count("EvidenceSealed") == 1
