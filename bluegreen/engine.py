"""The one loop: decide, write down the intent, act, write down the outcome, apply, publish. One engine per service.

The journal is the state: `state` is its fold and nothing else is kept beside it (`seen` is what the balancers showed at
the last look: a reading, not a state). Invariants:
* nothing is done before its intent is durable, nothing is believed before its outcome is (law 3);
* decisions and admissions are made under one lock, on the newest state (law 6);
* while weights are being written, nobody else reads them for drift.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bluegreen.core import admit as ad
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.decide import next_step
from bluegreen.core.drift import judge
from bluegreen.core.phases import apply
from bluegreen.core.requests import Ask
from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import AppendUnknown, BadRequest, Refused, Rejected, StoreError
from bluegreen.life import Sign, beating
from bluegreen.model import DAEMON, Cause, Condition, Phase, Weights
from bluegreen.observe import Seen, look
from bluegreen.ports import Clock, Ports, Publish, Setup, Store, Workshop
from bluegreen.steps import deploy, looks, preflight, shift, smoke, wait_healthy, watch

T = TypeVar("T")

STOP_SECONDS = 8.0
"""How long a stop waits for a write that is under way; what is not answered by then is looked up at the next start."""


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
    ) -> None:
        self.setup = setup
        self.state = ServiceState(setup.service)
        self.seen: dict[str, Seen] = {}
        self.sign: Sign | None = None
        self._store, self._clock, self._workshop, self._publish = store, clock, workshop, publish
        self.new_id, self._observe_every = new_id, observe_every
        self._started_at, self._wrote_at = 0.0, dict[str, float]()
        self._ports = workshop.open(setup)
        self._pinned: tuple[str, Ports] | None = None
        self._lock = asyncio.Lock()
        self._balancers = asyncio.Lock()
        self._wake = asyncio.Event()
        self._reopened = asyncio.Event()
        self._changed = asyncio.Condition()
        self._effect: asyncio.Task[ev.Event] | None = None
        self._stopping = False
        self._fatal: StoreError | None = None

    # --- the way in ---

    async def start(self) -> None:
        """Restore the state from the journal. Changes nothing."""
        self._started_at = asyncio.get_running_loop().time()
        for entry in await self._store.read(self.setup.service):
            self.state = apply(self.state, entry.record)

    async def take_over(self) -> None:
        """Go on where another process ended: what it had under way without an outcome is unknown from here on."""
        if self.state.open_switch is not None:
            async with self._lock:
                await self._record([ev.Restarted(os.getpid())])

    async def submit(self, request: ad.AnyRequest, ask: Ask) -> Switch | None:
        """Admit a request, or raise Refused; durable when this returns. Gives the switch it led to."""
        if isinstance(request, ad.Deploy):
            await self.observe()  # what the request is judged by is what the balancers show now
        if isinstance(request, ad.Failback) and self._writing():
            await self._halt_first(ask)
        async with self._lock:
            if ask.key is not None and ask.key in self.state.keys:
                return self._asked_before(ask)
            events = ad.admit(request, self.state, self._clock.now())
            if isinstance(request, ad.Abort) and (self._effect is not None or self._deploy_left()):
                events = (await self._end_deploy(), *events)
            await self._record(events, ask, switch=getattr(request, "switch", None))
            self._wake.set()
            return self.state.switch

    async def adopt(self, ask: Ask, halt: str | None = None) -> Switch | None:
        """Take what the balancers show at this moment for the truth. Raises Refused where one cannot be read."""
        async with self._balancers:
            seen = await self.look()
            unread = [name for name, one in seen.items() if one.weights is None]
            if unread:
                raise Refused(
                    f"{unread[0]} cannot be read: {seen[unread[0]].error}", "nothing unread is taken for true"
                )
            shown = {name: one.weights for name, one in seen.items() if one.weights is not None}
            return await self.submit(ad.Adopt(halt=halt, seen=shown), ask)

    async def observe(self) -> None:
        """One look at all switch points; what it means goes on record."""
        async with self._balancers:
            shown = {name: self._judged(name, one) for name, one in (await self.look()).items()}
            async with self._lock:
                events = judge(self.state, shown)
                if events:
                    await self._record(events)
                    self._wake.set()

    async def changed(self, version: int) -> None:
        """Wait until the state is newer than `version`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.version > version)

    def ports(self) -> Ports:
        """What the open switch works with: the configuration it started with, else the present one."""
        switch = self.state.open_switch
        if switch is None or switch.config_hash == self.setup.config_hash:
            return self._ports
        if self._pinned is None or self._pinned[0] != switch.id:
            self._pinned = (switch.id, self._workshop.open(self._workshop.restore(switch.config)))
        return self._pinned[1]

    async def reconfigure(self, setup: Setup) -> None:
        """Use another configuration from the next switch on."""
        if setup.config_hash == self.setup.config_hash:
            return
        opened = self._workshop.open(setup)
        async with self._balancers:
            switch = self.state.open_switch
            if switch is not None and switch.config_hash == self.setup.config_hash:
                self._pinned = (switch.id, self._ports)
            else:
                await self._ports.close()
            self.setup, self._ports, self.seen = setup, opened, {}
            self._reopened.set()

    async def run(self) -> None:
        """Drive and observe until `stop`. Raises StoreError: nothing may move any more, the process must end."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._observe_forever()), group.create_task(self._keep_forever())]
            await self._drive()
            for task in beside:
                task.cancel()

    async def stop(self) -> None:
        """End `run`: looks at once, a write when its answer is on record. A deploy command goes on: the next start
        finds it, and nothing of that is on record."""
        self._stopping = True
        self._wake.set()
        effect = self._effect
        if effect is None:
            return
        if not self._writing():
            self.ports().deployer.leave()
            effect.cancel()
        await asyncio.wait({effect}, timeout=STOP_SECONDS)
        effect.cancel()

    async def close(self) -> None:
        """Let go of the ports."""
        await self._ports.close()
        if self._pinned is not None:
            await self._pinned[1].close()

    # --- the loop ---

    async def _drive(self) -> None:
        while True:
            async with self._lock:
                self._wake.clear()
                if self._stopping:  # asked here alone: told while we waited for the lock, nobody would wake us again
                    return
                if self._fatal is not None:
                    raise self._fatal
                step = next_step(self.state, self._clock.now())
                if isinstance(step, st.Conclude):
                    await self._record([step.event])
                    continue
                await self._begin_look(step)
            match step:
                case None | st.AwaitOperator():
                    await self._retire_pinned()
                    await self._wake.wait()
                case st.Deploy():
                    if await self._ready(deploy.ready(self._switch(), self.state, self._told())):
                        await self._deploy()
                case st.FindDeploy():
                    await self._find_deploy()
                case st.SetWeights():
                    if await self._ready(shift.ready(self._switch(), self.state, self._told())):
                        await self._set_weights(step)
                case _:
                    await self._look_on(step)

    async def _begin_look(self, step: st.Step | None) -> None:
        """Looks have an intent, too: where one never ends, the journal says what it was."""
        match step:
            case st.Smoke():  # in its own phase, or before a share that another process left to us
                await self._record([ev.StepStarted(Phase.SMOKE)])
            case st.ProveWarm():
                await self._record([ev.StepStarted(Phase.PREFLIGHT)])
            case st.Preflight() | st.WaitHealthy():
                await self._record([ev.StepStarted(self._switch().phase)])

    async def _ready(self, looking: Coroutine[Any, Any, ev.Halted | None]) -> bool:
        """The last look before an effect. False: it found something, or a person has asked for something meanwhile."""
        look = await self._undisturbed(self._guarded(looking))
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
        await self._deployment(deploy.run(self._switch(), self._told(), self._beat))

    async def _find_deploy(self) -> None:
        """The intent is on record, by another process; what became of it goes on record, too."""
        async with self._lock:
            if self._wake.is_set():
                return
        await self._deployment(deploy.find(self._switch(), self._told(), self._beat))

    async def _deployment(self, hand: Coroutine[Any, Any, ev.Event]) -> None:
        outcome = await self._effective(hand)
        async with self._lock:
            if outcome is None and self._stopping:
                return  # it goes on without us, and the next start finds it
            if self._open_step() is not None:  # else an abort has ended it and put that on record
                await self._record([outcome or self._deploy_ended()])

    async def _set_weights(self, step: st.SetWeights) -> None:
        """Intent, effect, outcome, and nobody else reads meanwhile: nobody may take our own write for drift."""
        async with self._balancers:
            async with self._lock:
                if self._wake.is_set():
                    return
                try:
                    target = self.ports().balancers[step.point].native(step.split)
                except Rejected as refusal:
                    await self._record([self._halted(Cause.BALANCER_REFUSED, str(refusal))])
                    return
                await self._record([ev.StepStarted("set_weights", step.point, step.expected, target, step.split)])
            hand = shift.run(step, target, self._switch(), self._told(), self._clock, self._wanted)
            if (outcome := await self._effective(hand)) is not None:  # None: we are ending; the next start looks it up
                async with self._lock:
                    await self._record([outcome])

    async def _effective(self, hand: Coroutine[Any, Any, ev.Event]) -> ev.Event | None:
        """The hand's outcome; None where it was ended before it had one."""
        async with asyncio.TaskGroup() as group:
            effect = self._effect = group.create_task(self._guarded(hand))
            try:
                await asyncio.wait({effect})
            except asyncio.CancelledError:  # the process ends, and not in order
                self.ports().deployer.leave()
                raise
        self._effect = None
        return None if effect.cancelled() else effect.result()

    async def _look_on(self, step: st.Step) -> None:
        """A look: cut short when a person asks for something, and begun anew; only an undisturbed outcome counts."""
        looking_up = isinstance(step, st.LookUp)
        if looking_up:
            await self._balancers.acquire()
        try:
            look = await self._undisturbed(self._guarded(self._hand(step)))
            async with self._lock:
                if look is not None and not self._wake.is_set():
                    await self._record([look.result()])
        finally:
            if looking_up:
                self._balancers.release()

    def _wanted(self) -> bool:
        return self._switch().condition is Condition.RUNNING and not self._stopping

    async def _undisturbed(self, looking: Coroutine[Any, Any, T]) -> asyncio.Task[T] | None:
        """The finished look; None where it was cut short."""
        async with asyncio.TaskGroup() as group:
            look = group.create_task(looking)
            wake = group.create_task(self._wake.wait())
            await asyncio.wait({look, wake}, return_when=asyncio.FIRST_COMPLETED)
            look.cancel()
            wake.cancel()
        return None if look.cancelled() else look

    def _told(self) -> Ports:
        """The open switch's ports, which tell of every answer that the step gets."""
        return beating(self.ports(), self._beat)

    def _hand(self, step: st.Step) -> Coroutine[Any, Any, ev.Event]:
        switch, ports = self._switch(), self._told()
        match step:
            case st.Preflight():
                return preflight.run(switch, self.state, ports, self._store)
            case st.ProveWarm():
                return smoke.prove_warm(switch, self.state, ports)
            case st.WaitHealthy():
                return wait_healthy.run(switch, ports, self._clock)
            case st.Smoke():
                return smoke.run(switch, self.state, ports)
            case st.Watch():
                return watch.run(step, switch, ports, self._clock)
            case st.LookUp():
                return shift.look_up(step, switch, ports, self._clock)
        raise AssertionError(f"no hand for {step}")

    async def _guarded(self, hand: Awaitable[T]) -> T | ev.Event:
        """A hand raises nothing for an expected failure; what it does raise is a bug, and a bug is a halt."""
        self._beat("begun")
        try:
            return await hand
        except Exception as error:
            what = f"a defect of bluegreen itself: {type(error).__name__}: {error}"
            open_step = self._switch().open
            if open_step is not None and open_step.point is not None:
                return ev.OutcomeLost(open_step.point, what)  # whether it wrote is not known: it is looked up
            return self._halted(Cause.BUG, what, advice="nothing goes on by itself; please report it", closes_step=True)

    async def _observe_forever(self) -> None:
        while True:
            await self.observe()
            await self._clock.sleep(self._observe_every)

    async def _keep_forever(self) -> None:
        """What was deployed is kept running, by the deployer of the present configuration."""
        while True:
            self._reopened.clear()
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._ports.deployer.keep(self._may_touch))
                await self._reopened.wait()
                keeping.cancel()

    def _may_touch(self, environment: str) -> bool:
        """What failed stays as it is until a person decides: a halted candidate is not started again (law 7)."""
        switch = self.state.open_switch
        return not (switch and switch.condition is Condition.HALTED and switch.candidate == environment)

    def _judged(self, point: str, seen: Seen) -> Weights | None:
        """What a look proves: nothing but agreement, as long as it may lag behind a write of ours or of a process
        before this one."""
        known, settle = self.state.points.get(point), self.ports().balancers[point].settle
        age = asyncio.get_running_loop().time() - self._wrote_at.get(point, self._started_at)
        if seen.weights is None or known is None or age >= settle or seen.weights.same_split(known.native):
            return seen.weights
        return None

    async def look(self) -> dict[str, Seen]:
        """One look at all switch points; nothing goes on record."""
        self.seen = await look(self.ports(), self._clock.now())
        return self.seen

    # --- writing down ---

    async def _record(self, events: Sequence[ev.Event], ask: Ask | None = None, switch: str | None = None) -> None:
        """Apply (which raises before anything is written), append, publish. Called with the lock held."""
        ask = ask or Ask(DAEMON)
        state, records = self.state, []
        for event in events:
            id_ = switch if isinstance(event, ev.Requested) else (state.open_switch.id if state.open_switch else None)
            record = ev.Record(
                id=self.new_id(), at=self._clock.now(), service=state.service, switch=id_, by=str(ask.actor),
                event=event, reason=ask.reason, key=ask.key, key_digest=ask.digest,
            )  # fmt: skip
            state = apply(state, record)
            records.append(record)
        try:
            entries = await self._store.append(self.state.service, self.state.version, records)
        except AppendUnknown as unknown:
            self._fatal = unknown  # the loop ends the process: only a new start can tell what is in the journal
            self._wake.set()
            raise
        self.state = state
        for entry in entries:
            self._note(entry.event)
            self._publish(entry)
        async with self._changed:
            self._changed.notify_all()

    def _note(self, event: ev.Event) -> None:
        """A balancer that was just read back has been seen."""
        if isinstance(event, ev.WeightsSet | ev.WeightsUnchanged):
            self._wrote_at[event.point] = asyncio.get_running_loop().time()
        if isinstance(event, ev.WeightsSet) and event.point in self.seen:
            seen = self.seen[event.point]
            self.seen = {**self.seen, event.point: replace(seen, at=self._clock.now(), weights=event.weights, error="")}

    def _beat(self, what: str) -> None:
        self.sign = Sign(self._clock.now(), what)

    def _halted(self, cause: Cause, summary: str, advice: str = "", *, closes_step: bool = False) -> ev.Halted:
        return looks.halted(self._switch(), cause, summary=summary, advice=advice, closes_step=closes_step)

    def _switch(self) -> Switch:
        switch = self.state.open_switch
        if switch is None:
            raise AssertionError("a step without an open switch")
        return switch

    def _open_step(self) -> str | None:
        switch = self.state.open_switch
        return switch.open.step if switch is not None and switch.open is not None else None

    def _deploy_left(self) -> bool:
        """Whether another process may have left a deployment running."""
        switch = self.state.open_switch
        return switch is not None and switch.open is not None and switch.open.unknown

    def _writing(self) -> bool:
        return self._effect is not None and self._open_step() == "set_weights"

    def _asked_before(self, ask: Ask) -> Switch | None:
        digest, switch = self.state.keys[ask.key or ""]
        if digest != (ask.digest or ""):
            raise BadRequest("this Idempotency-Key came with another request before", advice="use a new key")
        known = [one for one in (*self.state.past, self.state.switch) if one is not None and one.id == switch]
        return known[-1] if known else self.state.switch

    async def _halt_first(self, ask: Ask) -> None:
        """A failback during a write: stop the line, wait for the write's outcome; only then is the failback judged."""
        async with self._lock:
            switch = self.state.open_switch
            if switch is not None and switch.condition is not Condition.HALTED:
                stopped = self._halted(Cause.OPERATOR, f"stopped for a failback: {ask.reason}")
                await self._record([stopped], replace(ask, key=None, digest=None))
        effect = self._effect
        if effect is not None:
            await asyncio.wait({effect}, timeout=STOP_SECONDS)
        async with self._balancers:  # held until the outcome is on record
            return

    async def _end_deploy(self) -> ev.Event:
        """An abort ends a deploy command that runs, another process's too. Called with the lock held."""
        if self._writing():
            raise Refused("weights are being written at this moment", "look again in a second")
        async with asyncio.TaskGroup() as group:
            effect = self._effect or group.create_task(
                self._guarded(deploy.find(self._switch(), self._told(), self._beat))
            )
            await asyncio.sleep(0)  # what has not begun is not ended by being cancelled: it would never begin
            effect.cancel()
            await asyncio.wait({effect}, timeout=STOP_SECONDS)
        return self._deploy_ended()

    def _deploy_ended(self) -> ev.Halted:
        return self._halted(
            Cause.INTERRUPTED,
            f"the deployment to {self._switch().candidate} was ended before it finished",
            advice="its processes were ended; `resume` runs the deployment again",
            closes_step=True,
        )

    async def _retire_pinned(self) -> None:
        if self._pinned is not None and self.state.open_switch is None:
            (_, ports), self._pinned = self._pinned, None
            await ports.close()
