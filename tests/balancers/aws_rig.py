"""AWS on this machine: moto's server, load balancers made on it, and a proxy that breaks calls on purpose."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bluegreen.config.schema import ElbV2Point

REGION = "eu-west-1"
PLACES = ("alb-listener", "alb-rule", "nlb-listener")


def dummy_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own AWS configuration is used, and nothing asks the network for credentials."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # half of each test's time, for machine images
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """moto behind real HTTP. Gives its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def emptied(url: str) -> str:
    """Everything that was made on the server is forgotten. Gives the URL again."""
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=90).close()
    return url


@functools.cache
def _session(region: str, access: str, secret: str, token: str | None) -> boto3.Session:
    """One for each account and region: a new one reads the service models again."""
    return boto3.Session(access, secret, token, region)


@dataclass
class Place:
    """A listener or rule, with its two target groups: blue has weight 100, green has 0."""

    kind: str
    arn: str
    groups: dict[str, str]
    region: str
    load_balancer: str
    endpoint: str | None = None
    names: dict[str, str] = field(default_factory=dict)

    def point(self, **changes: Any) -> ElbV2Point:
        """Its configuration: target groups by name."""
        noun = "rule" if self.kind.endswith("rule") else "listener"
        return ElbV2Point.model_validate(
            {
                "kind": "elbv2",
                "region": self.region,
                noun: self.arn,
                "target_groups": self.names,
                "endpoint_url": self.endpoint,
                "timeout": "60s",  # what is to hang is given a short time
                **changes,
            }
        )


class Site:
    """Makes load balancers, in a region of one account, and looks at them by a client of its own."""

    def __init__(
        self,
        endpoint: str | None,
        region: str = REGION,
        keys: tuple[str, str, str | None] = ("testing", "testing", None),
    ) -> None:
        self.endpoint = endpoint
        self.region = region
        session = _session(region, *keys)
        self.elbv2: Any = session.client("elbv2", endpoint_url=endpoint)
        self._ec2 = session.client("ec2", endpoint_url=endpoint)
        vpc = self._ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnets = self._ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        self._vpc, self._subnets = vpc, [subnet["SubnetId"] for subnet in subnets][:2]
        self._made = 0

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.elbv2.close()
        self._ec2.close()

    def group(self, name: str, protocol: str = "HTTP", targets: tuple[str, ...] = ()) -> str:
        """A target group of IP addresses. Gives its ARN."""
        made = self.elbv2.create_target_group(
            Name=name,
            Protocol=protocol,
            Port=80,
            VpcId=self._vpc,
            TargetType="ip",
        )
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        if targets:
            self.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target} for target in targets])
        return arn

    def place(
        self, kind: str = "alb-listener", before: list[dict[str, Any]] | None = None, sticky: int | None = None
    ) -> Place:
        """A load balancer with all that belongs to it; `before` are actions before the forward action."""
        self._made += 1
        type_, protocol = _TYPES[kind[:3]]
        made = self.elbv2.create_load_balancer(Name=f"balancer-{self._made}", Subnets=self._subnets, Type=type_)
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        names = {colour: f"web-{self._made}-{colour}" for colour in ("blue", "green")}
        blue, green = (
            self.group(name, protocol, (f"10.0.{index}.1", f"10.0.{index}.2"))
            for index, name in enumerate(names.values(), 1)
        )
        config: dict[str, Any] = {
            "TargetGroups": [{"TargetGroupArn": blue, "Weight": 100}, {"TargetGroupArn": green, "Weight": 0}]
        }
        if sticky is not None:
            config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": sticky}
        actions: list[Any] = [*(before or []), {"Type": "forward", "ForwardConfig": config}]
        if kind.endswith("rule"):
            arn = self._rule(balancer, protocol, actions)
        else:
            arn = self._listener(balancer, protocol, actions)
        return Place(kind, arn, {"blue": blue, "green": green}, self.region, balancer, self.endpoint, names)

    def actions(self, place: Place) -> list[Any]:
        """The whole action list as AWS has it now."""
        if place.kind.endswith("rule"):
            return list(self.elbv2.describe_rules(RuleArns=[place.arn])["Rules"][0]["Actions"])
        return list(self.elbv2.describe_listeners(ListenerArns=[place.arn])["Listeners"][0]["DefaultActions"])

    def set_actions(self, place: Place, actions: list[Any]) -> None:
        """What somebody else does."""
        if place.kind.endswith("rule"):
            self.elbv2.modify_rule(RuleArn=place.arn, Actions=actions)
        else:
            self.elbv2.modify_listener(ListenerArn=place.arn, DefaultActions=actions)

    def weights(self, place: Place) -> dict[str, int]:
        """Weights by environment as AWS has them now; only what is attached."""
        groups = self.actions(place)[-1]["ForwardConfig"]["TargetGroups"]
        colours = {arn: colour for colour, arn in place.groups.items()}
        return {colours.get(group["TargetGroupArn"], group["TargetGroupArn"]): group["Weight"] for group in groups}

    def set_weights(self, place: Place, blue: int, green: int) -> None:
        """What somebody else does."""
        groups = [
            {"TargetGroupArn": place.groups["blue"], "Weight": blue},
            {"TargetGroupArn": place.groups["green"], "Weight": green},
        ]
        self.set_actions(place, [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])

    def default_rule(self, place: Place) -> str:
        """The ARN of the listener's default rule."""
        rules = self.elbv2.describe_rules(ListenerArn=place.arn)["Rules"]
        return str(next(rule["RuleArn"] for rule in rules if rule["IsDefault"]))

    def _listener(self, balancer: str, protocol: str, actions: list[Any]) -> str:
        port = {} if protocol == "GENEVE" else {"Protocol": protocol, "Port": 80}
        made = self.elbv2.create_listener(LoadBalancerArn=balancer, DefaultActions=actions, **port)
        return str(made["Listeners"][0]["ListenerArn"])

    def _rule(self, balancer: str, protocol: str, actions: list[Any]) -> str:
        gone = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        listener = self._listener(balancer, protocol, [gone])
        made = self.elbv2.create_rule(
            ListenerArn=listener,
            Priority=10,
            Conditions=[{"Field": "path-pattern", "Values": ["/web/*"]}],
            Actions=actions,
        )
        return str(made["Rules"][0]["RuleArn"])


