"""When two JSON values are the same, as an http check compares them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.checks.http import same

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_every_json_value_is_the_same_as_itself(value: Any):
    assert same(json.loads(json.dumps(value)), value)


@given(_JSON, _JSON)
def test_two_values_are_the_same_only_where_json_says_so(found: Any, wanted: Any):
    as_text = isinstance(wanted, str) and isinstance(found, int | float) and json.dumps(found) == wanted
    if same(found, wanted) and not as_text:
        assert _plain(found) == _plain(wanted)


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (1, True, False), (True, 1, False), (False, 0, False), (True, "true", False), (1, 1.0, True),
        (1.5, "1.5", True),
        ("1", 1, False), (1, "1", True), (None, "null", False), (None, False, False), ("", None, False),
        ([1], ["1"], True), ([True], [1], False), ({"a": [1]}, {"a": [True]}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ([1, 2], [2, 1], False), ({"b": 1, "a": 2}, {"a": 2, "b": 1}, True),
    ],
)  # fmt: skip
def test_equality_is_that_of_json_but_for_numbers_wanted_as_text(found: Any, wanted: Any, expected: bool):
    assert same(found, wanted) is expected


def _plain(value: Any) -> Any:
    """With every number and truth value told apart; numbers wanted as text are texts."""
    match value:
        case bool() | None:
            return repr(value)
        case int() | float():
            return json.dumps(value) if value != int(value) else str(int(value))
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case _:
            return value
