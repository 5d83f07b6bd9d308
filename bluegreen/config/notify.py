"""The shape of notifiers: who is told when a person is awaited. Types only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from bluegreen.config.model import Model
from bluegreen.config.units import Command, Duration, Name

_KINDS = ("webhook", "slack", "command")
Event = Literal["halt", "claim", "reminder", "pause", "drift", "ended", "warm", "unread"]


class Notifier(Model):
    """One place to tell: its kind is the key that says where."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    name: Name
    webhook: str | None = Field(None, description="a URL to POST a CloudEvent to, signed as Standard Webhooks are")
    slack: str | None = Field(None, description="an incoming webhook's URL, which is a secret: by reference")
    command: Command | None = Field(
        None, description="an argument list; the notice is in $NOTICE as JSON, in $TEXT as text"
    )
    secret: str | None = Field(None, description="of the webhook's signature, by reference")
    headers: dict[str, str] = Field(default_factory=dict, description="secrets by reference")
    variables: dict[str, str] = Field(default_factory=dict, description="environment variables, secrets by reference")
    events: list[Event] = Field(
        ["halt", "reminder", "pause", "drift", "warm", "unread"], description="what it is told of"
    )
    services: list[Name] = Field(default_factory=list, description="only of these; of all unless given")
    level: Annotated[int, Field(ge=1, le=9)] = Field(1, description="told of a halt from its so-manieth notice on")
    timeout: Duration = 10.0

    @property
    def kind(self) -> str:
        """Where it tells."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Notifier:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            raise ValueError(f"a notifier tells in one place: wanted one of {', '.join(_KINDS)}; {found}")
        if self.secret is not None and given != ["webhook"]:
            raise ValueError("`secret` belongs to a webhook")
        return self
