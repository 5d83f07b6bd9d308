"""Secrets planted wherever one can stand, and searched for in everything that comes out, in every form they take."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from bluegreen.cli.client import Client, UnixDoor
from tests.acceptance.operator import Operator, running
from tests.checks.servers import serving

pytestmark = pytest.mark.slow

SECRETS = {
    "HEADER": "hdr-9f1c/+ÄÖ=secret one",
    "VARIABLE": "var-77aa\"quoted'secret",
    "DEPLOY": "dep-5d2b secret\\with back",
    "GATE": "gate-3c41?secret&more",
    "TOKEN": "tok-e8d0-0123456789abcdef",
}

SERVICE = """
service: {name}
environments: {{blue: {{url: "{url}/blue"}}, green: {{url: "{url}/green"}}}}
switch_points: [{{kind: memory}}]
deploy:
  kind: command
  run: [/bin/sh, -c, 'echo "$D"; echo "$D" | base64; exit {code}']
  variables: {{D: "${{env:DEPLOY}}"}}
smoke:
  - name: echo
    http: "{url}/echo"
    headers: {{x-key: "${{file:{header}}}"}}
    expect: {{body: "{wanted}"}}
  - name: command
    command: [/bin/sh, -c, 'echo "$V" "$D2" >&2; exit {code}']
    variables: {{V: "${{env:VARIABLE}}", D2: "${{env:DEPLOY}}"}}
gates: [{{name: gate, http: "{url}/echo", headers: {{x-key: "${{env:GATE}}"}}, timeout: 3s, every: 100ms}}]
shift: {{steps: [50%, 100%], wait: 30s}}
"""


def forms(secret: str) -> set[str]:
    """Every way in which somebody might still read it."""
    raw = secret.encode()
    coded = {b64encode(raw).decode(), urlsafe_b64encode(raw).decode(), b64encode(raw + b"\n").decode()}
    stems = {one.rstrip("=")[:-2] for one in coded}
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1], *stems}


async def echo(request: web.Request) -> web.Response:
    """Says back whatever it was told, as careless servers do."""
    key = request.headers.getall("x-key", [""])[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    twice = b64encode(f"user:{key}".encode()).decode()
    return web.json_response({"you sent": key, "authorization": f"Basic {twice}", "everyone": sorted(SECRETS.values())})


async def told(directory: Path) -> str:
    """All that the daemon says to anybody."""
    client = Client(UnixDoor(str(directory / "c.sock")))
    parts = [
        json.dumps(await asyncio.to_thread(client.get, *path), ensure_ascii=False)
        for path in (["services"], ["events"], *(["services", name, "history"] for name in ("smoky", "sour")))
    ]
    for verb in (["status"], ["explain", "smoky"], ["explain", "sour"], ["events"], ["history", "smoky"]):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "bluegreen", "--socket", str(directory / "c.sock"), *verb],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        parts += [done.stdout, done.stderr]
    return "\n".join(parts)


async def test_no_secret_comes_out_of_the_daemon_in_any_form(tmp_path: Path, report_figures) -> None:
    header = tmp_path / "secrets" / "header"
    header.parent.mkdir()
    header.write_text(SECRETS["HEADER"], encoding="utf-8")
    (tmp_path / "services").mkdir()
    async with serving(echo) as url:
        for name, code, wanted in (("smoky", 0, "never there"), ("sour", 1, ""), ("fine", 0, "you sent")):
            text = SERVICE.format(name=name, url=url, header=header, code=code, wanted=wanted)
            (tmp_path / "services" / f"{name}.yaml").write_text(text)
        config = tmp_path / "bluegreen.yaml"
        tokens = "tokens: {ci: '${env:TOKEN}'}"
        config.write_text(f"state: {{directory: state}}\ncontrol: {{socket: c.sock, {tokens}}}\n")
        async with running(config, tmp_path / "c.sock", SECRETS):
            for name in ("smoky", "sour"):
                operator = Operator(tmp_path / "c.sock", name)
                await operator.until(lambda seen: seen["live"] == "blue", "who is live")
                await operator.deploy("v2", reason=f"with {SECRETS['DEPLOY']} in the reason")
                document = await operator.ended("halted")
                assert "***" in json.dumps(document), "something was there to be hidden"
            operator = Operator(tmp_path / "c.sock", "fine")
            await operator.deploy("v2")
            await operator.at("green", 50)
            await operator.post("halt", reason=f"the key is {SECRETS['GATE']}")
            said = await told(tmp_path)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "secrets" not in path.parts}
    found = [
        f"{name} as {form!r} in {path}"
        for name, secret in SECRETS.items()
        for form in forms(secret)
        for path, raw in (*kept.items(), ("what it says", said.encode()))
        if form.encode() in raw
    ]
    assert not found, "\n".join(found)
    report_figures(
        f"{len(SECRETS)} secrets, {sum(len(forms(s)) for s in SECRETS.values())} forms, {len(kept)} files: none found"
    )
