"""The shape of `flags:`, where a service's feature flags are read and set, and of `digest:`. Types only."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from bluegreen.config.model import Model
from bluegreen.config.units import Command, Duration


def _plain(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        raise ValueError("wanted text, a number, true or false")
    return value


Plain = Annotated[Any, BeforeValidator(_plain), Field(json_schema_extra={"type": ["string", "number", "boolean"]})]
PROVIDERS = ("ofrep", "appconfig", "command")
PROBES = ("http", "command")


class AppConfig(Model):
    """A feature flag profile (AWS.AppConfig.FeatureFlags) of AWS AppConfig, hosted by AppConfig itself."""

    application: str = Field(min_length=1, description="its name or id")
    environment: str = Field(min_length=1, description="its name or id: AppConfig's environment, not one of ours")
    configuration: str = Field(min_length=1, description="the configuration profile's name or id")
    region: str = Field(min_length=1)
    strategy: str = Field(
        "AppConfig.AllAtOnce",
        min_length=1,
        description="the id of the strategy that a changed flag is deployed by; this one's bake time of 10 minutes "
        "lets no second change in",
    )
    endpoint_url: str | None = Field(None, description="a stand-in that serves appconfig and appconfigdata alike")
    role: str | None = Field(None, description="the ARN of a role to assume")
    profile: str | None = Field(None, description="a profile of the AWS configuration")


class FlagCommand(Model):
    """Programs that read and set flags."""

    read: Command = Field(description="prints a JSON object: flag name -> true, false or a value")
    write: Command | None = Field(None, description="sets {flag} to {value} (on, off or a value) and exits with 0")
    directory: str | None = Field(None, description="where they run; the service file's own directory unless given")
    variables: dict[str, str] = Field(default_factory=dict, description="environment variables, secrets by reference")


class FlagSource(Model):
    """Where the service's feature flags are: the key that names the provider says which kind it is."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in PROVIDERS]})

    ofrep: str | None = Field(None, description="the base URL of an OpenFeature Remote Evaluation server; read only")
    appconfig: AppConfig | None = None
    command: FlagCommand | None = None
    headers: dict[str, str] = Field(default_factory=dict, description="of ofrep; secrets by reference")
    context: dict[str, Plain] = Field(
        default_factory=dict, description="of ofrep: whom flags are read for; `targetingKey` is the service's name"
    )
    timeout: Duration = Field(5.0, description="of each call")
    every: Duration = Field(60.0, description="how often they are read while a failback is possible")

    @property
    def kind(self) -> str:
        """The provider."""
        return next(kind for kind in PROVIDERS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _exactly_one(self) -> FlagSource:
        _one_of(self, PROVIDERS, "flags have exactly one provider")
        return self


class DigestProbe(Model):
    """How the running environment is asked which artifact it runs."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in PROBES]})

    http: str | None = Field(None, description="a URL to GET")
    json_: str | None = Field(
        None, alias="json", description="a JMESPath expression into the answer; without it, the answer's first line"
    )
    command: Command | None = Field(None, description="prints the digest on its first line")
    headers: dict[str, str] = Field(default_factory=dict, description="of http; secrets by reference")
    directory: str | None = Field(None, description="of command; the service file's own directory unless given")
    variables: dict[str, str] = Field(default_factory=dict, description="of command; secrets by reference")
    attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    every: Duration = Field(5.0, description="between attempts, and between looks during the shift and the bake")
    timeout: Duration = 5.0

    @property
    def kind(self) -> str:
        """How it is asked."""
        return next(kind for kind in PROBES if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _exactly_one(self) -> DigestProbe:
        _one_of(self, PROBES, "a digest is asked in exactly one way")
        return self


def _one_of(model: Model, kinds: tuple[str, ...], what: str) -> None:
    given = [kind for kind in kinds if getattr(model, kind) is not None]
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none"
        raise ValueError(f"{what}: wanted one of {', '.join(kinds)}; {found}")
