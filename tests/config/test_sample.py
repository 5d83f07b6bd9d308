"""The public contract's own example of the files loads as it stands there."""

from __future__ import annotations

from pathlib import Path

from bluegreen.config.load import check

DAEMON = """\
state: {directory: /var/lib/bluegreen}        # the journal (SQLite), its lock, the cards, the evidence
control:
  socket: /run/bluegreen/control.sock
  http: 127.0.0.1:8474                        # optional; absent = unix socket only
services: services/*.yaml
"""
SERVICE = """\
service: web
environments:                 # two or more; what stands here can be used as {key} in deploy, smoke and the like
  blue:  {url: "http://10.0.1.10:8080"}
  green: {url: "http://10.0.2.10:8080"}
switch_points:
  - kind: elbv2
    region: eu-west-1
    listener: arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2
    target_groups: {blue: web-blue, green: web-green}       # names or ARNs
    endpoint_url: http://127.0.0.1:5000
  - kind: haproxy
    socket: /run/haproxy/admin.sock            # or HOST:PORT
    backend: web
    servers: {blue: [web-blue-1, web-blue-2], green: [web-green-1, web-green-2]}
deploy:
  kind: command
  run: [./deploy.sh, "{environment}", "{version}"]      # an argument list, never a shell line
  timeout: 10m
smoke:
  - name: healthy
    http: "{url}/healthz"
    expect: {status: 200, json: {"version": "{version}"}}
    attempts: 5
    every: 2s
    timeout: 3s
  - name: orders
    command: [./smoke.sh, "{url}"]
    timeout: 60s
shift:
  steps: [5%, 25%, 50%, 100%]      # [100%] = at once
  wait: 2m                          # after each step but the last; `approve` = a person's word
gates:                              # looked at all through shift and bake
  - name: errors
    prometheus: {url: "http://127.0.0.1:9090", query: up, max: 0.01}
  - name: alarm
    cloudwatch_alarm: web-5xx
bake: 15m
keep_warm: 4h                       # protected time of the previous environment
failback:
  steps: [100%]
guards: []                          # extra preflight checks of this service; the built-in ones always run
"""


def test_the_contracts_example_loads_without_a_fault_or_a_warning(tmp_path: Path):
    (tmp_path / "services").mkdir()
    (tmp_path / "bluegreen.yaml").write_text(DAEMON)
    (tmp_path / "services" / "web.yaml").write_text(SERVICE)
    config, faults = check(tmp_path / "bluegreen.yaml")
    assert faults == ()
    assert config is not None
    assert config.daemon.control.http == "127.0.0.1:8474"
