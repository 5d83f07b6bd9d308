"""Operators who send anything at any time, and the other hands that change the world behind the daemon's back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bluegreen.core.decide import divided
from bluegreen.core.requests import Ask
from bluegreen.core.state import Switch
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BadRequest, BlueGreenError, StoreError
from bluegreen.fleet import Fleet
from bluegreen.model import WHOLE, Actor, Condition, Weights
from tests.invariants import Law, broken
from tests.simulator.weather import Fault
from tests.simulator.world import World

SHORT = ("approve", "pause", "resume", "promote", "abort", "accept", "halt", "release", "adopt", "restore", "leave")


class People:
    """One or two operators at one daemon."""

    def __init__(self, world: World, engine: ServiceEngine, fleet: Fleet) -> None:
        self._world, self._engine, self._fleet = world, engine, fleet
        self._dice = world.dice

    async def at_work(self) -> None:
        """Ask for something now and then, sensible or not, as long as the storm lasts."""
        while not self._world.weather.over:
            await self._world.pause(25.0)
            verb = self._fancied()
            if self._world.weather.strikes(Fault.TWO_OPERATORS):
                await asyncio.gather(self.ask(verb), self.ask(self._dice.choice([verb, self._fancied()])))
            elif self._world.weather.strikes(Fault.REPEATED):
                await self._twice(verb)
            elif self._world.weather.strikes(Fault.LATE_WORD):
                await self._late(verb)
            elif self._world.weather.strikes(Fault.BY_HAND):
                await self._by_hand()
            else:
                await self.ask(verb)

    async def ask(
        self, verb: str, key: str | None = None, halt: str | None = None, plan: str | None = None
    ) -> Switch | None:
        """Ask for a verb; gives the switch it led to, None where it was refused or nothing began."""
        key = key or f"key-{next(self._world.ids)}"
        ask = Ask(Actor("uid:1000(ann)"), "as they like", key, key)
        try:
            led_to = await self._asked(verb, ask, halt, plan)
        except StoreError:
            return None  # nobody was told that it is done
        except BlueGreenError:
            return None
        if key not in self._world.laws.keys:
            broken(Law.ACKNOWLEDGED, f"{verb} was acknowledged and is not in the journal")
        if led_to is not None and verb in ("deploy", "failback"):
            self._world.acknowledged.add(led_to.id)
        return led_to

    async def _late(self, verb: str) -> None:
        """Somebody answers what they were shown a while ago: it counts while it is still so."""
        journal, key = self._world.laws.journal, f"key-{next(self._world.ids)}"
        plan = (await self._fleet.failback_plan("web")).id or None if verb == "failback" else None
        seen = (journal.last, journal.halt)
        if (journal.halt if verb != "failback" else plan) is None:
            await self.ask(verb)
            return
        self._world.laws.answers[key] = seen
        halt = journal.halt
        for verb_meanwhile in ("resume", self._fancied())[: self._dice.randrange(3)]:  # somebody else does not wait
            await self._world.pause(10.0)
            await self.ask(verb_meanwhile)
        if verb != "failback":
            verb = self._dice.choice(["resume", "abort", "pause", "deploy", verb])
        await self._world.pause(20.0)
        await self.ask(verb, key, halt, plan)

    async def _by_hand(self) -> None:
        """At a halt somebody gives the candidate a share at the balancer, says so, and lets it go on."""
        switch = self._engine.state.open_switch
        if switch is None or switch.condition is not Condition.HALTED:
            return
        first = self._dice.choice(switch.plan.points)
        for point in switch.plan.points if self._dice.random() < 0.5 else (first,):
            before = self._world.balancers[point].truth
            self._world.balancers[point].meddle(divided(before, 300, switch.candidate, switch.source))
        await self._world.pause(40.0)
        await self.ask("adopt")
        await self._world.pause(5.0)
        await self.ask("resume")

    async def _asked(self, verb: str, ask: Ask, halt: str | None, plan: str | None) -> Switch | None:
        if verb == "deploy":
            version = f"v{self._dice.randrange(100)}"
            return await self._fleet.deploy("web", version, ask, replace_warm=self._dice.random() < 0.3, halt=halt)
        if verb == "failback":
            try:
                return await self._fleet.failback("web", plan, ask)
            except BadRequest as missing:  # they read what is not safe, and go on
                return await self._fleet.failback("web", plan, ask, acknowledge=list(missing.errors), confirm="web")
        check = ""
        if verb == "accept" and (switch := self._engine.state.open_switch) is not None and switch.halt is not None:
            check = next((finding.check for finding in switch.halt.failed()), "")
        return await self._fleet.ask("web", verb, ask, check=check, halt=halt)

    async def _twice(self, verb: str) -> None:
        """A client that got no answer sends the same request again."""
        key = f"key-{next(self._world.ids)}"
        first = await self.ask(verb, key)
        await self._world.pause(10.0)
        if self._dice.random() < 0.5:  # another one's word comes between
            await self.ask(self._fancied())
        again = await self.ask(verb, key)
        if verb in ("deploy", "failback") and first is not None and again is not None and first.id != again.id:
            broken(Law.ONE_SWITCH, f"one request led to {first.id} and to {again.id}")

    def _fancied(self) -> str:
        """Mostly what makes sense, sometimes anything."""
        if self._world.weather.strikes(Fault.OPERATOR):
            return self._dice.choice([*SHORT, "deploy", "failback"])
        switch = self._engine.state.open_switch
        if switch is None:
            return self._dice.choice(["deploy", "deploy", "deploy", "failback"])
        if switch.awaiting_approval:
            return "approve"
        if switch.condition is Condition.HALTED:
            return self._dice.choice(["resume", "resume", "accept", "adopt", "restore", "failback", "abort", "deploy"])
        return "resume" if switch.condition is Condition.PAUSED else "approve"


class OtherHands:
    """Whoever else has a hand in the balancers, the targets and the clock."""

    def __init__(self, world: World) -> None:
        self._world, self._dice = world, world.dice

    async def at_work(self) -> None:
        """Meddle now and then, as long as the storm lasts."""
        acts: dict[Fault, Callable[[], Awaitable[None]]] = {
            Fault.DRIFT: self._drift,
            Fault.DRIFT_BACK: self._drift_and_back,
            Fault.ILL: self._fall_ill,
            Fault.UNREAD: self._go_away,
            Fault.CLOCK_JUMP: self._jump,
        }
        while not self._world.weather.over:
            await self._world.pause(30.0)
            for fault, act in acts.items():
                if self._world.weather.strikes(fault):
                    await act()

    async def _drift(self) -> None:
        balancer = self._world.balancers[self._dice.choice(self._world.layout.points)]
        names = self._world.layout.environments
        share = self._dice.choice([0, 70, 300, 999, WHOLE])
        first, *rest = self._dice.sample(names, len(names))
        balancer.meddle(Weights.of({**dict.fromkeys(rest[1:], 0), rest[0]: share, first: WHOLE - share}))

    async def _drift_and_back(self) -> None:
        balancer = self._world.balancers[self._dice.choice(self._world.layout.points)]
        before = balancer.truth
        await self._drift()
        await self._world.pause(25.0)
        balancer.meddle(before)

    async def _fall_ill(self) -> None:
        name = self._dice.choice(self._world.layout.environments)
        self._world.ill[name] = self._dice.randint(1, self._world.layout.targets)
        await self._world.pause(60.0)
        self._world.ill.pop(name, None)

    async def _go_away(self) -> None:
        balancer = self._world.balancers[self._dice.choice(self._world.layout.points)]
        balancer.away_until = self._world.time() + self._dice.uniform(130.0, 400.0)

    async def _jump(self) -> None:
        self._world.clock.jumped += timedelta(seconds=self._dice.choice([-86400, -3600, -30, 30, 3600, 86400]))
