"""Each bad file has exactly its faults: file, line, place, what is wrong and what is wanted."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.config.load import check, load
from bluegreen.config.schema import Service
from bluegreen.errors import ConfigError, ExitCode
from tests.config.files import DAEMON, SERVICE, said, write

EXAMPLES = Path(__file__).parent.parent.parent / "config" / "services"
HAPROXY = "{kind: haproxy, socket: /run/h.sock, backend: web, servers: {blue: [b1], green: [g1]}}"


def cases() -> Iterator[tuple[str, str, list[str]]]:
    """The cases of faults.txt: a name, a bad service, and every fault in it."""
    for block in (Path(__file__).parent / "faults.txt").read_text().split("\n== ")[1:]:
        name, *lines = block.strip().splitlines()
        old, new, faults = ([line[2:] for line in lines if line[0] == mark] for mark in "-+!")
        before, after = "".join(f"{line}\n" for line in old), "".join(f"{line}\n" for line in new)
        assert SERVICE.count(before) == 1, name
        keys = ", ".join(field.alias or name for name, field in Service.model_fields.items())
        faults = [fault.replace("<the keys of a service>", keys) for fault in faults]
        yield name, SERVICE.replace(before, after), faults


@pytest.mark.parametrize(
    ("service", "faults"), [pytest.param(service, faults, id=name) for name, service, faults in cases()]
)
def test_a_bad_service_has_exactly_its_faults(tmp_path, service, faults):
    assert said(write(tmp_path, service)) == [f"services/web.yaml:{fault}" for fault in faults]


def test_the_good_file_has_no_fault(tmp_path):
    assert said(write(tmp_path)) == []


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("contrl: {}", ["contrl: unknown key 'contrl'; did you mean 'control'?"]),
        ("observe: {every: 0s}", ["observe.every: no time at all; wanted more than 0s"]),
        ("watchdog: 4900ms", ["watchdog: wanted 5s at least: a busy host may hold up a sound daemon for seconds"]),
        ("log: {level: loud}", ["log.level: unknown value 'loud'; wanted one of debug, info, warning, error"]),
        ("log: [text]", ["log: found a list; wanted a mapping of `key: value`"]),
    ],
)
def test_a_bad_daemon_has_exactly_its_faults(tmp_path, line, faults):
    found = said(write(tmp_path, daemon=f"{DAEMON}{line}\n"))
    assert len(found) == len(faults)
    assert all(one.startswith(f"bluegreen.yaml:3: {start}") for one, start in zip(found, faults, strict=True)), found


@pytest.mark.parametrize(
    ("control", "faults"),
    [
        ("http: 0.0.0.0:80, tokens: {a: '${env:A}'}", ["http: '0.0.0.0:80' can be reached from outside; wanted 127."]),
        ("http: example.com:80, tokens: {a: '${env:A}'}", ["http: 'example.com:80' can be reached from outside"]),
        ("http: '127.0.0.1:99999', tokens: {a: '${env:A}'}", ["http: '127.0.0.1:99999' is not an address; wanted H"]),
        ("http: here, tokens: {a: '${env:A}'}", ["http: not an address; wanted HOST:PORT, such as 127.0.0.1:8474"]),
        ("tokens: {a: hunter2}", ["tokens.a: a token never stands in clear; wanted a reference ${env:NAME}, ${file:"]),
        ("tokens: {a: '${file:relative}'}", ["tokens.a: ${file:relative} is not well formed; wanted an absolute path"]),
        ("tokens: {a: '${credential:../x}'}", ["tokens.a: ${credential:../x} is not well formed; wanted a credential"]),
        ("mode: 660", ["mode: found a number; wanted text: put it in quotes"]),
        ('mode: "999"', ['mode: not a mode; wanted octal digits, such as "0660"']),
        (f"socket: /{'x' * 107}", ["socket: longer than a socket's path may be; wanted at most 107 bytes"]),
    ],
)
def test_a_door_that_stands_open_is_a_fault(tmp_path, control, faults):
    found = said(write(tmp_path, daemon=f"control: {{{control}}}\n"))
    assert len(found) == len(faults), found
    assert found[0].startswith(f"bluegreen.yaml:1: control.{faults[0]}"), found


@pytest.mark.parametrize("http", ["127.0.0.1:0", "127.8.8.8:8474", "'[::1]:8474'", "localhost:8474"])
def test_every_loopback_address_is_a_door(tmp_path, http):
    assert said(write(tmp_path, daemon=f"control: {{http: {http}, tokens: {{a: '${{env:A}}'}}}}\n")) == []


def test_faults_of_all_files_are_told_at_once(tmp_path):
    file = write(tmp_path, SERVICE + "x: 1\n", DAEMON + "y: 1\n", api="a: [\n", shop="service: [\n  b]\nz: 1\n")
    places = [one.partition(": ")[0] for one in said(file)]
    assert places == [
        "bluegreen.yaml:3",
        "services/api.yaml:2",
        *["services/shop.yaml:1"] * 4,  # three keys are missing, and service is a list
        "services/shop.yaml:3",
        "services/web.yaml:10",
    ]


def test_two_files_with_one_service_are_a_fault(tmp_path):
    assert said(write(tmp_path, web2=SERVICE)) == [
        "services/web2.yaml:1: service: the service 'web' is already in services/web.yaml; wanted a name of its own"
    ]


def test_two_services_on_one_switch_point_are_a_fault(tmp_path):
    web = SERVICE.replace("{kind: memory}", HAPROXY)
    file = write(tmp_path, web, shop=web.replace("service: web", "service: shop"))
    assert said(file) == [
        "services/web.yaml:6: switch_points[0]: this place already belongs to the service in services/shop.yaml;"
        " wanted one service for each"
    ]


def test_a_service_that_this_one_depends_on_is_known_or_warned_about(tmp_path):
    shop = SERVICE.replace("service: web", "service: shop")
    assert said(write(tmp_path, SERVICE + "depends_on: [shop]\n", shop=shop)) == []
    assert said(write(tmp_path, SERVICE + "depends_on: [web, shpo]\n", shop=shop)) == [
        "services/web.yaml:10: depends_on[0]: a service does not depend on itself; wanted the name of another one",
        "services/web.yaml:10: warning: depends_on[1]: no service 'shpo' here: a failback's report cannot tell what was"
        " deployed of it",
    ]


def test_two_services_may_have_memory_points(tmp_path):
    assert said(write(tmp_path, shop=SERVICE.replace("service: web", "service: shop"))) == []


@pytest.mark.parametrize("pattern", ["elsewhere/*.yaml", "''", "services", "/no/such/*.yaml", "'**x'"])
def test_a_pattern_that_matches_no_file_is_a_fault(tmp_path, pattern):
    file = write(tmp_path, daemon=f"services: {pattern}\n")
    shown = repr(pattern.strip("'"))
    assert said(file) == [f"bluegreen.yaml:1: services: no service: no file matches {shown}; wanted one file a service"]


def test_a_missing_file_is_a_fault(tmp_path):
    assert said(tmp_path / "bluegreen.yaml") == [
        "bluegreen.yaml:1: (file): the file cannot be read: No such file or directory; mend the path or its rights"
    ]


def test_load_raises_every_fault_and_no_warning(tmp_path):
    variables = "  variables: {A: '${file:/no/such}', B: '${x}'}\n"
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, SERVICE + variables + "x: 1\n"))
    assert [fault.line for fault in raised.value.faults] == [10, 10, 11]
    assert all(fault.severity == "error" for fault in raised.value.faults)
    assert raised.value.exit_code == ExitCode.USAGE


def secret(tmp_path: Path, mode: int) -> tuple[Path, Path]:
    key = tmp_path / "key"
    key.write_text("hunter2")
    key.chmod(mode)
    return write(tmp_path, SERVICE + f"  variables: {{API_KEY: '${{file:{key}}}'}}\n"), key


def test_a_key_readable_by_all_is_a_warning(tmp_path):
    file, key = secret(tmp_path, 0o644)
    config, (warning,) = check(file)
    assert config is not None
    assert warning.severity == "warning"
    assert warning.what == f"{key} can be read by all; make it the daemon's own: chmod o-rwx {key}"


def test_a_key_of_the_daemons_own_is_no_warning(tmp_path):
    assert said(secret(tmp_path, 0o600)[0]) == []


def test_a_key_that_is_missing_is_a_warning(tmp_path):
    file, key = secret(tmp_path, 0o600)
    key.unlink()
    assert said(file) == [
        f"services/web.yaml:10: warning: deploy.variables.API_KEY: {key.name} cannot be looked at"
        " (No such file or directory); wanted a file that the daemon can read"
    ]


def test_no_secret_is_ever_shown(tmp_path):
    with_secrets = [service for _, service, _ in cases() if "hunter2" in service]
    assert len(with_secrets) > 3
    for service in with_secrets:
        found = said(write(tmp_path, service))
        assert found
        assert not any("hunter2" in one for one in found)


VALUES = [None, True, -1, 0, 5, 1.5, "", "x", "5%", "5s", "{x}", "${env:}", "${file:/\0}", "h:1", "http://[", "[key]"]
VALUES += [[], [None], ["x"], {}, {"kind": "elbv2"}, {"kind": []}, {"x": {}}, {"": ""}, {"json": {"[": 1}}]  # type: ignore[list-item]


def changed(content: object, choose: Callable[[int], int]) -> object:
    """The content with one place, somewhere in it, taken for another value."""
    if isinstance(content, dict) and content and choose(5):
        key = list(content)[choose(len(content))]
        return {**content, key: changed(content[key], choose)} if choose(8) else {**content, "x": 1, key: None}
    if isinstance(content, list) and content and choose(5):
        index = choose(len(content))
        return [*content[:index], changed(content[index], choose), *content[index + 1 :]]
    return VALUES[choose(len(VALUES))]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_content_at_all_makes_the_check_fail(tmp_path, data):
    texts = [SERVICE, *((EXAMPLES / name).read_text() for name in ("web-haproxy.yaml", "shop-elbv2.yaml"))]
    service, daemon = yaml.safe_load(data.draw(st.sampled_from(texts))), yaml.safe_load(DAEMON)
    for _ in range(data.draw(st.integers(1, 4))):
        service = changed(service, lambda below: data.draw(st.integers(0, below - 1)))
        daemon = changed(daemon, lambda below: data.draw(st.integers(0, below - 1)))
    config, faults = check(write(tmp_path, json.dumps(service), json.dumps(daemon)))
    assert config is not None or faults
    assert all(fault.what and fault.line for fault in faults)


def test_check_never_opens_a_socket(tmp_path, monkeypatch):
    class Closed:
        def __init__(self, *_: object) -> None:
            raise AssertionError("a socket was opened")

    file = write(tmp_path, SERVICE.replace("{kind: memory}", HAPROXY))
    monkeypatch.setattr(socket, "socket", Closed)
    assert said(file) == []
