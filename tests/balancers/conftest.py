"""One rig for each kind of balancer: what the contract suite needs to see and to do from outside.

A new kind joins the suite by an entry in RIGS.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluegreen.balancers.memory import MemoryBalancer
from bluegreen.model import Weights
from bluegreen.ports import Balancer
from tests.balancers.haproxy_rig import BINARIES, TWO_EACH, stage


@dataclass(frozen=True)
class Rig:
    """A balancer of environments blue and green, all traffic on blue, every target healthy."""

    balancer: Balancer
    look: Callable[[], Awaitable[Weights]]
    """The weights as they are, by an eye of the rig's own."""
    change_behind: Callable[[Mapping[str, int]], Awaitable[None]]
    """Change the weights by another hand."""
    break_: Callable[[], Awaitable[None]]
    """From now on the balancer cannot be reached."""


Opened = Callable[[Path, pytest.FixtureRequest], AbstractAsyncContextManager[Rig]]


@contextlib.asynccontextmanager
async def memory_rig(directory: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    file = directory / "memory.json"
    balancer = MemoryBalancer("edge", ("blue", "green"), file, None)
    balancer.set_weights({"blue": 100, "green": 0})

    async def look() -> Weights:
        return Weights.of(json.loads(file.read_text()))

    async def change_behind(weights: Mapping[str, int]) -> None:
        file.write_text(json.dumps(dict(weights)))

    async def break_() -> None:
        file.write_text("no JSON")

    yield Rig(balancer, look, change_behind, break_)


def haproxy_rig(kind: str) -> Opened:
    @contextlib.asynccontextmanager
    async def rig(directory: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
        # one thread: what `look` sees is then one instant, not two halves of two
        async with stage(directory, kind, TWO_EACH, threads=1) as there:
            await there.healthy()
            yield Rig(there.balancer(timeout="2s"), there.weights, there.set_weights, there.end)

    return rig


@contextlib.asynccontextmanager
async def elbv2_rig(directory: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    from bluegreen.aws import Sessions  # boto3 and moto are heavy: only this rig's tests pay for them
    from bluegreen.balancers.elbv2 import ElbV2Balancer
    from tests.balancers.aws_rig import FaultProxy, Site, dummy_credentials, emptied

    sessions = Sessions(reads_per_second=10_000)
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        dummy_credentials(patch)
        url = emptied(request.getfixturevalue("moto"))
        proxy = contextlib.ExitStack()
        stack.callback(proxy.close)
        through = proxy.enter_context(FaultProxy(url)).url
        site = stack.enter_context(Site(url))
        place = site.place("alb-listener")

        async def look() -> Weights:
            return Weights.of(site.weights(place))

        async def change_behind(weights: Mapping[str, int]) -> None:
            site.set_weights(place, weights["blue"], weights["green"])

        async def break_() -> None:
            proxy.close()

        point = place.point(endpoint_url=through, timeout="5s", settle="5s")
        try:
            yield Rig(ElbV2Balancer(point, "edge", ("blue", "green"), sessions), look, change_behind, break_)
        finally:
            await sessions.close()


RIGS: dict[str, Opened] = {
    "memory": memory_rig,
    "wheel": haproxy_rig("wheel"),
    "debian": haproxy_rig("debian"),
    "elbv2": elbv2_rig,
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of an AWS that is none; begun with the first test that wants it."""
    from tests.balancers.aws_rig import moto_server

    with moto_server() as url:
        yield url


@pytest.fixture(params=["memory", *BINARIES, "elbv2"])
async def rig(request: pytest.FixtureRequest, short: Path) -> AsyncIterator[Rig]:
    """Each kind in turn."""
    async with RIGS[request.param](short, request) as rig:
        yield rig


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> str:
    """HAProxy of the wheel and of Debian."""
    return str(request.param)
