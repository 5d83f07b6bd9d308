"""Secrets planted wherever one can stand, and searched for in everything that comes out, in every form they take."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tarfile
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
    "SIGNING": "whsec_" + b64encode(b"sgn-61b7: signs what is told").decode(),
    "EVIDENCE": "evd-2b90 <secret> & more",
    "FLAGS": "flg-c4d8 secret of the flags",
    "DIGEST": "dig-a07e-secret-of-the-probe",
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
evidence:
  - name: logs
    command: [/bin/sh, -c, 'echo "last lines: $E"; echo "$E" | base64; echo "$D2" >&2']
    variables: {{E: "${{env:EVIDENCE}}", D2: "${{env:DEPLOY}}"}}
flags:
  command: {{read: [/bin/sh, -c, 'printf "{{{{\\"key\\": \\"%s\\"}}}}" "$F"'], variables: {{F: "${{env:FLAGS}}"}}}}
digest: {{command: [/bin/sh, -c, 'echo "sha256:$S"'], variables: {{S: "${{env:DIGEST}}"}}}}
shift: {{steps: [50%, 100%], wait: 30s}}
"""


def forms(secret: str) -> set[str]:
    """Every way in which somebody might still read it."""
    raw = secret.encode()
    coded = {b64encode(raw).decode(), urlsafe_b64encode(raw).decode(), b64encode(raw + b"\n").decode()}
    stems = {one.rstrip("=")[:-2] for one in coded}
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1], *stems}


HEARD: list[str] = []
"""What notifiers told."""


async def echo(request: web.Request) -> web.Response:
    """Says back whatever it was told, as careless servers do."""
    if request.path == "/hook":
        HEARD.append(await request.text())
        return web.Response()
    key = request.headers.getall("x-key", [""])[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    twice = b64encode(f"user:{key}".encode()).decode()
    return web.json_response({"you sent": key, "authorization": f"Basic {twice}", "everyone": sorted(SECRETS.values())})


_READ = [(name, what) for name in ("smoky", "sour", "fine") for what in (
    "history", "failback", "ready", "lessons", "guards", "flags", "debts")]  # fmt: skip
_VERBS = (
    ["status"], ["explain", "smoky"], ["explain", "sour"], ["explain", "fine"], ["events"], ["history", "smoky"],
    ["failback", "fine", "--dry-run"], ["doctor"], ["evidence", "smoky"], ["evidence", "sour"], ["flag", "fine"],
)  # fmt: skip


def archived(directory: Path, name: str) -> dict[Path, bytes]:
    """What stands in the archive of a halt's evidence."""
    file = directory / f"{name}.tar.gz"
    done = subprocess.run(
        [sys.executable, "-m", "bluegreen", "--socket", str(directory / "c.sock"), "evidence", name, "--output", file],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tarfile.open(file) as tar:
        opened = {Path(name, one.name): tar.extractfile(one) for one in tar.getmembers()}
        return {path: stream.read() for path, stream in opened.items() if stream is not None}


async def told(directory: Path) -> str:
    """All that the daemon says to anybody."""
    client = Client(UnixDoor(str(directory / "c.sock")))
    parts = [
        json.dumps(await asyncio.to_thread(client.get, *path), ensure_ascii=False)
        for path in (["services"], ["events"], ["doctor"], *(["services", *one] for one in _READ))
    ]
    for verb in _VERBS:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "bluegreen", "--socket", str(directory / "c.sock"), *verb],
            capture_output=True, text=True, timeout=90, check=False,
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
        hook = f'{{name: hook, webhook: "{url}/hook", secret: "${{env:SIGNING}}", events: [halt, drift, ended]}}'
        config.write_text(f"state: {{directory: state}}\ncontrol: {{socket: c.sock, {tokens}}}\nnotify: [{hook}]\n")
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
            await operator.ended("halted")
            said = await told(tmp_path)
            bundles: dict[Path, bytes] = {}
            for name in ("smoky", "sour", "fine"):
                bundles |= await asyncio.to_thread(archived, tmp_path, name)
            await operator.until(lambda _: len(HEARD) >= 3, "that the halts were told")
    assert b"last lines: ***" in bundles[next(one for one in bundles if one.name == "command-logs.txt")]
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "secrets" not in path.parts}
    said_to = {"what it says": said.encode(), "notices": "".join(HEARD).encode()}
    found = [
        f"{name} as {form!r} in {path}"
        for name, secret in SECRETS.items()
        for form in forms(secret)
        for path, raw in (*kept.items(), *bundles.items(), *said_to.items())
        if form.encode() in raw
    ]
    assert not found, "\n".join(found)
    count = sum(len(forms(secret)) for secret in SECRETS.values())
    report_figures(
        f"{len(SECRETS)} secrets, {count} forms, {len(kept)} files, {len(bundles)} parts of evidence, "
        f"{len(HEARD)} notices: none found"
    )
