"""The balancer that moves nothing, and how balancers are opened by their kind."""

import json
import types
from pathlib import Path

import pytest

from bluegreen.aws import Sessions
from bluegreen.balancers import KINDS, Context, open_balancer
from bluegreen.balancers.memory import Fault, MemoryBalancer
from bluegreen.config.schema import ElbV2Point, HAProxyPoint, MemoryPoint
from bluegreen.errors import BlueGreenError, OutcomeUnknown, Rejected, Unreachable
from bluegreen.model import Target, TargetState, Weights

ALL_BLUE = Weights.of({"blue": 100, "green": 0})
STEP = Weights.of({"blue": 950, "green": 50})


def opened(directory: Path, **changes: object) -> MemoryBalancer:
    point = MemoryPoint.model_validate({"kind": "memory", **changes})
    balancer = open_balancer(point, Context(directory, "web", ("blue", "green"), Sessions()))
    assert isinstance(balancer, MemoryBalancer)
    return balancer


async def test_it_starts_with_everything_on_the_first_environment(tmp_path: Path) -> None:
    assert await opened(tmp_path).read() == ALL_BLUE


async def test_it_starts_as_configured(tmp_path: Path) -> None:
    assert await opened(tmp_path, weights={"green": 3, "blue": 1}).read() == Weights.of({"blue": 1, "green": 3})


async def test_what_was_written_wins_over_the_configuration_after_a_restart(tmp_path: Path) -> None:
    await opened(tmp_path, name="edge").write(ALL_BLUE, STEP)
    again = opened(tmp_path, name="edge", weights={"blue": 1, "green": 9})
    assert await again.read() == STEP
    assert json.loads((tmp_path / "memory-web-edge.json").read_text()) == dict(STEP)
    assert [file.name for file in tmp_path.iterdir()] == ["memory-web-edge.json"]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"blue": "many"}', '{"blue": -1}', '{"blue": null}'])
async def test_a_broken_file_is_told_and_never_taken_for_weights(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory-web-memory.json").write_text(text)
    with pytest.raises(Unreachable, match="remove it to begin anew"):
        await opened(tmp_path).read()
    assert [finding.ok for finding in await opened(tmp_path).examine()] == [False]


async def test_a_write_that_cannot_be_kept_changed_nothing(tmp_path: Path) -> None:
    balancer = opened(tmp_path / "gone")
    with pytest.raises(Unreachable, match="cannot be written"):
        await balancer.write(ALL_BLUE, STEP)
    assert await balancer.read() == ALL_BLUE
    assert balancer.writes == []


async def test_an_environment_that_it_does_not_have_is_refused(tmp_path: Path) -> None:
    balancer = opened(tmp_path)
    with pytest.raises(Rejected, match="no environment red"):
        await balancer.write(ALL_BLUE, Weights.of({"blue": 1, "red": 1}))
    assert await balancer.read() == ALL_BLUE


async def test_a_fault_before_the_effect_changes_nothing_and_strikes_once(tmp_path: Path) -> None:
    balancer = opened(tmp_path)
    balancer.faults.append(Fault("write", OutcomeUnknown("lost")))
    with pytest.raises(OutcomeUnknown):
        await balancer.write(ALL_BLUE, STEP)
    assert await balancer.read() == ALL_BLUE
    await balancer.write(ALL_BLUE, STEP)
    assert await balancer.read() == STEP


async def test_a_fault_after_the_effect_hides_a_change_that_was_made(tmp_path: Path) -> None:
    balancer = opened(tmp_path)
    balancer.faults.append(Fault("write", OutcomeUnknown("lost"), after_effect=True))
    with pytest.raises(OutcomeUnknown):
        await balancer.write(ALL_BLUE, STEP)
    assert await balancer.read() == STEP


async def test_faults_wait_for_their_operation(tmp_path: Path) -> None:
    balancer = opened(tmp_path)
    balancer.faults.extend([Fault("read", Unreachable("gone")), Fault("targets", Unreachable("gone"))])
    await balancer.write(ALL_BLUE, STEP)
    with pytest.raises(Unreachable):
        await balancer.read()
    with pytest.raises(Unreachable):
        await balancer.targets()
    assert set(await balancer.targets()) == {"blue", "green"}


async def test_targets_are_healthy_unless_told_otherwise(tmp_path: Path) -> None:
    balancer = opened(tmp_path)
    assert (await balancer.targets())["green"] == (Target("green", TargetState.HEALTHY, in_flight=0),)
    ill = Target("green", TargetState.UNHEALTHY, "on fire")
    balancer.set_targets("green", (ill,))
    assert (await balancer.targets())["green"] == (ill,)


# --- opening ---


@pytest.mark.parametrize(
    ("point", "name"),
    [
        (MemoryPoint(kind="memory", name="edge"), "edge"),
        (
            HAProxyPoint(kind="haproxy", socket="/s", backend="web", servers={"blue": ["b"], "green": ["g"]}),
            "haproxy-web",
        ),
        (
            ElbV2Point(
                kind="elbv2", region="eu-west-1", rule="arn:x/rule-1", target_groups={"blue": "b", "green": "g"}
            ),
            "elbv2-eu-west-1-rule-1",
        ),
    ],
)
async def test_every_kind_is_opened_by_its_name_and_contacts_nothing(
    tmp_path: Path, point: MemoryPoint | HAProxyPoint | ElbV2Point, name: str
) -> None:
    balancer = open_balancer(point, Context(tmp_path, "web", ("blue", "green"), Sessions()))
    assert (balancer.kind, balancer.point) == (point.kind, name)
    assert balancer.settle >= 0
    assert list(tmp_path.iterdir()) == []
    await balancer.close()


def test_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    stranger = types.SimpleNamespace(kind="istio", name="x")
    with pytest.raises(BlueGreenError, match="'istio'; known: memory, haproxy, elbv2"):
        open_balancer(stranger, Context(tmp_path, "web", ("blue", "green"), Sessions()))  # type: ignore[arg-type]
    assert set(KINDS) == {"memory", "haproxy", "elbv2"}
