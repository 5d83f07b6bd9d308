"""The driver against real HAProxy processes, the wheel's and Debian's, before real web servers."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.balancers.haproxy import HAProxyBalancer, nearest
from bluegreen.balancers.runtime_api import stat_rows
from bluegreen.config.schema import HAProxyPoint
from bluegreen.errors import Drifted, Rejected
from bluegreen.model import WHOLE, Target, TargetState, Weights
from tests.balancers.haproxy_rig import ALL_BLUE, ALL_GREEN, TWO_EACH, Relay, examined, stage
from tests.balancers.web import Client, load, until

EVERYTHING = {"blue": Weights.of({"blue": WHOLE, "green": 0}), "green": Weights.of({"blue": 0, "green": WHOLE})}
FLIPS = 50
CLIENTS = 16
ASKED = 3000
UNCHECKED = ""


def offline(servers: dict[str, list[str]]) -> HAProxyBalancer:
    point = HAProxyPoint(kind="haproxy", socket="/nowhere", backend="web", servers=servers)
    return HAProxyBalancer(point, "edge", tuple(servers))


async def target(balancer: HAProxyBalancer, environment: str = "green") -> Target:
    return (await balancer.targets())[environment][0]


async def becomes(balancer: HAProxyBalancer, state: TargetState, environment: str = "green") -> Target:
    """Wait for a target's state; gives the target."""

    async def so() -> bool:
        return (await target(balancer, environment)).state is state

    await until(so, f"{environment} becomes {state}")
    return await target(balancer, environment)


# --- native numbers ---


@pytest.mark.parametrize(
    ("green", "native"),
    [(0, (100, 0)), (5, (199, 1)), (50, (95, 5)), (250, (75, 25)), (500, (50, 50)), (WHOLE, (0, 100))],
)
def test_native_numbers_are_small_and_exact(green: int, native: tuple[int, int]) -> None:
    balancer = offline({"blue": ["b"], "green": ["g"]})
    split = Weights.of({"blue": WHOLE - green, "green": green})
    assert balancer.native(split) == Weights.of({"blue": native[0], "green": native[1]})
    assert balancer.native(split).same_split(split)


PARTS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 100)), min_size=2, max_size=4).filter(
    lambda parts: any(part for _, part in parts)
)


