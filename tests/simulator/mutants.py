"""Bugs planted in the engine, its hands and its core: at least one for each law. A law that catches none is no law.

Each is a small, plausible mistake, put in the place of the real thing for the length of a run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bluegreen import book, observe
from bluegreen import engine as the_engine
from bluegreen.book import keep_nothing
from bluegreen.core import admit as ad
from bluegreen.core import decide, drift, phases
from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.engine import ServiceEngine
from bluegreen.errors import OutcomeUnknown, StoreError
from bluegreen.model import DAEMON, WHOLE, Cause, Condition, Phase, Weights
from bluegreen.steps import looks, shift, smoke, watch
from tests.invariants import Law

sound_next, sound_apply = decide.next_step, phases.apply
sound_split, sound_health, sound_checks = decide.target_split, looks.health, looks.all_checks
sound_record, sound_observe, sound_choice = ServiceEngine._record, ServiceEngine.observe, ad.choose_candidate
sound_halted, sound_rest, sound_start = looks.halted, ServiceEngine._rest, ServiceEngine.start
sound_running, sound_ready = decide._running, shift.ready
sound_shift, sound_durable, sound_judge = decide._shift, book.Book._durable, drift.judge


@dataclass(frozen=True)
class Mutant:
    """A bug, where it is planted, and the laws of which one at least must catch it."""

    name: str
    laws: tuple[Law, ...]
    place: Any
    attribute: str
    bug: Any

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is there for the length of the block."""
        sound = getattr(self.place, self.attribute)
        setattr(self.place, self.attribute, self.bug)
        try:
            yield
        finally:
            setattr(self.place, self.attribute, sound)


def _rolls_back_when_halted(state, now, trouble=None):
    """After a failed gate it takes the traffic away again, as so many tools do."""
    step, switch = sound_next(state, now, trouble), state.open_switch
    if isinstance(step, st.SetWeights) and switch is not None and switch.halts:
        split = {name: WHOLE * (name == switch.source) for name in step.split}
        return replace(step, split=Weights.of(split))
    return step


async def _ends_halts_by_itself(self, patience=None):
    """A look finds everything well again, and goes on."""
    switch = self.state.open_switch
    if switch is not None and switch.halt is not None and self._clock.now() - switch.halt.at > timedelta(minutes=10):
        async with self._lock:
            await self._record([ev.Resumed()])
            self._wake.set()
    await sound_observe(self, patience)


async def _writes_no_intent(self, events, ask=None, switch=None):
    kept = [e for e in events if not (isinstance(e, ev.StepStarted) and e.step == "set_weights")]
    if kept:
        await sound_record(self, kept, ask, switch)


async def _decides_before_it_looks(self):
    """The journal says how the balancers stand."""
    await sound_start(self)
    self._looked.set()


async def _sends_again(step, target, switch, state, ports, clock, wanted):
    """A lost answer is taken for a refusal."""
    balancer = ports.balancers[step.point]
    for _ in range(3):
        with contextlib.suppress(OutcomeUnknown):
            await balancer.write(step.expected, target)
            break
    return ev.WeightsSet(step.point, await balancer.read(), step.split)


async def _believes_the_answer(step, target, switch, state, ports, clock, wanted):
    """What was asked for is recorded, nobody reads back."""
    with contextlib.suppress(OutcomeUnknown):
        await ports.balancers[step.point].write(step.expected, target)
    return ev.WeightsSet(step.point, target, step.split)


async def _looks_up_once(step, switch, ports, clock):
    shown = await ports.balancers[step.point].read()
    if shown.same_split(step.target):
        return ev.WeightsSet(step.point, shown, step.split, recovered=True)
    return ev.WeightsUnchanged(step.point)


async def _overwrites(step, target, switch, state, ports, clock, wanted):
    """It writes on top of whatever is there."""
    balancer = ports.balancers[step.point]
    await balancer.write(await balancer.read(), target)
    return ev.WeightsSet(step.point, await balancer.read(), step.split)


async def _looks_at_no_health(ports, environment, enough):
    return ()


async def _checks_nothing(checks, scene, accepted):
    return ()


async def _takes_half_for_enough(switch, state, ports):
    """What is enough for the way back is enough for the way forward."""
    return await sound_ready(switch, state, replace(ports, health=ports.failback_health))


async def _asks_no_gates(switch, state, ports):
    findings = await sound_health(ports, switch.candidate, ports.health)
    return None if looks.all_ok(findings) else looks.halted(switch, Cause.UNHEALTHY, findings)


def _keeps_an_old_proof(state, record):
    before, after = state.open_switch, sound_apply(state, record)
    if before is not None and before.proven and isinstance(record.event, ev.Restarted) and after.switch is not None:
        return replace(after, switch=replace(after.switch, proven=True))
    return after


def _forgets_at_restart(state, record):
    after = sound_apply(state, record)
    return replace(after, unsettled=state.unsettled) if isinstance(record.event, ev.Restarted) else after


