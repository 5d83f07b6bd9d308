"""Ends the daemon at each named failpoint of a deployment, of a failback and of a recovery; the next life must go on.

One ending is one `Place`: a scenario, a failpoint, and how often it is passed. The client asks once more with the same
Idempotency-Key after each death, as a client would whose answer was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bluegreen.model import WHOLE
from tests.faults.door import Away, Document, Door
from tests.faults.nursery import Life, Nursery
from tests.kills.autopsy import Tally, autopsy, said
from tests.kills.stage import Stage

SCENARIOS = ("deployment", "failback", "recovery")
MIXED = "balancer.write.after=kill@1"
"""How the life before a recovery ends: one switch point has its new weights, unrecorded; the other has its old ones."""
FIRST_SIGHT = "journal.Baseline"
"""Passed in the first life of a journal only."""
STATE_LIVES = 40
"""After so many lives the journal is begun anew."""
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for, and asks again where no answer came: one key, one body."""

    key: str
    body: dict[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """The `nth` passing of `point` in the scenario."""

    scenario: str
    point: str
    nth: int

    def __str__(self) -> str:
        return f"{self.scenario} {self.point}@{self.nth}"


class Harness:
    """One HAProxy, one traffic, many lives. `action` is what happens at a place: kill, or term."""

    def __init__(self, there: Stage, nursery: Nursery, action: str) -> None:
        self.there, self.tally = there, Tally()
        self._nursery, self._door, self._action = nursery, Door(there.socket), action
        self._lives, self._read, self._new = 0, 0, Request("", {})

    async def places(self, seldom: int) -> list[Place]:
        """Every place of a run in which nothing happens; of a point that is passed more than `seldom` times (what is
        looked at again and again, by the clock), only the first passing."""
        found = []
        for scenario in SCENARIOS:
            log = self.there.directory / f"passed-{scenario}"
            await self._prepare(scenario)
            life = await self._nursery.begin("", log)
            await self._begin(life, scenario)
            await self._done(life, "nothing happens")
            passed = Counter(log.read_text().split())
            found += [
                Place(scenario, point, nth)
                for point, times in passed.items()
                for nth in range(1, times + 1 if times <= seldom else 2)
            ]
        return found

    async def end_at_each(self, places: Sequence[Place]) -> None:
        """One life that ends there for each, and the one after it."""
        for place in places:
            await self._prepare(place.scenario, first=FIRST_SIGHT in place.point)
            await self._end_at(place)

    # --- one place ---

    async def _prepare(self, scenario: str, *, first: bool = False) -> None:
        """What comes before: an environment to go back to, or a life that ended with a mixed split."""
        if self._lives >= STATE_LIVES or first:
            self.there.new_state()
            self._lives, self._read = 0, 0
        self._new = Request(secrets.token_hex(8), {})
        if scenario == "deployment":
            return
        life = await self._nursery.start(MIXED if scenario == "recovery" else "")
        seen = await self._door.live()
        if scenario == "recovery":
            await self._ask("deployment")
            await life.ended()
        elif scenario == "failback" and seen["warm"] is None:
            await self._ask("deployment")
            await self._done(life, "preparing")
            self._new = Request(secrets.token_hex(8), {})
        else:
            await life.end()

    async def _end_at(self, place: Place) -> None:
        tally, what = self.tally, str(place)
        log = self.there.directory / "passed"
        log.write_text("")
        life = await self._nursery.begin(f"{place.point}={self._action}@{place.nth}", log)
        with contextlib.suppress(Away):  # it has ended, or is about to
            await self._begin(life, place.scenario)
            await self._door.ended()
            await asyncio.sleep(0.05)  # the end can be seen before its last failpoint is passed
            await self._door.look()
            tally.not_reached[place.point] += 1
            await self._done(life, what)
            return
        await self._gone(life, place)
        state = await autopsy(self.there, tally, what)
        if self._action == "term" and state.in_doubt and _sent(log.read_text().split()):
            tally.wrong.append(f"{what}: the outcome of a write was not put on record: {dict(state.in_doubt)}")
        life = await self._nursery.start()
        await said(self.there, self._door, tally, what)
        await self._begin(life, place.scenario)
        await self._done(life, what)

    async def _gone(self, life: Life, place: Place) -> None:
        """The armed life ends as it must."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        code = await life.ended(STOP_SECONDS + 5)
        took = loop.time() - began
        wanted = -signal.SIGKILL if self._action == "kill" else 0
        if code != wanted:
            self.tally.wrong.append(f"{place}: exit code {code}, wanted {wanted}")
        if self._action == "term":
            self.tally.slowest = max(self.tally.slowest, took)
        if took > STOP_SECONDS:
            self.tally.wrong.append(f"{place}: its end took {took:.1f} s")
        self.tally.kills[place.point] += 1

    async def _begin(self, life: Life, scenario: str) -> None:
        """The scenario happens in this life. Raises Away where it ends before the request was answered."""
        await self._nursery.answers(life)
        if scenario != "recovery":
            await self._door.live()
            await self._ask(scenario)

    async def _ask(self, scenario: str) -> None:
        """The request, with its key: the same one every time. Raises Away where no answer comes."""
        verb, new = ("failback" if scenario == "failback" else "deployments"), self._new
        if not new.body and verb == "failback":
            new.body.update(plan=(await self._door.plan())["plan"], reason=new.key)
        elif not new.body:
            new.body.update(version=new.key)
        answer = await self._door.post(verb, new.key, **new.body)
        if answer.status == 202:
            self.tally.acknowledged[self.there.state.name].add(answer.document["switch"]["id"])
        else:
            self.tally.wrong.append(f"{verb} {new.body}: {answer.status} {answer.document}")

    async def _done(self, life: Life, what: str) -> None:
        """The switch ends by itself, everything is on one side, and one request led to one switch. Ends the life."""
        tally = self.tally
        self._lives += 2
        switch = await self._door.ended()
        tally.ends[switch["condition"]] += 1
        if switch["condition"] != "completed":
            if not self._may_halt(switch):
                tally.halts.append(f"{what}: {switch['condition']} {switch['halt']}")
            await self._door.post("resume")
            await self._door.until(lambda seen: seen["switch"]["condition"] == "completed", "the end after a resume")
        for name, weights in (await self.there.weights()).items():
            if weights.share(switch["candidate"]) != WHOLE:
                tally.wrong.append(f"{what}: {name} shows {weights} at the end")
        entries = await self._door.events(self._read)
        self._read = entries[-1]["seq"]
        led = {one["switch"] for one in entries if self._new.key in (one["reason"], one["data"].get("version"))}
        if len(led) != 1:
            tally.wrong.append(f"{what}: one request led to {len(led)} switches")
        await life.end()

    def _may_halt(self, switch: Document) -> bool:
        """A deploy command that an orderly stop has ended: whether it runs again is a person's word (row 3)."""
        return self._action == "term" and bool(switch["halt"]) and switch["halt"]["cause"] == "interrupted"


def _sent(passed: Sequence[str]) -> bool:
    """Whether the last intent to write was followed by the write."""
    last = max((n for n, name in enumerate(passed) if name == "journal.StepStarted:set_weights.after"), default=0)
    return "balancer.write.before" in passed[last:]
