"""The JSON Schema: it takes what the loader takes, and refuses what an editor should underline."""

import copy
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it comes with openapi-spec-validator, without types
import pytest

from bluegreen.config.document import json_schema
from bluegreen.config.yaml import read
from tests.config.files import SERVICE

CONFIG = Path(__file__).parent.parent.parent / "config"
EXAMPLES = [CONFIG / "bluegreen.yaml", *sorted(CONFIG.glob("services/*.yaml"))]
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def content(file: Path) -> dict[str, object]:
    document, _ = read(file)
    assert document is not None
    return document.content


def test_it_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_caller_cannot_change_it():
    json_schema()["$defs"].clear()
    assert json_schema()["$defs"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_it_takes_the_shipped_examples(file):
    VALIDATOR.validate(content(file))


@pytest.mark.parametrize(
    "change",
    [
        {"bake": 5},
        {"bake": "5"},
        {"smok": []},
        {"shift": {"steps": [5]}},
        {"shift": {"wait": "maybe"}},
        {"failback": {"minimum": "half"}},
        {"deploy": {"kind": "ecs"}},
        {"deploy": {"kind": "command", "run": "./deploy.sh"}},
        {"environments": {"blue": {}}},
        {"environments": {"Blue": {}, "Green": {}}},
        {"switch_points": []},
        {"switch_points": [{"kind": "elbv2", "region": "eu-west-1", "target_groups": {}}]},
        {"smoke": [{"name": "a"}]},
        {"smoke": [{"name": "a", "tcp": "h:1", "http": "http://h"}]},
    ],
    ids=str,
)
def test_it_refuses_a_broken_service(tmp_path, change):
    file = tmp_path / "web.yaml"
    file.write_text(SERVICE)
    service = content(file)
    assert VALIDATOR.is_valid(service)
    broken = copy.deepcopy(service) | change
    assert not VALIDATOR.is_valid(broken)


@pytest.mark.parametrize("daemon", [{"observe": {"every": 5}}, {"log": {"level": "loud"}}, {"contrl": {}}], ids=str)
def test_it_refuses_a_broken_daemon(daemon):
    assert not VALIDATOR.is_valid(daemon)


def test_every_default_is_in_a_users_units():
    parts = json_schema()["$defs"]
    assert parts["Health"]["properties"]["timeout"]["default"] == "300s"
    assert parts["Shift"]["properties"]["steps"]["default"] == ["100%"]
    assert parts["Shift"]["properties"]["wait"]["default"] == "0s"
    assert parts["Observe"]["properties"]["every"]["default"] == "15s"


def test_every_part_says_what_it_is():
    assert all(part["title"] and part["description"] for part in json_schema()["$defs"].values())
