"""The checks that guards are made of: names, certificates, disks, credentials and rights."""

from __future__ import annotations

import datetime
import json
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bluegreen import aws
from bluegreen.aws import Life, Sessions
from bluegreen.checks import Sources, open_check
from bluegreen.config.units import size_of
from bluegreen.errors import AccessDenied, BalancerError
from bluegreen.model import Finding
from tests.checks.certificates import HOUR, Authority
from tests.checks.servers import config, look, no_targets, scene, serving

# --- dns ---


async def test_a_name_that_resolves_is_ok_with_its_addresses() -> None:
    finding = await look(scene(host="localhost"), dns="{host}")
    assert finding.ok
    assert "127.0.0.1" in finding.detail["addresses"]


@pytest.mark.parametrize("name", ["nobody.invalid", "x" * 64, ""])
async def test_a_name_that_does_not_resolve_is_not_ok(name: str) -> None:
    finding = await look(dns=name)
    assert not finding.ok or name == ""  # an empty name is this host, to every resolver
    if name:
        assert finding.summary.startswith(f"{name} does not resolve: ")
        assert "getent hosts" in finding.advice


# --- tls_expiry ---


async def fine(_: web.Request) -> web.Response:
    return web.Response()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


async def certificate(tls: ssl.SSLContext | None, host: str = "localhost", **keys: Any) -> Finding:
    async with serving(fine, tls) as url:
        port = url.rpartition(":")[2]
        return await look(scene(host=host, port=port), tls_expiry="{host}:{port}", **keys)


@pytest.mark.parametrize(("left", "ok"), [("30m", True), ("90m", False), ("14d", False)])
async def test_a_certificate_must_be_good_for_so_long_yet(authority: Authority, left: str, ok: bool) -> None:
    finding = await certificate(authority.server("localhost"), left=left)
    assert finding.ok is ok
    assert "for 1.0 h yet" in finding.summary
    assert ("wanted" in finding.summary) is not ok


async def test_two_weeks_are_wanted_unless_something_else_is_said(authority: Authority) -> None:
    assert not (await certificate(authority.server("localhost", 24 * 13 * HOUR))).ok
    assert (await certificate(authority.server("localhost", 24 * 15 * HOUR))).ok


@pytest.mark.parametrize(
    ("ends_in", "named", "said"),
    [(-HOUR, "localhost", "expired"), (HOUR, "other.example", "doesn't match|mismatch")],
)
async def test_a_certificate_that_no_client_would_take_is_not_good(
    authority: Authority, ends_in: datetime.timedelta, named: str, said: str
) -> None:
    finding = await certificate(authority.server(named, ends_in), left="1s")
    assert not finding.ok
    assert any(word in finding.summary for word in said.split("|")), finding.summary
    assert finding.summary.startswith("the certificate of localhost:")


async def test_a_certificate_of_nobody_that_is_trusted_is_not_good(tmp_path: Path) -> None:
    finding = await certificate(Authority(tmp_path).server("localhost"), left="1s")
    assert not finding.ok
    assert "issuer" in finding.summary or "self-signed" in finding.summary


async def test_what_speaks_no_tls_or_does_not_answer_is_told(authority: Authority) -> None:
    assert "it does not speak TLS" in (await certificate(None)).summary

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        finding = await look(tls_expiry=address, timeout="200ms")
        assert (finding.ok, finding.summary) == (False, f"{address} gave no certificate within 0.2 s")
    assert "gave no certificate: Connection refused" in (await look(tls_expiry=address)).summary
    nobody = await look(tls_expiry="nobody.invalid:443")
    assert nobody.summary.startswith("nobody.invalid:443 gave no certificate: ")
    assert "Errno" not in nobody.summary
    assert not (await look(tls_expiry="127.0.0.1")).ok


# --- disk ---


@pytest.mark.parametrize(("free", "ok"), [("1K", True), ("0.1%", True), ("9000T", False), ("100%", False)])
async def test_a_disk_must_have_so_much_room(tmp_path: Path, free: str, ok: bool) -> None:
    finding = await look(scene(where=str(tmp_path)), disk="{where}", free=free)
    room = os.statvfs(tmp_path)
    assert finding.ok is ok
    assert abs(int(finding.detail["free_bytes"]) - room.f_bavail * room.f_frsize) < 1 << 30
    assert finding.summary.endswith(f"free at {tmp_path}" if ok else f"wanted {free}")


