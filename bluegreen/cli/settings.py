"""The global options: one list, taken before the verb and after it; and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from bluegreen.cli import problems
from bluegreen.cli.client import Client, Door, UnixDoor, tcp_door
from bluegreen.cli.screen import Screen
from bluegreen.errors import BadRequest, BlueGreenError, ConfigError

Command = TypeVar("Command", bound=Callable[..., Any])

CONFIG = "/etc/bluegreen/bluegreen.yaml"
SOCKET = "/run/bluegreen/control.sock"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the global options say. A flag goes before the environment; None is what nobody gave."""

    config: str | None = None
    socket: str | None = None
    url: str | None = None
    token_file: str | None = None
    json: bool = False
    no_color: bool = False

    @property
    def screen(self) -> Screen:
        """Where and how this call shows things."""
        return Screen.here(self.json, self.no_color)

    @property
    def config_file(self) -> Path:
        """The daemon's configuration file."""
        return Path(self.config or os.environ.get("BLUEGREEN_CONFIG") or CONFIG)

    def client(self, deadline: float | None = None) -> Client:
        """A client of the daemon that the options name. Raises ConfigError, BadRequest."""
        return Client(self.door()) if deadline is None else Client(self.door(), deadline)

    def door(self) -> Door:
        """The way to the daemon: --url, else --socket, else the socket of --config, else the same by environment."""
        if self.url:
            try:
                return tcp_door(self.url, self._token())
            except ValueError as error:
                raise BadRequest(str(error), advice="a unix socket is named by --socket PATH") from error
        if self.socket:
            return UnixDoor(self.socket)
        if self.config:
            return UnixDoor(_socket_of(self.config_file))
        if path := os.environ.get("BLUEGREEN_SOCKET"):
            return UnixDoor(path)
        return UnixDoor(_socket_of(self.config_file) if os.environ.get("BLUEGREEN_CONFIG") else SOCKET)

    def _token(self) -> str | None:
        if not self.token_file:
            return os.environ.get("BLUEGREEN_TOKEN")
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadRequest(f"{self.token_file}: the token cannot be read: {error.strerror}") from error


class Verb(click.Command):
    """A verb: it takes the global options too, tells errors, and returns an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(hidden=True))

    def invoke(self, ctx: click.Context) -> int:
        ctx.obj = ctx.find_object(Settings) or Settings()
        try:
            return int(super().invoke(ctx) or 0)
        except BlueGreenError as error:
            return problems.show(error, ctx.obj.json)


def service_argument(required: bool = True) -> Callable[[Command], Command]:
    """A verb's SERVICE; completed by asking the daemon."""
    return click.argument("service", required=required, shell_complete=_services)


def _services(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    settings = ctx.find_object(Settings) or Settings()
    try:
        services = settings.client(deadline=0.2).get("services")["services"]
    except BlueGreenError:
        return []  # a shell that waits for a completion has no use for an error
    return [one["service"] for one in services if one["service"].startswith(incomplete)]


def global_options(hidden: bool) -> list[click.Parameter]:
    """The options of every verb. In a verb's own help only --json is shown."""

    def option(*names: str, help: str, **kwargs: Any) -> click.Option:  # noqa: A002 -- click's word
        shown = "--json" in names or not hidden
        return click.Option(list(names), help=help, hidden=not shown, expose_value=False, callback=_keep, **kwargs)

    return [
        option("--config", metavar="FILE", help=f"The daemon's configuration (BLUEGREEN_CONFIG; else {CONFIG})."),
        option("--socket", metavar="PATH", help=f"The daemon's unix socket (BLUEGREEN_SOCKET; else {SOCKET})."),
        option("--url", metavar="URL", help="The daemon's TCP endpoint instead: http://HOST:PORT."),
        option("--token-file", metavar="FILE", help="The token for --url (else BLUEGREEN_TOKEN)."),
        option("--json", is_flag=True, help="The API's document on standard output."),
        option("--no-color", is_flag=True, help="No colours (also: NO_COLOR)."),
    ]


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        ctx.obj = replace(ctx.find_object(Settings) or Settings(), **{str(param.name): value})


def _socket_of(file: Path) -> str:
    """The control socket that a configuration names. Faults elsewhere in it do not matter here."""
    from bluegreen.config.yaml import read

    document, faults = read(file)
    if document is None:
        raise ConfigError(faults)
    control = document.content.get("control")
    named = control.get("socket") if isinstance(control, dict) else None
    return str(file.absolute().parent / named) if isinstance(named, str) else SOCKET
