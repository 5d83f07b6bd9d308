"""A halt is told over real HTTP, claimed at a terminal, and quiet from then on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.acceptance.operator import Operator, running
from tests.acceptance.test_evidence import cli
from tests.checks.servers import serving

pytestmark = pytest.mark.slow

SERVICE = """
service: web
environments: {blue: {url: "http://127.0.0.1:1"}, green: {url: "http://127.0.0.1:2"}}
switch_points: [{kind: memory}]
deploy: {kind: command, run: [/bin/false]}
"""
DAEMON = """
state: {{directory: state}}
control: {{socket: c.sock}}
notify:
  - {{name: ops, webhook: "{url}/hook", secret: "${{env:HOOK}}", events: [halt, claim, ended]}}
  - {{name: chat, slack: "${{env:SLACK}}"}}
  - {{name: pager, command: [/bin/sh, -c, "echo \\"$TEXT\\" > {page}"], level: 2}}
  - {{name: broken, webhook: "{url}/broken", timeout: 1s}}
escalate: [1s, 2s]
"""


async def test_a_halt_is_told_claimed_and_quiet(tmp_path: Path) -> None:
    got: list[tuple[str, dict[str, str], bytes]] = []

    async def receive(request: web.Request) -> web.Response:
        got.append((request.path, dict(request.headers), await request.read()))
        return web.Response(status=500 if request.path == "/broken" else 204)

    async with serving(receive) as url:
        (tmp_path / "services").mkdir()
        (tmp_path / "services" / "web.yaml").write_text(SERVICE)
        config = tmp_path / "bluegreen.yaml"
        config.write_text(DAEMON.format(url=url, page=tmp_path / "page.txt"))
        variables = {"HOOK": "a secret of the hook", "SLACK": f"{url}/slack/T0/B0/xyz"}
        async with running(config, tmp_path / "c.sock", variables):
            operator = Operator(tmp_path / "c.sock", "web")
            await operator.until(lambda seen: seen["live"] == "blue", "who is live")
            await operator.deploy("v2")
            await operator.ended("halted")
            document = await operator.until(lambda seen: (seen["switch"]["told"] or {}).get("times", 0) >= 2, "again")
            assert document["switch"]["told"]["told"] == ["ops", "chat", "pager"]
            assert document["switch"]["told"]["failed"] == {"broken": "ValueError: answered 500"}
            assert "claimed=" not in (await cli(tmp_path, "status")).stdout
            claimed = await cli(tmp_path, "claim", "web")
            assert claimed.returncode == 0
            assert "in hand   uid:" in claimed.stdout
            assert "claimed=uid:" in (await cli(tmp_path, "status")).stdout
            explained = (await cli(tmp_path, "explain", "web")).stdout
            assert "not told  broken: ValueError: answered 500" in explained
            before = len([one for one in got if one[0] == "/slack/T0/B0/xyz"])
            await asyncio.sleep(2.5)  # two intervals
            assert len([one for one in got if one[0] == "/slack/T0/B0/xyz"]) == before, "it is quiet"
            connector = aiohttp.UnixConnector(str(tmp_path / "c.sock"))
            async with aiohttp.ClientSession(connector=connector) as session, session.get("http://d/metrics") as answer:
                text = await answer.text()
            assert 'bluegreen_halt_claimed{service="web"} 1.0' in text
            assert "bluegreen_operator_wait_seconds_total" in text
    assert "nobody has it yet: bluegreen claim web" in (tmp_path / "page.txt").read_text()
    hooks = [(headers, raw) for path, headers, raw in got if path == "/hook"]
    kinds = [json.loads(raw)["type"] for _, raw in hooks]
    assert kinds[:2] == ["dev.bluegreen.halt.v1", "dev.bluegreen.halt.v1"]
    assert "dev.bluegreen.claim.v1" in kinds
    headers, raw = hooks[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
    wanted = base64.b64encode(hmac.new(b"a secret of the hook", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    ways = {way["label"]: way for way in json.loads(raw)["data"]["ways"]}
    assert ways["retry"]["command"] == "bluegreen resume web"
    assert ways["retry"]["risk"]
    chat = next(json.loads(raw)["text"] for path, _, raw in got if path.startswith("/slack"))
    assert chat.startswith("HALTED web: the deployment to green failed")
    assert "  retry: bluegreen resume web\n    traffic MOVES: " in chat
    everything = b"".join(raw for _, _, raw in got) + (tmp_path / "daemon.log").read_bytes()
    assert b"B0/xyz" not in everything, "the address of an incoming webhook is a secret"
