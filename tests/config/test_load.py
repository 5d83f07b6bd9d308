"""What is loaded: the shipped examples, relative paths, and the configuration that a running switch keeps."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.load import check, config_hash, load, service_from_json, service_json
from bluegreen.config.notify import Notifier
from bluegreen.config.schema import CommandDeploy, Daemon, HAProxyPoint, Model, Service
from bluegreen.errors import ConfigError
from bluegreen.model import Answer
from bluegreen.wiring import setup_of
from tests.config.files import SERVICE, write

CONFIG = Path(__file__).parent.parent.parent / "config"


# --- the shipped examples ---


def test_the_shipped_configuration_has_no_fault_and_no_warning():
    config, faults = check(CONFIG / "bluegreen.yaml")
    assert faults == ()
    assert config is not None
    assert sorted(config.services) == ["shop", "web"]
    assert config.sources["web"] == str(CONFIG / "services" / "web-haproxy.yaml")


def test_the_shipped_services_show_haproxy_and_elbv2():
    services = load(CONFIG / "bluegreen.yaml").services
    assert {point.kind for service in services.values() for point in service.switch_points} == {"haproxy", "elbv2"}


def test_the_shipped_daemons_file_has_every_key_with_its_default():
    text = (CONFIG / "bluegreen.yaml").read_text()
    for key in keys(Daemon):
        assert re.search(rf"^\s*{key}:", text, re.MULTILINE), key
    shipped, default = load(CONFIG / "bluegreen.yaml").daemon, Daemon()
    assert shipped.model_copy(update={"control": default.control, "notify": []}) == default
    assert [one.model_copy(update={"name": "x", "webhook": "x", "secret": None}) for one in shipped.notify] == [
        Notifier(name="x", webhook="x")
    ]
    assert shipped.control.model_copy(update={"http": None, "tokens": {}}) == default.control


def keys(model: type[Model]) -> list[str]:
    found: list[str] = []
    for name, field in model.model_fields.items():
        found.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Model):
            found += keys(field.annotation)
    return found


def test_what_the_owner_of_a_deploy_command_says_of_undoing_it_is_pinned_with_the_plan(tmp_path):
    plan = setup_of(
        load(write(tmp_path, f"{SERVICE}  reversible: no\n  undo: mails were sent\n")).services["web"]
    ).deployment
    assert (plan.deploy_reversible, plan.deploy_undo) == (Answer.NO, "mails were sent")
    plan = setup_of(load(write(tmp_path)).services["web"]).deployment
    assert (plan.deploy_reversible, plan.deploy_undo) == (Answer.UNKNOWN, ""), "nobody has said anything"


# --- relative paths ---


def test_relative_paths_start_at_the_files_directory(tmp_path):
    service = (
        SERVICE.replace("{kind: memory}", "{kind: haproxy, socket: h.sock, backend: b, state_file: s, servers: {}}")
        .replace("servers: {}", "servers: {blue: [a], green: [b]}")
        .replace("service: web", "service: web\nsmoke: [{name: a, command: [./s.sh]}, {name: b, tcp: 'h:1'}]")
    )
    config = load(write(tmp_path, service))
    web = config.services["web"]
    point = web.switch_points[0]
    assert isinstance(point, HAProxyPoint)
    assert config.daemon.state.directory == str(tmp_path / "state")
    assert config.daemon.control.socket == str(tmp_path / "control.sock")
    assert web.deploy.directory == str(tmp_path / "services")
    assert (point.socket, point.state_file) == (str(tmp_path / "services/h.sock"), str(tmp_path / "services/s"))
    assert [check.directory for check in web.smoke] == [str(tmp_path / "services"), None]


def test_absolute_paths_and_addresses_stay(tmp_path):
    service = SERVICE.replace(
        "{kind: memory}", "{kind: haproxy, socket: '127.0.0.1:9999', backend: b, servers: {blue: [a], green: [b]}}"
    )
    web = load(write(tmp_path, service + "  directory: /opt/web\n")).services["web"]
    point = web.switch_points[0]
    assert isinstance(point, HAProxyPoint)
    assert (point.socket, web.deploy.directory) == ("127.0.0.1:9999", "/opt/web")


def test_files_are_found_from_any_directory(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = load(Path("bluegreen.yaml"))
    assert config.sources == {"web": "services/web.yaml"}
    assert config.daemon.state.directory == str(tmp_path / "state")


def test_an_editors_hidden_file_is_no_service(tmp_path):
    file = write(tmp_path)
    (tmp_path / "services" / ".web.yaml").write_text("not: a service\n")
    assert list(load(file).services) == ["web"]


def test_an_environments_number_is_kept_as_written(tmp_path):
    service = load(write(tmp_path, SERVICE.replace("blue: {", "blue: {v: 1.10, w: 08, x: 5, "))).services["web"]
    blue = service.environments["blue"]
    assert (blue["v"], blue["w"], blue["x"]) == ("1.10", "08", "5")


# --- the configuration that a switch keeps ---

names = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
words = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
durations = st.one_of(
    st.builds("{}{}".format, st.integers(0, 10**6), st.sampled_from(["ms", "s"])),
    st.builds("{:.5f}{}".format, st.floats(0, 300), st.sampled_from(["ms", "s", "m", "h", "d"])),
)
steps = st.lists(st.integers(1, 999), unique=True, max_size=4).map(
    lambda tenths: [*(f"{one / 10}%" for one in sorted(tenths)), "100%"]
)
minimums = st.one_of(st.integers(1, 9), st.sampled_from(["50%", "0.1%", "100%"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
points = st.one_of(
    st.fixed_dictionaries({"kind": st.just("memory")}, optional={"weights": st.just({"blue": 1, "green": 0})}),
    st.fixed_dictionaries(
        {"kind": st.just("haproxy"), "socket": words, "backend": words, "servers": st.just({"blue": ["a"]})},
        optional={"state_file": words, "timeout": durations},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("elbv2"), "region": words, "rule": words, "target_groups": st.just({"b": "x", "a": "y"})},
        optional={"settle": durations, "role": words},
    ),
)
checks = st.fixed_dictionaries(
    {"name": names, "http": words},
    optional={
        "expect": st.fixed_dictionaries(
            {}, optional={"within": durations, "json": st.dictionaries(words, json_values, max_size=2)}
        ),
        "every": durations,
        "headers": st.dictionaries(words, words, max_size=2),
    },
)
services = st.fixed_dictionaries(
    {
        "service": names,
        "environments": st.dictionaries(names, st.dictionaries(words, words, max_size=2), min_size=2, max_size=3),
        "switch_points": st.lists(points, min_size=1, max_size=2),
        "deploy": st.fixed_dictionaries(
            {"kind": st.just("command"), "run": st.lists(words, min_size=1, max_size=3)},
            optional={"timeout": durations, "idempotent": st.booleans()},
        ),
    },
    optional={
        "smoke": st.lists(checks, max_size=2),
        "shift": st.fixed_dictionaries({"steps": steps}, optional={"wait": durations | st.just("approve")}),
        "failback": st.fixed_dictionaries({}, optional={"steps": steps, "minimum": minimums, "wait": durations}),
        "keep_warm": durations,
        "bake": durations,
    },
).map(Service.model_validate)


@given(services)
def test_a_service_that_was_written_down_reads_back_exactly(service):
    text = service_json(service)
    again = service_from_json(text)
    assert again == service
    assert list(again.environments) == list(service.environments)
    assert service_json(again) == text
    assert "\n" not in text


def test_the_shipped_services_read_back_exactly():
    for service in load(CONFIG / "bluegreen.yaml").services.values():
        assert service_from_json(service_json(service)) == service


def test_what_is_written_down_is_in_the_words_of_a_user(tmp_path):
    service = load(write(tmp_path, SERVICE + "shift: {steps: [0.5%, 100%], wait: approve}\nbake: 90s\n")).services[
        "web"
    ]
    text = service_json(service)
    assert '"shift":{"steps":["0.5%","100%"],"wait":"approve"}' in text
    assert '"bake":"90s"' in text


def test_secrets_are_written_down_as_references(tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter2")
    service = load(write(tmp_path, SERVICE + "  variables: {API_TOKEN: '${env:API_TOKEN}'}\n")).services["web"]
    assert isinstance(service.deploy, CommandDeploy)
    assert "${env:API_TOKEN}" in service_json(service)
    assert "hunter2" not in service_json(service)


def test_the_hash_is_that_of_the_text_and_moves_with_it(tmp_path):
    one = service_json(load(write(tmp_path)).services["web"])
    other = service_json(load(write(tmp_path, SERVICE + "bake: 1s\n")).services["web"])
    assert config_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert config_hash(one) != config_hash(other)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"service": "web", "future": 1}'])
def test_a_record_that_this_program_cannot_read_is_a_fault(text):
    with pytest.raises(ConfigError, match="the configuration on record"):
        service_from_json(text)
