"""The nouns' own arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bluegreen.model import DAEMON, WHOLE, Condition, Weights, percent
from tests.builders import weights

natives = some.dictionaries(some.sampled_from(["blue", "green", "red"]), some.integers(0, 1000), min_size=1)


@pytest.mark.parametrize(
    ("tenths", "text"), [(0, "0%"), (1, "0.1%"), (50, "5%"), (55, "5.5%"), (100, "10%"), (999, "99.9%"), (1000, "100%")]
)
def test_a_share_is_read_as_percent(tenths: int, text: str):
    assert percent(tenths) == text


def test_a_weight_is_never_negative():
    with pytest.raises(ValueError, match="never negative"):
        weights(blue=-1)


def test_weights_are_a_mapping_in_one_order():
    one, other = Weights.of({"green": 1, "blue": 2}), Weights.of({"blue": 2, "green": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert dict(one) == {"blue": 2, "green": 1}
    assert len(one) == 2
    assert "red" not in one
    with pytest.raises(KeyError):
        one["red"]


def test_weights_read_as_shares():
    assert str(weights(blue=3, green=1)) == "blue 75% green 25%"


@pytest.mark.parametrize(
    ("native", "share"),
    [({"blue": 0}, 0), ({"green": 5}, 0), ({"blue": 7, "green": 0}, WHOLE), ({"blue": 1, "green": 2}, 333),
     ({"blue": 1, "green": 99999}, 1), ({"blue": 99999, "green": 1}, 999), ({"blue": 256, "green": 256}, 500)],
)  # fmt: skip
def test_a_share_is_in_tenths_and_never_rounded_to_none_or_all(native: dict[str, int], share: int):
    assert Weights.of(native).share("blue") == share


@given(natives, some.integers(1, 50))
def test_the_scale_of_weights_has_no_meaning(native: dict[str, int], factor: int):
    scaled = Weights.of({name: weight * factor for name, weight in native.items()})
    assert scaled.same_split(Weights.of(native))
    assert all(scaled.share(name) == Weights.of(native).share(name) for name in native)


@given(natives, natives)
def test_the_same_split_is_symmetric_and_exact(one: dict[str, int], other: dict[str, int]):
    a, b = Weights.of(one), Weights.of(other)
    assert a.same_split(b) == b.same_split(a)
    parts = [{n: w / x.total for n, w in x.items() if w} if x.total else None for x in (a, b)]
    assert a.same_split(b) == (parts[0] == pytest.approx(parts[1]) if parts[0] and parts[1] else parts[0] == parts[1])


def test_no_traffic_at_all_is_like_nothing_else():
    assert weights(blue=0).same_split(weights(green=0))
    assert not weights(blue=0).same_split(weights(blue=1))
    assert not weights(blue=1).same_split(weights(blue=0))


def test_three_conditions_hold_the_service():
    assert {one for one in Condition if one.is_open} == {Condition.RUNNING, Condition.PAUSED, Condition.HALTED}


def test_an_actor_reads_as_its_name():
    assert str(DAEMON) == "daemon"