async def _cleans_up(self):
    """What failed is put right at once."""
    switch = self.state.open_switch
    if switch is not None and switch.condition is Condition.HALTED and switch.phase in (Phase.SMOKE, Phase.DEPLOY):
        ports = self.ports()
        with contextlib.suppress(Exception):
            await ports.deployer.deploy(ports.scene(switch.candidate, "v0", None), "clean-up", lambda _: None)
    await sound_rest(self)


def _takes_the_warm(request, state, now):
    """The one that was live last is nearest."""
    free = [name for name in state.warm if name != state.live and state.share(name) == 0]
    return free[0] if free else sound_choice(request, state, now)


async def _signs_as_the_daemon(self, events, ask=None, switch=None):
    await sound_record(self, events, replace(ask, actor=DAEMON, reason="") if ask else None, switch)


def _gives_nobody(switch, point, current, share):
    return Weights.of(dict.fromkeys(sound_split(switch, point, current, share), 0))


def _deploys_again(state, now, trouble=None):
    switch = state.open_switch
    if switch is not None and switch.open is not None and switch.open.unknown:
        return st.Deploy()
    return sound_next(state, now, trouble)


def _sees_no_drift(*_):
    return ()


async def _acknowledges_first(self, events, ask=None, switch=None):
    """A full disk is no reason to keep a person waiting."""
    try:
        await sound_record(self, events, ask, switch)
    except StoreError:
        if ask is None:
            raise
        for event in events:
            id_ = switch if isinstance(event, ev.Requested) else (self.state.open_switch and self.state.open_switch.id)
            record = ev.Record(self.new_id(), self._clock.now(), "web", id_, str(ask.actor), event, ask.reason)
            self.book.state = sound_apply(self.state, record)


def _waits_for_ever(state, now, trouble=None):
    step, switch = sound_next(state, now, trouble), state.open_switch
    return st.AwaitOperator() if isinstance(step, st.LookUp) or (switch and switch.lost) else step


def _halts_without_a_word(*args, **named):
    return replace(sound_halted(*args, **named), summary=" ")


async def _stops_late(self):
    self._stopping.set()
    await asyncio.sleep(12.0)
    self._wake.set()


def _forgets_keys(state, record):
    return replace(sound_apply(state, record), keys={})


def _lets_the_warm_go(state, record):
    """In memory, not in the journal."""
    after = sound_apply(state, record)
    return replace(after, warm={}) if isinstance(record.event, ev.Resumed) else after


def _skips_steps(state, switch):
    return decide._write(state, switch, WHOLE) or sound_shift(state, switch)


def _asks_nobody(state, switch):
    """No approval, no wait."""
    step = sound_shift(state, switch)
    waits = isinstance(step, st.Watch) or (isinstance(step, st.Conclude) and isinstance(step.event, ev.ApprovalAwaited))
    return st.Conclude(ev.StepReached(switch.index)) if waits else step


def _takes_any_answer(request, state):
    return None


async def _keeps_no_card_of_intents(self, records, state):
    """Only what was done stands on the card."""
    keep = self._keep
    self._keep = keep_nothing if isinstance(records[-1].event, ev.StepStarted) else keep
    try:
        return await sound_durable(self, records, state)
    finally:
        self._keep = keep


async def _looks_no_last_time(switch, state, ports):
    """It was well a moment ago."""
    return


async def _watches_no_gates(switch, ports, due):
    return


async def _watches_no_health(self):
    self.due = asyncio.get_running_loop().time() + 2.0


async def _believes_the_warm_one(switch, ports, proven):
    return ()


def _adopts_by_itself(state, seen, wrong=None, good_at=None):
    """What is shown must be what somebody wanted."""
    moved = {n: w for n, w in seen.items() if w and n in state.points and not w.same_split(state.points[n].native)}
    return (
        (ev.Adopted(moved),) if moved and not state.in_doubt else sound_judge(state, seen, wrong or {}, good_at or {})
    )


def _aborts_what_failed(state, now, trouble=None):
    switch = state.open_switch
    if switch is not None and switch.halt is not None and not state.share(switch.candidate):
        return st.Conclude(ev.Aborted())
    return sound_next(state, now, trouble)


def _protects_nothing(state, switch, now):
    return ev.KeptWarm(None, None)


def _goes_on_without_room(state, now, trouble=None):
    """The ballast is there to be used."""
    return sound_next(state, now)


def _resumes_at_restart(state, record):
    """Whoever restarts the daemon wants it to go on."""
    after, before = sound_apply(state, record), state.open_switch
    if isinstance(record.event, ev.Restarted) and before is not None and before.condition is Condition.PAUSED:
        assert after.switch is not None
        return replace(after, switch=replace(after.switch, condition=Condition.RUNNING, paused_by=""))
    return after


def _minds_no_age(state, now, trouble=None):
    """A word is a word."""
    switch = state.open_switch
    return sound_next(replace(state, switch=replace(switch, word_aged=False)) if switch else state, now, trouble)