_TYPES = {"alb": ("application", "HTTP"), "nlb": ("network", "TCP"), "glb": ("gateway", "GENEVE")}

REFUSALS = {
    "unavailable": (503, "ServiceUnavailable"),
    "throttle": (400, "Throttling"),
    "deny": (403, "AccessDenied"),
    "expired": (403, "ExpiredToken"),
    "invalid": (400, "ValidationError"),
}


class FaultProxy:
    """Stands before AWS and breaks the calls of one action as told: `proxy.faults["ModifyListener"] = "drop"`.

    pass         as if it were not there
    hang         nothing is forwarded, nothing answered
    drop         forwarded, and then the connection is closed without an answer
    slow         forwarded, and then nothing is answered
    hold         forwarded and answered once the proxy is told to `release`
    stale        the answer of the first such call is given `stale_reads` times more, and then the truth
    answer       what `answers` says for the action
    any key of REFUSALS

    `after` has the faults that begin once an action was answered.
    """

    def __init__(self, upstream: str) -> None:
        self.faults: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        self.after: dict[str, dict[str, str]] = {}
        self.stale_reads = 0
        self.sent: Counter[str] = Counter()
        self.bodies: dict[str, bytes] = {}
        self._upstream = urlsplit(upstream).netloc
        self._old: dict[str, tuple[int, bytes]] = {}
        self._released = threading.Event()
        self._arrived = threading.Condition()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = proxy._answer(body, dict(self.headers))
                proxy.faults.update(proxy.after.get(_action(body, dict(self.headers)), {}))
                if answer is not None:
                    self.send_response(answer[0])
                    self.send_header("Content-Type", "text/xml")
                    self.send_header("Content-Length", str(len(answer[1])))
                    self.end_headers()
                    self.wfile.write(answer[1])

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Clients hang up in these tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def release(self) -> None:
        """Let go of everything that waits."""
        self._released.set()

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, action: str, seconds: float = 90) -> None:
        """Block until a call of `action` has arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.sent[action] > 0, seconds)

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        action = _action(body, headers)
        with self._arrived:
            self.sent[action] += 1
            self.bodies[action] = body
            self._arrived.notify_all()
        match self.faults.get(action, "pass"):
            case "hang":
                self._released.wait(60)
                return None
            case "drop":
                self._forward(body, headers)
                return None
            case "slow":
                self._forward(body, headers)
                self._released.wait(60)
                return None
            case "hold":
                self._released.wait(60)
                return self._forward(body, headers)
            case "stale" if action in self._old and self.stale_reads > 0:
                self.stale_reads -= 1
                return self._old[action]
            case "stale" if action not in self._old:
                return self._old.setdefault(action, self._forward(body, headers))
            case "answer":
                return 200, self.answers[action].encode()
            case "pass" | "stale":
                return self._forward(body, headers)
            case refusal:
                status, code = REFUSALS[refusal]
                if "X-Amz-Target" in headers:  # a service that speaks JSON
                    return status, json.dumps({"__type": f"{code}Exception", "message": "on purpose"}).encode()
                text = f"<ErrorResponse><Error><Code>{code}</Code><Message>on purpose</Message></Error></ErrorResponse>"
                return status, text.encode()

    def _forward(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        try:
            connection.request("POST", "/", body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _action(body: bytes, headers: Mapping[str, str]) -> str:
    """`ModifyListener`: in the form of services that speak XML, in a header of those that speak JSON."""
    target = headers.get("X-Amz-Target")
    return target.rpartition(".")[2] if target else parse_qs(body.decode())["Action"][0]
