"""Smoke checks, gates and guards, one file a kind. A kind that is not in KINDS is refused; there is no default."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bluegreen.checks.cloudwatch import CloudwatchAlarm
from bluegreen.checks.command import CommandCheck
from bluegreen.checks.common import Attempts, Look
from bluegreen.checks.credentials import AwsPermission, CredentialLifetime
from bluegreen.checks.disk import DiskCheck
from bluegreen.checks.dns import DnsCheck
from bluegreen.checks.http import HttpCheck
from bluegreen.checks.prometheus import PrometheusCheck
from bluegreen.checks.targets import TargetsCheck
from bluegreen.checks.tcp import TcpCheck
from bluegreen.checks.tls_expiry import TlsExpiry
from bluegreen.config import schema
from bluegreen.config.placeholders import names_in
from bluegreen.errors import BlueGreenError
from bluegreen.model import Target
from bluegreen.ports import Check

if TYPE_CHECKING:
    from bluegreen.aws import Sessions

Targets = Callable[[], Awaitable[Mapping[str, Mapping[str, tuple[Target, ...]]]]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What checks may need beside their configuration: targets by switch point and environment, and AWS."""

    targets: Targets
    aws: Sessions


KINDS: dict[str, Callable[[schema.Check, Sources], Look]] = {
    "http": lambda config, _: HttpCheck(config),
    "tcp": lambda config, _: TcpCheck(config),
    "command": lambda config, _: CommandCheck(config),
    "targets": lambda config, sources: TargetsCheck(config, sources.targets),
    "cloudwatch_alarm": lambda config, sources: CloudwatchAlarm(config, sources.aws),
    "prometheus": lambda config, _: PrometheusCheck(config),
    "dns": lambda config, _: DnsCheck(config),
    "tls_expiry": lambda config, sources: TlsExpiry(config, sources.aws.now),
    "credential_lifetime": lambda config, sources: CredentialLifetime(config, sources.aws),
    "disk": lambda config, _: DiskCheck(config),
    "aws_permission": lambda config, sources: AwsPermission(config, sources.aws),
}


def open_check(config: schema.Check, sources: Sources, *, acceptable: bool = True) -> Check:
    """The check; nothing is contacted yet. `acceptable`: an operator may go past it by name."""
    if config.kind not in KINDS:
        raise BlueGreenError(f"unknown check kind {config.kind!r}", f"known: {', '.join(KINDS)}")
    return Attempts(config, KINDS[config.kind](config, sources), acceptable)


def needs_version(config: schema.Check) -> bool:
    """Whether the check asks for a particular version: it cannot be asked of a release that nobody knows."""
    return any("version" in names_in(text) for text in _texts(config.model_dump()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
