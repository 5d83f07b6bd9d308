"""The shape of checks: smoke checks, gates and guards. Types only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from bluegreen.config.model import Model
from bluegreen.config.units import Command, Duration, Minimum, Name, Size


class Expect(Model):
    """What a good HTTP answer looks like. `json` maps a JMESPath expression to the wanted value."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = Field(None, description="text that the body must contain")
    json_: dict[str, Any] = Field(default_factory=dict, alias="json")
    within: Duration | None = Field(None, description="the longest that the answer may take")


class Prometheus(Model):
    """A query whose every value must lie within the limits. No value is not good."""

    url: str
    query: str
    max: float | None = None
    min: float | None = None

    @model_validator(mode="after")
    def _a_limit(self) -> Prometheus:
        if self.max is None and self.min is None:
            raise ValueError("wanted `max` or `min`: a query without a limit cannot fail")
        return self


_KINDS = (
    "http",
    "tcp",
    "command",
    "targets",
    "cloudwatch_alarm",
    "prometheus",
    "dns",
    "tls_expiry",
    "credential_lifetime",
    "disk",
    "aws_permission",
)
AT_AWS = ("cloudwatch_alarm", "credential_lifetime", "aws_permission")
"""Kinds that ask AWS, in a region."""


class Check(Model):
    """A check looks at exactly one thing: its kind is the key that says at what."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    name: Name
    http: str | None = Field(None, description="a URL to GET")
    tcp: str | None = Field(None, description="HOST:PORT to connect to")
    command: Command | None = None
    targets: Minimum | None = Field(None, description="healthy targets as the balancer sees them: 2, or 50%")
    cloudwatch_alarm: str | None = Field(None, description="the alarm's name; it must be OK")
    prometheus: Prometheus | None = None
    dns: str | None = Field(None, description="a host name that must resolve on the daemon's host")
    tls_expiry: str | None = Field(None, description="HOST:PORT whose certificate must be good for `left` yet")
    credential_lifetime: Duration | None = Field(
        None, description="for so long the daemon's AWS credentials must be good yet, unless they are renewed"
    )
    disk: str | None = Field(None, description="a path on the daemon's host, where `free` must be free")
    aws_permission: str | None = Field(
        None, description="an action of IAM (ecs:UpdateService) that the daemon must be allowed, by IAM's simulation"
    )
    expect: Expect | None = None
    method: Literal["GET", "HEAD", "POST"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict, description="secrets by reference")
    left: Duration = Field(14 * 86400.0, description="tls_expiry: how long the certificate must be good yet")
    free: Size = Field("10%", description="disk: how much must be free")
    resource: str = Field("*", description="aws_permission: the ARN that the action is for")
    region: str | None = Field(None, description="at AWS; that of the first elbv2 switch point unless given")
    endpoint_url: str | None = None
    role: str | None = None
    profile: str | None = None
    directory: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    attempts: Annotated[int, Field(ge=1, le=1000)] = 1
    every: Duration = 2.0
    timeout: Duration = 5.0

    @property
    def kind(self) -> str:
        """The one thing that the check looks at."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Check:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            raise ValueError(f"a check looks at exactly one thing: wanted one of {', '.join(_KINDS)}; {found}")
        if self.expect is not None and given != ["http"]:
            raise ValueError("`expect` belongs to an http check")
        return self