async def test_a_path_that_is_not_there_is_not_good(tmp_path: Path) -> None:
    finding = await look(disk=str(tmp_path / "nowhere"))
    assert (finding.ok, finding.summary) == (False, f"{tmp_path}/nowhere: No such file or directory")


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("1.5 GiB", 3 << 29), ("2KB", 2048), ("10%", 100), ("0.1%", 1)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert size_of(text, 1000) == size


# --- credential_lifetime ---


NOW = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.UTC)
SOON = NOW + HOUR


class Account(Sessions):
    """Credentials that end when they are told to, and an IAM with one opinion."""

    def __init__(self, life: Life | BalancerError, opinion: dict[str, Any] | BalancerError | None = None) -> None:
        super().__init__(now=lambda: NOW)
        self._told, self._opinion, self.asked = life, opinion or {}, list[dict[str, Any]]()

    async def life(self, where: aws.Where, timeout: float = 5.0) -> Life:
        if isinstance(self._told, BalancerError):
            raise self._told
        return self._told

    async def call(
        self, where: aws.Where, service: str, operation: str, timeout: float, **given: Any
    ) -> dict[str, Any]:
        self.asked.append({"where": where, "operation": operation, **given})
        if operation == "GetCallerIdentity":
            return {"Arn": "arn:aws:sts::123456789012:assumed-role/deployer/i-0abc"}
        if isinstance(self._opinion, BalancerError):
            raise self._opinion
        return {"EvaluationResults": [self._opinion]} if self._opinion else {}


async def asked(account: Account, **keys: Any) -> Finding:
    check = open_check(config(region="eu-west-1", **keys), Sources(no_targets, account))
    try:
        return await check.look(scene())
    finally:
        await check.close()
        await account.close()


@pytest.mark.parametrize(
    ("life", "wanted", "ok", "said"),
    [
        (Life(None, lasts=True), "2h", True, "no end"),
        (Life(None, lasts=True, temporary=True), "2h", False, "nobody tells their end"),
        (Life(SOON, lasts=True, temporary=True), "30m", True, "for 60 min yet"),
        (Life(SOON, lasts=True, temporary=True), "2h", False, "for 60 min yet; wanted 120 min"),
        (Life(SOON, lasts=True, renews=True, temporary=True), "2h", True, "renewed by then"),
        (Life(SOON, lasts=False, renews=True, temporary=True), "2h", False, "nothing renews them"),
        (AccessDenied("no credentials were found", "log in"), "2h", False, "there are no credentials"),
    ],
)
async def test_credentials_must_be_good_for_so_long_yet(
    life: Life | BalancerError, wanted: str, ok: bool, said: str
) -> None:
    finding = await asked(Account(life), credential_lifetime=wanted)
    assert finding.ok is ok
    assert said in finding.summary
    assert ok or finding.advice


# --- aws_permission ---

FOREVER = Life(None, lasts=True)


@pytest.mark.parametrize(
    ("opinion", "ok", "said"),
    [
        ({"EvalDecision": "allowed"}, True, "arn:aws:iam::123456789012:role/deployer may ecs:UpdateService"),
        ({"EvalDecision": "implicitDeny"}, False, "may not ecs:UpdateService on arn:aws:ecs:1: implicitDeny"),
        ({"EvalDecision": "explicitDeny"}, False, "explicitDeny"),
        ({"EvalDecision": "implicitDeny", "MissingContextValues": ["aws:SourceIp"]}, False, "depends on aws:SourceIp"),
        (None, False, "no answer"),
        (AccessDenied("iam SimulatePrincipalPolicy: not allowed", "grant it"), False, "is not proven"),
    ],
)
async def test_only_what_iam_allows_is_good(
    opinion: dict[str, Any] | BalancerError | None, ok: bool, said: str
) -> None:
    account = Account(FOREVER, opinion)
    finding = await asked(account, aws_permission="ecs:UpdateService", resource="arn:aws:ecs:1")
    assert finding.ok is ok
    assert said in finding.summary
    assert {"PolicySourceArn": "arn:aws:iam::123456789012:role/deployer", "ActionNames": ["ecs:UpdateService"],
            "ResourceArns": ["arn:aws:ecs:1"]}.items() <= account.asked[-1].items()  # fmt: skip


def test_what_is_wanted_goes_on_record_as_it_was_written() -> None:
    written: Callable[..., str] = lambda **keys: config(**keys).model_dump_json(exclude_unset=True)  # noqa: E731
    assert json.loads(written(credential_lifetime="2h", timeout="3s"))["credential_lifetime"] == "7200s"
    assert json.loads(written(disk="/", free="5G"))["free"] == "5G"
