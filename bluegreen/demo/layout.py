"""The demo's directory: free ports, a token, and a configuration as an operator would write it."""

from __future__ import annotations

import json
import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

SERVICE = "shop"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the planned waits take, as durations of the configuration."""

    wait: str
    bake: str


VISITOR = Pace(wait="3s", bake="3s")
HURRIED = Pace(wait="1s", bake="1s")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. `ports` has the balancer's front (`front`), the control endpoint (`control`) and one for
    each environment."""

    directory: Path
    ports: Mapping[str, int]
    token: str

    @property
    def config(self) -> Path:
        return self.directory / "bluegreen.yaml"

    @property
    def socket(self) -> Path:
        return self.directory / "control.sock"

    @property
    def haproxy(self) -> Path:
        return self.directory / "haproxy"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def log(self) -> Path:
        return self.directory / "daemon.log"

    @property
    def page(self) -> str:
        return f"http://{HOST}:{self.ports['control']}/#token={self.token}"

    @property
    def shop(self) -> str:
        return f"http://{HOST}:{self.ports['front']}/"


def lay_out(directory: Path, pace: Pace) -> Layout:
    """Write the configuration into an existing directory. Raises OSError."""
    layout = Layout(directory, _free_ports("front", "control", "blue", "green"), secrets.token_urlsafe(18))
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text(layout.token + "\n", encoding="utf-8")
    for part in ("services", "haproxy", "state"):
        (directory / part).mkdir(mode=0o700)
    layout.config.write_text(_daemon_file(layout, token), encoding="utf-8")
    (directory / "services" / f"{SERVICE}.yaml").write_text(_service_file(layout, pace), encoding="utf-8")
    return layout


def _free_ports(*names: str) -> dict[str, int]:
    """Ports that are free now: all are held until each has its own."""
    with ExitStack() as stack:
        ports = {}
        for name in names:
            held = stack.enter_context(socket.socket())
            held.bind((HOST, 0))
            ports[name] = int(held.getsockname()[1])
        return ports


def _daemon_file(layout: Layout, token: Path) -> str:
    return f"""\
# The demo's daemon. Every key with its meaning stands in config/bluegreen.yaml of the repository.
state: {{directory: {json.dumps(str(layout.state))}}}
control:
  socket: {json.dumps(str(layout.socket))}
  http: {HOST}:{layout.ports["control"]}
  tokens: {{visitor: "${{file:{token}}}"}}
services: services/*.yaml
observe: {{every: 1s}}
log: {{format: json}}
"""


def _service_file(layout: Layout, pace: Pace) -> str:
    environments = "\n".join(
        f'  {name + ":":<7}{{url: "http://{HOST}:{layout.ports[name]}", port: "{layout.ports[name]}"}}'
        for name in ("blue", "green")
    )
    return f"""\
# The demo's service: change it, then `kill -HUP` the daemon; or `bluegreen check-config` first.
service: {SERVICE}

environments:
{environments}

switch_points:
  - kind: haproxy
    socket: {json.dumps(str(layout.haproxy / "admin.sock"))}
    backend: {SERVICE}
    servers: {{blue: [blue], green: [green]}}
    state_file: {json.dumps(str(layout.haproxy / "haproxy.state"))}     # a reload forgets what is not written there

deploy:
  kind: process
  run:
    - {json.dumps(sys.executable)}
    - -m
    - bluegreen.demo.app
    - --port={{port}}
    - --version={{version}}
    - --environment={{environment}}
  ready: 300ms

health: {{timeout: 15s, every: 200ms}}

smoke:
  - name: healthy
    http: "{{url}}/healthz"
    expect: {{status: 200, json: {{version: "{{version}}"}}}}
    attempts: 5
    every: 200ms
    timeout: 2s
  - name: orders                # v3 fails here: it never gets a single request
    http: "{{url}}/orders"
    timeout: 2s

shift:
  steps: [5%, 25%, 50%, 100%]
  wait: {pace.wait}

gates:
  - name: errors                # v4 fails here, when it has real traffic
    http: "{{url}}/errors"
    expect: {{json: {{"errors_percent < `1`": true}}}}
    every: 1s
    timeout: 2s

bake: {pace.bake}
keep_warm: 1h

failback:
  steps: [100%]
"""
