"""The one loop: decide, write down the intent, act, write down the outcome, apply, publish. One engine per service.

The journal is the state: `state` is its fold and nothing else is kept beside it (`seen` is what the balancers showed at
the last look, `readiness` what is proven of the way back: readings, not a state). Invariants:
* nothing is done before its intent is durable, nothing is believed before its outcome is (law 3);
* decisions and admissions are made under one lock, on the newest state (law 6); what happened and found no room in the
  journal is owed to it, and comes before anything else;
* from the last look before a write until its outcome, nobody else reads the balancers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bluegreen import hands
from bluegreen.book import Book, keep_nothing
from bluegreen.cards import CardKeeper
from bluegreen.core import admit as ad
from bluegreen.core import events as ev
from bluegreen.core import receipts
from bluegreen.core import steps as st
from bluegreen.core.decide import next_step
from bluegreen.core.readiness import Readiness
from bluegreen.core.requests import Ask, asked_before
from bluegreen.core.state import Drift, OpenStep, ServiceState, Switch
from bluegreen.errors import NotWritten, Refused, Rejected
from bluegreen.freezes import Freezes
from bluegreen.gathering import Gathering
from bluegreen.life import beating
from bluegreen.model import Cause, Condition, Finding, Phase
from bluegreen.observe import ANSWER_SECONDS, Past, Seen, again_and_again, in_turn, look
from bluegreen.ports import Clock, Ports, Publish, Setup, Store, Workshop
from bluegreen.running import STOP_SECONDS, Running
from bluegreen.steps import deploy, looks, restore, shift, trace
from bluegreen.toolbox import Toolbox

ROOM_SECONDS = 2.0
"""How often an append is tried again that found no room."""


class ServiceEngine:
    """Runs one service: `start`, `take_over`, then `run` in a TaskGroup; `submit` at any time; `stop` ends `run`."""

    def __init__(
        self,
        setup: Setup,
        store: Store,
        clock: Clock,
        workshop: Workshop,
        publish: Publish,
        new_id: Callable[[], str],
        observe_every: float,
        card: CardKeeper | None = None,
        keepers: Sequence[Callable[[ServiceEngine], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._tools = Toolbox(setup, workshop)
        self.seen: dict[str, Seen] = {}
        self.readiness: dict[str, Readiness] = {}
        self.gathering: Gathering | None = None
        self.freezes = Freezes()
        self.alone = False  # in an operator's process, without a daemon: a failback that is done waits for a person
        self.card, self._keepers, self._past = card, keepers, Past()
        keep = card.keep if card else keep_nothing
        self.book = Book(setup.service, store, clock, publish, new_id, keep, self._note)
        self._store, self._clock, self._workshop = store, clock, workshop
        self.new_id, self._observe_every = new_id, observe_every
        self._lock, self._balancers = asyncio.Lock(), asyncio.Lock()
        self._wake, self._looked, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._doubted = asyncio.Event()
        self._running = Running(clock, self._wake, lambda: self.state)
        self.signs, self.recent = self._running.signs, self._running.recent

    # --- the way in ---

    async def start(self) -> None:
        """Restore the state from the journal. Changes nothing."""
        self._past.begins(asyncio.get_running_loop().time())
        await self.book.restore()

    async def take_over(self) -> None:
        """Go on where another process ended: what it had under way without an outcome is unknown from here on."""
        if self.state.open_switch is not None:
            async with self._lock:
                with contextlib.suppress(NotWritten):  # it stays owed, and nothing moves before it is there
                    await self.book.owe(ev.Restarted(os.getpid()))

    async def submit(self, request: ad.AnyRequest, ask: Ask) -> Switch | None:
        """Admit a request, or raise Refused; durable when this returns. Gives the switch it led to."""
        if isinstance(request, ad.Deploy):
            await self.observe(ANSWER_SECONDS)  # what the request is judged by is what the balancers show now
        if isinstance(request, ad.Failback) and self._writing():
            await self._halt_first(request, ask)
        async with self._lock:
            await self.book.settle()
            if ask.key is not None and ask.key in self.state.keys:
                return asked_before(ask, self.state)
            events = ad.admit(request, self.state, self._clock.now())
            if isinstance(request, ad.Abort) and self._deploying():
                events = (await self._end_deploy(), *events)
            await self._record(events, ask, switch=getattr(request, "switch", None))
            self._wake.set()
            return self.state.switch

    async def submit_seen(self, make: Callable[[Mapping[str, Seen]], ad.AnyRequest], ask: Ask) -> Switch | None:
        """Admit what is asked about the balancers as they are at this moment; until it is on record nobody writes."""
        async with self._balancers:
            return await self.submit(make(await self.look()), ask)

    async def note(self, make: Callable[[ServiceState], Sequence[ev.Event]], ask: Ask | None = None) -> None:
        """What is beside the switch goes on record, made from the newest state. Raises NotWritten, and what `make`
        raises. The same key again does nothing."""
        async with self._lock:
            await self.book.settle()
            if not (ask and ask.key in self.state.keys) and (events := make(self.state)):
                await self._record(events, ask)

    async def observe(self, patience: float | None = None) -> None:
        """One look at all switch points; what it means goes on record. Only a look, where for longer than `patience`
        weights are being written or looked up."""
        async with in_turn(self._balancers, patience) as undisturbed:
            seen = await self.look()
            async with self._lock:
                await self.book.settle()
                past, now = self._past, asyncio.get_running_loop().time()
                events = past.judge(self.state, seen, self.ports().balancers, now) if undisturbed else ()
                if events or self.book.jumps.seen():
                    await self._record(events)
                if events:
                    self._wake.set()
        self._looked.set()

    @property
    def state(self) -> ServiceState:
        """What the journal adds up to."""
        return self.book.state

    async def changed(self, version: int) -> None:
        """Wait until the state is newer than `version`."""
        await self.book.changed(version)

    @property
    def trouble(self) -> Finding | None:
        """What ails the journal; None where all is well."""
        return self._store.trouble

    @property
    def setup(self) -> Setup:
        """The configuration of the next switch."""
        return self._tools.setup

    def ports(self) -> Ports:
        """What the open switch works with: the configuration it started with, else the present one."""
        return self._tools.ports(self.state.open_switch)

    async def reconfigure(self, setup: Setup) -> None:
        """Use another configuration from the next switch on."""
        if setup.config_hash == self.setup.config_hash:
            return
        opened = self._workshop.open(setup)
        async with self._balancers:
            await self._tools.reopen(setup, opened, self.state.open_switch)
            self.seen = {}

    async def run(self) -> None:
        """Drive and observe until `stop`. Raises StoreError: nothing may move any more, the process must end."""
        async with asyncio.TaskGroup() as group:
            tracer = trace.Tracer(lambda: self.state, self.ports, self._clock, self._traced)
            keeping = self._tools.keep(lambda environment: self.state.may_touch(environment))
            looking = again_and_again(self.observe, self._observe_every, self._doubted)
            each = (looking, keeping, tracer.run(), *(keeper(self) for keeper in self._keepers))
            beside = [group.create_task(one) for one in each]
            await self._looked.wait()  # every balancer is read first, or found unreadable; only then is decided
            await self._drive()
            for task in beside:
                task.cancel()

    async def stop(self) -> None:
        """End `run`: looks at once, a write when its answer is on record. A deploy command goes on: the next start
        finds it, and nothing of that is on record."""
        self._stopping.set()
        self._wake.set()
        self._looked.set()
        effect = self._running.effect
        if effect is None:
            return
        if not self._writing() and not (self.state.restore and self.state.restore.writing):
            self.ports().deployer.leave()
            effect.cancel()
        await asyncio.wait({effect}, timeout=STOP_SECONDS)
        effect.cancel()

    async def close(self) -> None:
        """Let go of the ports."""
        await self._tools.close()

    # --- the loop ---

    async def _drive(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._go_on()
            except NotWritten:  # the store's `trouble` says so to everybody; nothing moves until there is room
                await self._clock.sleep(ROOM_SECONDS)

    async def _go_on(self) -> None:
        async with self._lock:
            self._wake.clear()
            if self._stopping.is_set():  # told while we waited for the lock: nobody would wake us again
                return
            if self.book.fatal is not None:
                raise self.book.fatal
            await self.book.settle()
            if self.trouble is not None:
                await self._store.writable()  # there may be room again
            step = next_step(self.state, self._clock.now(), self.trouble)
            step = self._tools.held(step, self.state.open_switch)
            if isinstance(step, st.Conclude):
                await self._record([receipts.without_daemon(self._switch(), step.event) if self.alone else step.event])
                return
            await self._begin_look(step)
        match step:
            case None | st.AwaitOperator():
                await self._rest()
            case st.Deploy():
                if await self._ready(deploy.ready(self._switch(), self.state, self._told())):
                    await self._deploy()
            case st.FindDeploy():  # its intent is on record, by another process
                await self._deployment(deploy.find(self.state, self._told(), self._running.beat))
            case st.SetWeights():
                async with self._balancers:
                    if await self._ready(shift.ready(self._switch(), self.state, self._told())):
                        await self._set_weights(step)
            case st.Restore() | st.LookUpRestore():
                await self._restore(step)
            case _:
                await self._look_on(step)

    async def _rest(self) -> None:
        """Nothing is to be done before somebody asks for something."""
        if self.state.open_switch is None:
            await self._tools.retire()
        await self._wake.wait()

    async def _begin_look(self, step: st.Step | None) -> None:
        """Looks have an intent, too: where one never ends, the journal says what it was."""
        if (phase := hands.phase_of(step)) is not None:
            await self._record([ev.StepStarted(phase)])

    async def _ready(self, looking: Coroutine[Any, Any, ev.Halted | None]) -> bool:
        """The last look before an effect. False: it found something, or a person has asked for something meanwhile."""
        look = await self._running.undisturbed(looking)
        if look is None:
            return False
        async with self._lock:
            if (halt := look.result()) is not None and not self._wake.is_set():
                await self._record([halt])
            return halt is None

    async def _deploy(self) -> None:
        """Intent, effect, outcome; the outcome goes on record, whatever is asked for meanwhile."""
        async with self._lock:
            if self._wake.is_set():
                return
            await self._record([ev.StepStarted(Phase.DEPLOY)])
        await self._deployment(deploy.run(self._switch(), self._told(), self._running.beat))

    async def _deployment(self, hand: Coroutine[Any, Any, ev.Event]) -> None:
        outcome = await self._effective(hand)
        async with self._lock:
            if outcome is None and self._stopping.is_set():
                return  # it goes on without us, and the next start finds it
            if self._open_step() is not None:  # else an abort has ended it and put that on record
                await self.book.owe(outcome or deploy.ended(self._switch()))

    async def _set_weights(self, step: st.SetWeights) -> None:
        """Intent, effect, outcome. From the last look on nobody else reads: nobody takes our own write for drift, and
        nobody sees something worse than what it is made on."""
        async with self._lock:
            if self._wake.is_set():
                return
            try:
                target = self.ports().balancers[step.point].native(step.split)
            except Rejected as refusal:
                why, cause = str(refusal), Cause.BALANCER_REFUSED
                await self._record([looks.halted(self._switch(), cause, summary=why, closes_step=False)])
                return
            await self._record([ev.StepStarted("set_weights", step.point, step.expected, target, step.split)])
        hand = shift.run(step, target, self._switch(), self.state, self._told(), self._clock, self._wanted)
        if (outcome := await self._effective(hand)) is not None:  # None: we are ending; the next start looks it up
            async with self._lock:
                await self.book.owe(outcome)

    async def _restore(self, step: st.Restore | st.LookUpRestore) -> None:
        """What an operator ordered beside a switch, or without one. While it writes, nobody else reads."""
        writes, target = isinstance(step, st.Restore), None
        async with self._balancers if writes else contextlib.nullcontext():
            if isinstance(step, st.Restore):
                async with self._lock:
                    if self._wake.is_set():
                        return
                    intent = restore.intent(step, self.state, self.ports())
                    target = intent.target
                    await self._record([intent])
            outcome = await self._effective(restore.hand(step, target, self._told(), self._clock))
            async with self._lock:
                if outcome is not None and step.point in self.state.in_doubt:  # else it left the configuration
                    await self.book.owe(outcome)

    async def _effective(self, hand: Coroutine[Any, Any, ev.Event]) -> ev.Event | None:
        return await self._running.to_its_outcome(hand, self.ports().deployer.leave)

    async def _look_on(self, step: st.Step) -> None:
        """A look: cut short when a person asks for something, and begun anew; only an undisturbed outcome counts."""
        async with self._balancers if isinstance(step, st.LookUp) else contextlib.nullcontext():
            hand = hands.look(step, self._switch(), self.state, self._told(), self._store, self._clock)
            look = await self._running.undisturbed(hand)
            async with self._lock:
                if look is not None and not self._wake.is_set():
                    await self._record([look.result()])

    def _wanted(self) -> bool:
        return self._switch().condition is Condition.RUNNING and not self._stopping.is_set()

    def _told(self) -> Ports:
        """The open switch's ports, which tell of every answer that the step gets."""
        running = self._running
        return replace(beating(self.ports(), running.beat), readiness=running.still_proven(self.readiness))

    async def _traced(self, drift: Drift, event: ev.DriftTraced) -> None:
        await self.note(lambda now: [event] if (of := now.drift.get(drift.point)) and of.id == drift.id else [])

    async def look(self) -> dict[str, Seen]:
        """One look at all switch points; nothing goes on record."""
        self.seen = await look(self.ports(), self._clock.now())
        return self.seen

    # --- writing down ---

    async def _record(self, events: Sequence[ev.Event], ask: Ask | None = None, switch: str | None = None) -> None:
        """Apply, append, publish, keep the card. Called with the lock held."""
        await self.book.record(events, ask, switch)

    def _note(self, entry: ev.Entry | None) -> None:
        """What is on record is known; None: what is, is not known any more, and the loop has to end."""
        if entry is None:
            self._wake.set()
        else:
            if isinstance(entry.event, ev.Halted) and entry.event.cause is Cause.DRIFT:
                self._doubted.set()  # the drift itself goes on record at once, for whoever answers the halt
            self.seen = self._past.read_back(self.seen, entry, asyncio.get_running_loop().time())

    def _switch(self) -> Switch:
        switch = self.state.open_switch
        if switch is None:
            raise AssertionError("a step without an open switch")
        return switch

    def _open_step(self) -> OpenStep | None:
        return switch.open if (switch := self.state.open_switch) else None

    def _writing(self) -> bool:
        return self._running.effect is not None and (step := self._open_step()) is not None and step.point is not None

    def _deploying(self) -> bool:
        """Also by another process: a deployment that may still run."""
        step = self._open_step()
        return step is not None and step.step == Phase.DEPLOY and (self._running.effect is not None or step.unknown)

    async def _halt_first(self, request: ad.Failback, ask: Ask) -> None:
        """A failback during a write: stop the line, wait for the write's outcome; only then is the failback judged."""
        async with self._lock:
            if ask.key in self.state.keys:
                return  # asked before: it may be the very switch that writes
            ad.admit(request, self.state, self._clock.now())  # what is refused anyway stops nothing
            switch = self.state.open_switch
            if switch is not None and switch.condition is not Condition.HALTED:
                why = f"stopped for a failback: {ask.reason}"
                stopped = looks.halted(switch, Cause.OPERATOR, summary=why, closes_step=False)
                await self._record([stopped], replace(ask, key=None, digest=None))
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._balancers:  # held until the outcome is on record
                return
        except TimeoutError:
            what = f"{self.state.service} is halted, but a write that is under way has no answer yet"
            raise Refused(what, "ask again in a few seconds: its outcome is awaited, then looked up") from None

    async def _end_deploy(self) -> ev.Event:
        """An abort ends a deploy command that runs, another process's too. The lock is held. Raises Refused."""
        found = deploy.find(self.state, self._told(), self._running.beat)
        ended = deploy.ended(self._switch(), left := await deploy.left_over(self._running.end(found, STOP_SECONDS)))
        if left:
            await self._record([ended])  # something of it may still run
            raise Refused(f"nothing was aborted: {ended.summary}", ended.advice)
        return ended