def _deploys_over_traffic(state, switch, now):
    """It was idle when the switch began."""
    if switch.phase is Phase.DEPLOY:
        return st.Preflight() if switch.preflight_aged else st.Deploy()
    return sound_running(state, switch, now)


def _sees_no_silence(state, since, seconds):
    """What cannot be read has not changed."""
    return ()


MUTANTS: tuple[Mutant, ...] = (
    Mutant("rolls back", (Law.NO_WAY_BACK,), the_engine, "next_step", _rolls_back_when_halted),
    Mutant("ends halts by itself", (Law.HALT_HOLDS, Law.NAMED), ServiceEngine, "observe", _ends_halts_by_itself),
    Mutant("writes no intent", (Law.INTENT_FIRST,), ServiceEngine, "_record", _writes_no_intent),
    Mutant("sends a lost write again", (Law.INTENT_FIRST,), shift, "run", _sends_again),
    Mutant("believes the answer", (Law.COMPARED,), shift, "run", _believes_the_answer),
    Mutant("looks up once", (Law.INTENT_FIRST,), shift, "look_up", _looks_up_once),
    Mutant("overwrites drift", (Law.COMPARED,), shift, "run", _overwrites),
    Mutant("looks at no health", (Law.PROVEN,), looks, "health", _looks_at_no_health),
    Mutant("checks nothing", (Law.PROVEN,), looks, "all_checks", _checks_nothing),
    Mutant("asks no gates", (Law.PROVEN,), shift, "ready", _asks_no_gates),
    Mutant("keeps an old proof", (Law.PROVEN,), book, "apply", _keeps_an_old_proof),
    Mutant("forgets at a restart", (Law.INTENT_FIRST, Law.COMPARED), book, "apply", _forgets_at_restart),
    Mutant("cleans up", (Law.FAILED_STAYS,), ServiceEngine, "_rest", _cleans_up),
    Mutant("takes the warm one", (Law.WARM_STAYS,), ad, "choose_candidate", _takes_the_warm),
    Mutant("signs as the daemon", (Law.NAMED, Law.HALT_HOLDS), ServiceEngine, "_record", _signs_as_the_daemon),
    Mutant("gives nobody any", (Law.NEVER_ZERO,), decide, "target_split", _gives_nobody),
    Mutant("deploys again", (Law.ONCE_ONLY,), the_engine, "next_step", _deploys_again),
    Mutant("sees no drift", (Law.DRIFT_SAID,), observe, "judge", _sees_no_drift),
    Mutant("acknowledges first", (Law.ACKNOWLEDGED,), ServiceEngine, "_record", _acknowledges_first),
    Mutant("waits for ever", (Law.ENDS,), the_engine, "next_step", _waits_for_ever),
    Mutant("halts without a word", (Law.REASONED,), looks, "halted", _halts_without_a_word),
    Mutant("stops late", (Law.ENDS,), ServiceEngine, "stop", _stops_late),
    Mutant("lets the warm go in memory", (Law.REPLAYED,), book, "apply", _lets_the_warm_go),
    Mutant("forgets keys", (Law.ONE_SWITCH,), book, "apply", _forgets_keys),
    Mutant("skips steps", (Law.PLANNED,), decide, "_shift", _skips_steps),
    Mutant("asks nobody", (Law.PLANNED,), decide, "_shift", _asks_nobody),
    Mutant("takes any answer", (Law.SHOWN,), ad, "_answers_this_halt", _takes_any_answer),
    Mutant("keeps no card of intents", (Law.CARD,), book.Book, "_durable", _keeps_no_card_of_intents),
    Mutant("looks no last time", (Law.PROVEN,), shift, "ready", _looks_no_last_time),
    Mutant("watches no gates", (Law.PROVEN,), watch, "_gates", _watches_no_gates),
    Mutant("watches no health", (Law.PROVEN,), watch._Health, "look", _watches_no_health),
    Mutant("believes the warm one", (Law.PROVEN,), smoke, "_smoke_warm", _believes_the_warm_one),
    Mutant("adopts by itself", (Law.COMPARED,), observe, "judge", _adopts_by_itself),
    Mutant("aborts what failed", (Law.NAMED,), the_engine, "next_step", _aborts_what_failed),
    Mutant("takes half for enough", (Law.PROVEN,), shift, "ready", _takes_half_for_enough),
    Mutant("decides before it looks", (Law.COMPARED,), ServiceEngine, "start", _decides_before_it_looks),
    Mutant("goes on without room", (Law.ROOM,), the_engine, "next_step", _goes_on_without_room),
    Mutant("resumes at a restart", (Law.PLANNED,), book, "apply", _resumes_at_restart),
    Mutant("minds no age of a word", (Law.NAMED,), the_engine, "next_step", _minds_no_age),
    Mutant("deploys over traffic", (Law.NO_WAY_BACK,), decide, "_running", _deploys_over_traffic),
    Mutant("sees no silence", (Law.DRIFT_SAID,), observe, "unreadable", _sees_no_silence),
    Mutant("protects nothing", (Law.WARM_STAYS,), decide, "_keep_warm", _protects_nothing),
)  # fmt: skip
