"""Reading YAML: plain values with their lines, within limits; everything else is a fault with its line."""

from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.config.yaml import BYTES_MAX, DEPTH_MAX, read, spell

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n" for before, after in zip("abcdefg", "bcdefgh", strict=True)
)


def content(tmp_path: Path, text: str) -> dict[str, object]:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    document, faults = read(file)
    assert faults == ()
    assert document is not None
    return document.content


def faults(tmp_path: Path, text: str | bytes) -> list[str]:
    file = tmp_path / "x.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in read(file)[1]]


def test_words_times_dates_and_octals_stay_text(tmp_path):
    text = "on: yes\noff: no\ntime: 12:30:00\nday: 2024-01-01\nmode: 0660\nhex: 0x1F\nlow: 1_000\n"
    assert content(tmp_path, text) == {
        "on": "yes",
        "off": "no",
        "time": "12:30:00",
        "day": "2024-01-01",
        "mode": "0660",
        "hex": "0x1F",
        "low": "1_000",
    }


def test_numbers_booleans_and_nothing_are_read(tmp_path):
    assert content(tmp_path, "a: 5\nb: -2.5\nc: true\nd: False\ne:\nf: ~\ng: 1e3\n") == {
        "a": 5,
        "b": -2.5,
        "c": True,
        "d": False,
        "e": None,
        "f": None,
        "g": 1000.0,
    }


def test_a_fraction_keeps_its_text(tmp_path):
    assert str(content(tmp_path, "version: 1.10\n")["version"]) == "1.10"


def test_the_process_wide_loader_keeps_its_own_words(tmp_path):
    content(tmp_path, "on: yes\n")
    assert pyyaml.safe_load("a: yes") == {"a": True}


def test_aliases_are_followed(tmp_path):
    assert content(tmp_path, "a: &x {k: [1]}\nb: *x\n") == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_a_byte_order_mark_is_no_text(tmp_path):
    assert content(tmp_path, "\ufeffa: b\n") == {"a": "b"}


def test_lines_are_those_of_keys_and_items(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a:\n  b:\n    - 1\n    -\n      c: 2\n")
    document, _ = read(file)
    assert document is not None
    places = [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1, "c"), ("a", "b", 1, "missing"), ()]
    assert [document.line(place) for place in places] == [1, 2, 3, 5, 5, 1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1\nb: {c: 1, c: 2}\na: 3\n", ["x.yaml:2: b.c: given twice, first on line 2; wanted once"]),
        ("a: 1\nb: 2\na: 3\n", ["x.yaml:3: a: given twice, first on line 1; wanted once"]),
        ("a:\n\t- b\n", ["x.yaml:2: (file): a tab stands here; wanted spaces"]),
        ("a: b: c\n", ["x.yaml:1: (file): this is not YAML: mapping values are not allowed here"]),
        ("a: [1,\nb\n", ["x.yaml:3: (file): this is not YAML: expected ',' or ']'"]),
        ("a: *nobody\n", ["x.yaml:1: (file): this is not YAML: found undefined alias 'nobody'"]),
        (b"a: 1\nb: \xff\n", ["x.yaml:2: (file): the file is not UTF-8; save it as UTF-8"]),
        ("", ["x.yaml:1: (file): the file is empty; wanted lines of `key: value`"]),
        ("# only words\n", ["x.yaml:1: (file): the file is empty; wanted lines of `key: value`"]),
        ("- a\n", ["x.yaml:1: (file): the file does not hold a mapping; wanted lines of `key: value`"]),
        ("a: 1\n---\nb: 2\n", ["x.yaml:2: (file): a second document begins here; wanted one document a file"]),
        ("a: 1\nb: \x01\n", ["x.yaml:2: (file): a control character stands here; wanted plain text"]),
        ('a: "\\UFFFFFFFF"\n', ["x.yaml:1: (file): an escape names a character that does not exist"]),
        ('a: "\\ud800"\n', ["x.yaml:1: (file): this is not YAML: half of a surrogate pair is no text"]),
        ("a: !!python/object:os.system x\n", ["x.yaml:1: a: the tag !!python/object:os.system is not read"]),
        ("a: 1\n<<: {b: 1}\n", ["x.yaml:2: (file): `<<` merges are not read; write the keys out"]),
        ("? [a]\n: b\n", ["x.yaml:1: (file): a key that is not text; wanted lines of `key: value`"]),
        ("a: 1e999\n", ["x.yaml:1: a: this number is not one that can be counted with; wanted a smaller one"]),
        ("a: &a [*a]\n", [f"x.yaml:1: (file): nested more than {DEPTH_MAX} levels deep; wanted fewer"]),
        ("a: " + "[" * 50_000, [f"x.yaml:1: (file): nested more than {DEPTH_MAX} levels deep; wanted fewer"]),
        (BOMB, ["x.yaml:1: (file): more than 20000 values once the aliases are followed; wanted fewer"]),
        ("#" * (BYTES_MAX + 1), ["x.yaml:1: (file): the file is larger than 1 MiB; wanted a smaller one"]),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, str | bytes) else "",
)
def test_what_cannot_be_read_is_a_fault_with_its_line(tmp_path, text, wanted):
    found = faults(tmp_path, text)
    assert all(one.startswith(start) for one, start in zip(found, wanted, strict=False)), found
    assert len(found) >= len(wanted)


def test_a_file_of_one_mebibyte_is_read(tmp_path):
    assert content(tmp_path, "a: 1\n#" + "x" * (BYTES_MAX - 6)) == {"a": 1}


@pytest.mark.parametrize(
    ("path", "what"),
    [("missing.yaml", "the file cannot be read: No such file or directory"), (".", "this is not a plain file")],
)
def test_what_is_no_file_is_a_fault(tmp_path, path, what):
    document, (fault,) = read(tmp_path / path)
    assert document is None
    assert what in fault.what


def test_places_are_spelled_as_a_user_writes_them():
    assert spell(("switch_points", 0, "servers", "gren")) == "switch_points[0].servers.gren"
    assert spell(("smoke", 1, "expect", "json", "a.b")) == 'smoke[1].expect.json["a.b"]'


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200),
        st.text(alphabet="ab:-[]{}&*!|>\"'#? \n\\", max_size=60),
    )
)
def test_no_text_at_all_makes_the_reader_fail(tmp_path, text):
    file = tmp_path / "any.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    document, found = read(file)
    assert document is not None or found
    assert all(fault.what for fault in found)