@given(PARTS)
def test_a_native_split_is_near_or_is_refused_and_never_loses_an_environment(parts: list[tuple[int, int]]) -> None:
    total = sum(part for _, part in parts)
    tenths = {name: part * WHOLE // total for name, (_, part) in zip("abcd", parts, strict=False)}
    tenths[max(tenths, key=lambda name: tenths[name])] += WHOLE - sum(tenths.values())
    split, counts = Weights.of(tenths), {name: count for name, (count, _) in zip("abcd", parts, strict=False)}
    balancer = offline({name: [f"{name}{i}" for i in range(count)] for name, count in counts.items()})
    best = nearest(split, counts)
    for name, count in counts.items():
        assert (best[name] > 0) == (split[name] > 0)
        assert best[name] % count == 0
        assert best[name] // count <= 256
    if max(abs(best.share(name) - split[name]) for name in counts) <= 1:
        assert balancer.native(split) == best
    else:
        with pytest.raises(Rejected, match=f"the nearest is {best}"):
            balancer.native(split)


def test_a_share_finer_than_whole_weights_is_refused_with_the_nearest() -> None:
    with pytest.raises(Rejected, match=r"the nearest is blue 99.6% green 0.4%"):
        offline({"blue": ["b"], "green": ["g"]}).native(Weights.of({"blue": 999, "green": 1}))


# --- traffic ---


async def test_weights_divide_the_answers_as_asked(short: Path, binary: str) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        await there.healthy()
        balancer = there.balancer()
        native = balancer.native(Weights.of({"blue": 950, "green": 50}))
        await balancer.write(await balancer.read(), native)
        client = Client(there.front)
        for _ in range(ASKED):
            await client.get()
        client.close()
    by_environment = Counter[str]()
    for server, count in client.answers.items():
        by_environment[server.split("-")[0]] += count
    print(f"\n{binary}: 5% of {ASKED} answers: {dict(by_environment)}, {len(client.failures)} failed")
    assert client.failures == []
    assert 0.045 * ASKED <= by_environment["green"] <= 0.055 * ASKED


async def test_requests_are_counted_by_environment(short: Path, binary: str) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        await there.healthy()
        balancer = there.balancer()
        shown = await balancer.read()
        await balancer.write(shown, balancer.native(Weights.of({"blue": 750, "green": 250})))
        before = await balancer.served()
        async with load(there.front, 1) as (client,):
            await until(lambda: asyncio.sleep(0, client.answers.total() >= 200), "two hundred answers")
        after = await balancer.served()
    given = {name: after[name] - before[name] for name in ("blue", "green")}
    answered = {name: sum(n for server, n in client.answers.items() if server.startswith(name)) for name in given}
    assert client.failures == []
    assert all(0 <= given[name] - answered[name] <= 1 for name in given), "the last one may have been cut off"


@pytest.mark.slow
@pytest.mark.xdist_group("load")
async def test_flipping_under_load_loses_no_request_and_no_connection(
    short: Path, binary: str, report_figures: Callable[[str], None]
) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        await there.healthy()
        balancer = there.balancer()
        shown = await balancer.read()
        async with load(there.front, CLIENTS) as clients:
            for flip in range(FLIPS):
                wanted = balancer.native(EVERYTHING["blue" if flip % 2 else "green"])
                await balancer.write(shown, wanted)
                shown = wanted
                await some_more_answers(clients)
    answers = sum((client.answers for client in clients), Counter[str]())
    failures = [failure for client in clients for failure in client.failures]
    connections = sum(client.connections for client in clients)
    report_figures(
        f"{binary}: {FLIPS} flips under {CLIENTS} clients: {answers.total()} requests, {len(failures)} failed, "
        f"{connections} connections, longest gap {longest_gap(clients) * 1000:.0f} ms"
    )
    assert failures == []
    assert connections == CLIENTS
    assert set(answers) == {"blue-1", "blue-2", "green-1", "green-2"}


def longest_gap(clients: list[Client]) -> float:
    """The longest time without a good answer to anybody, in seconds."""
    times = sorted(time for client in clients for time in client.times)
    return max(after - before for before, after in itertools.pairwise(times))


async def some_more_answers(clients: list[Client]) -> None:
    def answered() -> int:
        return sum(client.answers.total() + len(client.failures) for client in clients)

    wanted = answered() + 100

    async def enough() -> bool:
        return answered() >= wanted

    await until(enough, "traffic flows on")


async def test_three_environments_share_the_traffic(short: Path, binary: str) -> None:
    servers = {"blue": ["b"], "green": ["g1", "g2"], "red": ["r"]}
    async with stage(short, binary, servers) as there:
        balancer = there.balancer()
        for shares in ({"blue": 700, "green": 200, "red": 100}, {"blue": 0, "green": 500, "red": 500}):
            native = balancer.native(Weights.of(shares))
            await balancer.write(await balancer.read(), native)
            assert (await there.weights()).same_split(native)
            assert {name: native.share(name) for name in shares} == shares


async def test_raising_comes_before_lowering_in_one_line(short: Path, binary: str) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        relay = Relay(there.haproxy.socket, short / "relay.sock")
        async with relay.running():
            balancer = there.balancer(socket=str(relay.path))
            await balancer.write(await balancer.read(), Weights.of({"blue": 0, "green": 512}))
            await balancer.write(await balancer.read(), Weights.of({"blue": 380, "green": 20}))
    assert [line for line in relay.lines if line.startswith("set ")] == [
        "set server web/green-1 weight 256; set server web/green-2 weight 256; "
        "set server web/blue-1 weight 0; set server web/blue-2 weight 0",
        "set server web/blue-1 weight 190; set server web/blue-2 weight 190; "
        "set server web/green-1 weight 10; set server web/green-2 weight 10",
    ]


async def test_where_both_rise_the_one_with_traffic_rises_first(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        await there.set_weights({"blue": 0, "green": 1})  # all of it, on a small scale
        relay = Relay(there.haproxy.socket, short / "relay.sock")
        async with relay.running():
            balancer = there.balancer(socket=str(relay.path))
            await balancer.write(ALL_GREEN, Weights.of({"blue": 5, "green": 95}))
    assert relay.lines[-1] == "set server web/green-1 weight 95; set server web/blue-1 weight 5"


# --- health ---


async def test_a_server_that_dies_is_seen_and_so_is_its_return(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        balancer = there.balancer()
        await there.healthy()
        await there.webs["green-1"].stop()
        dead = await becomes(balancer, TargetState.UNHEALTHY)
        assert "L4CON" in dead.reason
        await there.webs["green-1"].start()
        await becomes(balancer, TargetState.HEALTHY)
        there.webs["green-1"].healthy = False
        ill = await becomes(balancer, TargetState.UNHEALTHY)
        assert "L7STS" in ill.reason
        assert (await target(balancer, "blue")).state is TargetState.HEALTHY
        assert (await balancer.read()).same_split(ALL_BLUE)  # health is not weight


async def test_a_server_is_not_healthy_before_its_first_check_is_over(short: Path, binary: str) -> None:
    async with stage(short, binary, options="check inter 30s", check_hangs=True) as there:
        balancer = there.balancer()

        async def under_way() -> bool:
            rows = stat_rows(await there.say("show stat"))
            return any((row["svname"], row["check_status"]) == ("blue-1", "* INI") for row in rows)

        await until(under_way, "blue's first check is under way")
        assert (await target(balancer, "blue")).state is TargetState.INITIAL
        assert (await target(balancer, "green")).state is TargetState.INITIAL  # HAProxy has not even begun with it
        there.webs["blue-1"].release.set()
        await becomes(balancer, TargetState.HEALTHY, "blue")
        assert (await target(balancer, "green")).state is TargetState.INITIAL


async def test_a_request_under_way_is_counted_where_it_is(short: Path, binary: str) -> None:
    async with stage(short, binary) as there:
        await there.healthy()
        balancer = there.balancer()
        client = Client(there.front)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.get("/slow"))
            await until(lambda: in_flight(balancer, {"blue": 1, "green": 0}), "the slow request is seen")
            await balancer.write(ALL_BLUE, ALL_GREEN)
            assert await in_flight(balancer, {"blue": 1, "green": 0})  # it stays where it is
            there.webs["blue-1"].release.set()
        await until(lambda: in_flight(balancer, {"blue": 0, "green": 0}), "blue is drained")
        client.close()
    assert client.answers == {"blue-1": 1}


async def in_flight(balancer: HAProxyBalancer, wanted: dict[str, int]) -> bool:
    return {name: targets[0].in_flight for name, targets in (await balancer.targets()).items()} == wanted


async def test_a_server_that_haproxy_does_not_check_is_asked_for_a_connection(short: Path, binary: str) -> None:
    async with stage(short, binary, options=UNCHECKED) as there:
        balancer = there.balancer()
        well = await target(balancer)
        assert (well.state, "HAProxy does not check it" in well.reason) == (TargetState.HEALTHY, True)
        await there.webs["green-1"].stop()
        ill = await target(balancer)
        assert (ill.state, "took no connection" in ill.reason) == (TargetState.UNHEALTHY, True)


@pytest.mark.parametrize(("by_hand", "state"), [("drain", TargetState.DRAINING), ("maint", TargetState.UNUSED)])
async def test_a_server_that_somebody_holds_back_counts_nothing(
    short: Path, binary: str, by_hand: str, state: TargetState
) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        await there.healthy()
        balancer = there.balancer()
        await there.set_weights({"blue": 50, "green": 50})
        await there.say(f"set server web/green-1 state {by_hand}")
        assert await balancer.read() == Weights.of({"blue": 100, "green": 50})
        assert (await target(balancer)).state is state
        assert "green-1" in (await examined(balancer))["servers"].advice
        with pytest.raises(Drifted):
            await balancer.write(Weights.of({"blue": 100, "green": 100}), Weights.of({"blue": 0, "green": 200}))


async def test_a_share_that_users_would_not_get_is_refused_and_one_that_they_get_is_written(
    short: Path, binary: str
) -> None:
    async with stage(short, binary, TWO_EACH) as there:
        balancer = there.balancer()
        await there.say("set server web/green-1 state maint")
        with pytest.raises(Rejected, match="green-1 in drain or maintenance"):
            await balancer.write(ALL_BLUE, Weights.of({"blue": 100, "green": 100}))
        await there.say("set server web/green-2 state maint")
        with pytest.raises(Rejected, match="users would get nothing"):  # 0 % for blue would be 0 % for all
            await balancer.write(ALL_BLUE, Weights.of({"blue": 0, "green": 200}))
        assert await there.weights() == Weights.of({"blue": 200, "green": 0})
        await there.say("set server web/green-2 state ready")
        await balancer.write(ALL_BLUE, Weights.of({"blue": 0, "green": 200}))  # all of it on the one that is left
        assert (await balancer.read()).same_split(ALL_GREEN)


async def test_a_server_that_was_disabled_in_the_configuration_and_made_ready_counts(short: Path, binary: str) -> None:
    async with stage(short, binary, options="disabled") as there:
        balancer = there.balancer()
        assert (await balancer.read()).total == 0
        await there.say("set server web/blue-1 state ready")
        assert (await balancer.read()).same_split(ALL_BLUE)
        client = Client(there.front)
        await client.get()
        client.close()
        assert client.answers == {"blue-1": 1}
