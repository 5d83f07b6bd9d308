"""A look at all switch points of a service at once: a reading, not a state. What it means is for `core.drift`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bluegreen.core import events as ev
from bluegreen.core.drift import judge, unreadable
from bluegreen.core.notes.silence import Unread, news
from bluegreen.core.state import ServiceState
from bluegreen.errors import BalancerError, NotWritten, Rejected
from bluegreen.model import Target, TargetState, Weights
from bluegreen.ports import Balancer, Ports
from bluegreen.steps import looks

LOOK_SECONDS_MAX = 5.0
"""The longest that a look at one switch point may take: a person's command line waits ten seconds for an answer."""
ANSWER_SECONDS = 2.0
"""How long a person who asks is kept waiting by what is under way at a balancer that does not answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a switch point showed: `weights` None and `error` set where it could not be read. `wrong`: the balancer
    answered, and says for certain that the weights are not there as configured (the listener is gone)."""

    at: datetime
    weights: Weights | None
    targets: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    error: str = ""
    wrong: bool = False

    def share(self, environment: str) -> int:
        """The environment's share in tenths of a percent, as shown."""
        return self.weights.share(environment) if self.weights is not None else 0

    def healthy(self, environment: str) -> int:
        """How many of the environment's targets are healthy."""
        return sum(target.state is TargetState.HEALTHY for target in self.targets.get(environment, ()))


@contextlib.asynccontextmanager
async def in_turn(lock: asyncio.Lock, patience: float | None) -> AsyncIterator[bool]:
    """Wait for the lock, so many seconds at the most (None: as long as it takes). Gives whether it is held."""
    try:
        async with asyncio.timeout(patience):
            await lock.acquire()
    except TimeoutError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


async def again_and_again(observe: Callable[[], Awaitable[None]], every: float, doubted: asyncio.Event) -> None:
    """Until cancelled: a look, and the next one so many seconds later, or at once where what it shows is doubted."""
    while True:
        doubted.clear()
        with contextlib.suppress(NotWritten):  # said by the store's trouble; the next look sees the same
            await observe()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every):  # wait_for loses a cancellation that comes with the event
                await doubted.wait()


async def look(ports: Ports, now: datetime) -> dict[str, Seen]:
    """Weights and targets of every switch point; what cannot be read is there with its error."""

    async def one(balancer: Balancer) -> Seen:
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                return Seen(now, await balancer.read(), await balancer.targets())
        except TimeoutError:
            raise BalancerError(f"no answer within {LOOK_SECONDS_MAX:g} s") from None
        except BalancerError:
            raise
        except Exception as error:  # a defect in one driver must not end the daemon: what it shows is unknown
            what = f"a defect of bluegreen itself: {type(error).__name__}: {error}"
            raise BalancerError(what, "please report it") from error

    seen = await looks.at_all(ports.balancers, one)
    return {
        name: Seen(now, None, error=str(one), wrong=isinstance(one, Rejected))
        if isinstance(one, BalancerError)
        else one
        for name, one in seen.items()
    }


class Past:
    """What earlier looks of this process showed, and what a new one means beside them."""

    def __init__(self) -> None:
        self._began = 0.0
        self._wrote: dict[str, float] = {}
        self._last: dict[str, tuple[Weights, datetime]] = {}
        self._unread: dict[str, Seen] = {}
        self._since: dict[str, float] = {}

    def begins(self, now: float) -> None:
        """This process starts: another one may have written a moment ago."""
        self._began = now

    def judge(
        self, state: ServiceState, seen: Mapping[str, Seen], balancers: Mapping[str, Balancer], now: float
    ) -> Sequence[ev.Event]:
        """The events that a look leads to. `now` is monotonic: a clock that is put right makes nothing late."""
        wrong = {name: one.error for name, one in seen.items() if one.wrong}
        for name, one in seen.items():
            if one.weights is not None:
                self._unread.pop(name, None)
            elif name not in self._unread:
                self._unread[name], self._since[name] = one, now
        shown = {name: self._proven(state, name, one, balancers[name].settle, now) for name, one in seen.items()}
        events = (*self._silences(state, seen, now), *judge(state, shown, wrong, self._good_at(state)))
        for name, one in seen.items():
            expected = state.points.get(name)
            if one.weights is not None and (expected is None or one.weights.same_split(expected.native)):
                self._last[name] = (one.weights, one.at)
        if any(isinstance(event, ev.Halted) for event in events):
            return events
        since = {name: one.at for name, one in self._unread.items() if name in seen}
        return (*events, *unreadable(state, since, {name: now - self._since[name] for name in since}))

    def read_back(self, seen: Mapping[str, Seen], entry: ev.Entry, now: float) -> dict[str, Seen]:
        """A balancer that was just read back has been seen."""
        event = entry.event
        if isinstance(event, ev.WeightsSet | ev.WeightsUnchanged | ev.Restored | ev.RestoreUnmade):
            self._wrote[event.point] = now
        if not isinstance(event, ev.WeightsSet | ev.Restored):
            return dict(seen)
        self._last[event.point] = (event.weights, entry.record.at)
        if event.point not in seen:
            return dict(seen)
        fresh = replace(seen[event.point], at=entry.record.at, weights=event.weights, error="", wrong=False)
        return {**seen, event.point: fresh}

    def _silences(self, state: ServiceState, seen: Mapping[str, Seen], now: float) -> Sequence[ev.Event]:
        """What gives no reading for long, and what does again."""
        answering = [name for name, one in seen.items() if one.weights is not None or one.wrong]
        unread = {
            name: Unread(self._unread[name].at, now - self._since[name], one.error)
            for name, one in seen.items()
            if name not in answering
        }
        return news(state.notes.silence, unread, answering)

    def _proven(self, state: ServiceState, point: str, seen: Seen, settle: float, now: float) -> Weights | None:
        """What a look proves: nothing but agreement, as long as it may lag behind a write of ours or of a process
        before this one."""
        known, age = state.points.get(point), now - self._wrote.get(point, self._began)
        if seen.weights is None or known is None or age >= settle or seen.weights.same_split(known.native):
            return seen.weights
        return None

    def _good_at(self, state: ServiceState) -> dict[str, datetime]:
        """When each point last showed what is expected of it now."""
        return {
            name: at
            for name, (weights, at) in self._last.items()
            if name in state.points and weights.same_split(state.points[name].native)
        }
