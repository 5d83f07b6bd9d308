"""All services of one process, and the verbs as people ask for them: for HTTP, and for a command line with no daemon.

Requests come in as plain values, go through the engine of their service, and come out as what is on record.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bluegreen import failback_plan
from bluegreen.core import admit as ad
from bluegreen.core import freeze, unknown
from bluegreen.core.admit_drift import answered
from bluegreen.core.event import Event
from bluegreen.core.notes import debts
from bluegreen.core.requests import Ask, is_said
from bluegreen.core.state import ServiceState, Switch
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BadRequest, NotFound, Refused
from bluegreen.failback_plan import FailbackPlan
from bluegreen.model import Finding, Weights, percent
from bluegreen.observe import ANSWER_SECONDS, Seen
from bluegreen.ports import Clock, Store
from bluegreen.steps import preflight

EVIDENCE_SECONDS = 11.0
FAILBACK_EVIDENCE_SECONDS = 2.0
"""How long an answer to a halt waits for the evidence to be sealed; nobody who fails back is kept waiting longer."""
DRIFT_VERBS = ("adopt", "restore", "leave")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+:@/~-]{0,127}")


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What a deployment would do now, step by step, with what its preflight finds. Nothing is changed."""

    lawful: bool
    why_not: str
    candidate: str | None
    source: str | None
    steps: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


class Fleet:
    """Every service's engine, by name."""

    def __init__(self, engines: Sequence[ServiceEngine], store: Store, clock: Clock) -> None:
        self.engines = {engine.setup.service: engine for engine in engines}
        self.store, self.clock = store, clock
        self.started_at = clock.now()

    def engine(self, service: str) -> ServiceEngine:
        """The service's engine. Raises NotFound, naming what there is."""
        if service not in self.engines:
            known = ", ".join(sorted(self.engines)) or "none"
            raise NotFound(f"no service {service!r}", f"known services: {known}")
        return self.engines[service]

    def switch(self, id_: str) -> tuple[ServiceState, Switch]:
        """A switch by its id. Raises NotFound."""
        for engine in self.engines.values():
            for switch in (engine.state.switch, *reversed(engine.state.past)):
                if switch is not None and switch.id == id_:
                    return engine.state, switch
        raise NotFound(f"no switch {id_!r}", "see `bluegreen history SERVICE`")

    async def kept(self, service: str, patience: float = EVIDENCE_SECONDS) -> None:
        """Wait until the evidence of the present halt is kept, so many seconds at the most: what is asked for next may
        destroy it."""
        engine = self.engine(service)
        if (gathering := engine.gathering) is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while gathering.gathering(engine.state) is not None:
                    await engine.changed(engine.state.version)

    async def deploy(
        self, service: str, version: str, ask: Ask, artifact: str | None = None, *,
        replace_warm: bool = False, changes: str = "", cause: str = "", note: str = "", halt: str | None = None,
        override_freeze: bool = False,
    ) -> Switch:  # fmt: skip
        """Start a deployment. `changes` is its manifest as JSON; `halt` is the halt that it answers, `cause` and `note`
        are what that came from. `override_freeze` wants a reason. Raises Refused, BadRequest, NotFound."""
        engine = self.engine(service)
        _check_version(version)
        await self.kept(service)
        await looked_up(engine)
        request = ad.Deploy(
            switch=self._new_switch(engine),
            version=version,
            pinned=_pinned(engine, failback=False),
            artifact=artifact,
            replace_warm=replace_warm,
            changes=changes,
            cause=cause,
            note=note,
            halt=halt,
            reason=ask.reason,
        )
        return _started(await engine.submit(*self._in_time(engine, request, ask, override_freeze)))

    def _in_time(
        self, engine: ServiceEngine, request: ad.AnyRequest, ask: Ask, override: bool
    ) -> tuple[ad.AnyRequest, Ask]:
        """With the freezes that are in force; what is overridden is on record with the reason. Raises BadRequest."""
        if override and not is_said(ask.reason):
            raise BadRequest("a freeze is overridden for a reason", {"reason": "missing"})
        now = replace(request, frozen=engine.freezes.active(self.clock.now()), override_freeze=override)
        if override and (over := freeze.held(now, engine.state)):
            ask = replace(ask, reason=f"{ask.reason} (overrides the freeze {', '.join(one.name for one in over)})")
        return now, ask

    async def failback(
        self, service: str, plan: str | None, ask: Ask, *,
        acknowledge: Collection[str] = (), confirm: str | None = None, cause: str = "", note: str = "",
    ) -> Switch:  # fmt: skip
        """Start a failback. `plan` is the id that the asker has seen: StateMoved when the state is another one now.
        `acknowledge` has the id of each unsafe line of its report; with such lines, `confirm` is the service's name."""
        engine, expects = self.engine(service), None
        await self.kept(service, FAILBACK_EVIDENCE_SECONDS)
        if ask.key is None or ask.key not in engine.state.keys:  # a repeated request finds its first answer
            present = await failback_plan.make(engine, self.engines, self.clock.now(), asked_for=True)
            failback_plan.must_be_said(service, present, plan, acknowledge, confirm)
            expects = (present.target or "", present.switch)
        request = ad.Failback(
            switch=self._new_switch(engine), pinned=_pinned(engine, failback=True), reason=ask.reason,
            acknowledged=tuple(sorted(set(acknowledge))), expects=expects, cause=cause, note=note,
        )  # fmt: skip
        return _started(await engine.submit(request, ask))

    async def failback_plan(self, service: str) -> FailbackPlan:
        """What a failback would do and what it risks, from a look at the balancers taken now."""
        return await failback_plan.make(self.engine(service), self.engines, self.clock.now(), asked_for=False)

    async def owe(
        self, service: str, ask: Ask, *,
        acknowledge: Sequence[str] | None = None, own: str = "", owner: str = "", paid: str = "",
    ) -> None:  # fmt: skip
        """One word on the debts that a failback left: `acknowledge` these (an empty list: all), who sees to the one
        named by `own`, or that the one named by `paid` is put right. Raises BadRequest, NotFound."""
        engine = self.engine(service)

        def entries(state: ServiceState) -> Sequence[Event]:
            if acknowledge is not None:
                return debts.acknowledge(state, acknowledge or None)
            return debts.own(state, own, owner) if owner else debts.pay(state, paid)

        await engine.note(entries, ask)

    async def deployment_plan(self, service: str, version: str, artifact: str | None) -> DeploymentPlan:
        """What a deployment would do, and what its preflight finds now."""
        engine = self.engine(service)
        _check_version(version)
        await engine.observe(ANSWER_SECONDS)
        pinned, state = _pinned(engine, failback=False), engine.state
        try:
            request = ad.Deploy(switch="plan", version=version, pinned=pinned, artifact=artifact)
            ad.admit(replace(request, frozen=engine.freezes.active(self.clock.now())), state, self.clock.now())
            candidate = ad.choose_candidate(request, state, self.clock.now())
        except Refused as refusal:
            return DeploymentPlan(False, str(refusal), None, state.live, (), ())
        live = state.live or ""
        findings = await preflight.examine(
            candidate, live, None, state, engine.ports(), self.store, version=version, artifact=artifact
        )
        if (coming := engine.freezes.next(self.clock.now())) is not None:
            findings = (*findings, Finding("freeze ahead", True, f"{coming.name}: {freeze.period(coming)}"))
        return DeploymentPlan(True, "", candidate, live, tuple(_described(engine, candidate, version, live)), findings)

    async def ask(
        self, service: str, verb: str, ask: Ask, *,
        check: str = "", halt: str | None = None, environment: str | None = None, drift: Sequence[str] = (),
        cause: str = "", note: str = "", override_freeze: bool = False,
    ) -> Switch | None:  # fmt: skip
        """One of the short verbs. `override_freeze` wants a reason. Raises Refused, BadRequest, NotFound."""
        engine = self.engine(service)
        await self.kept(service)
        await looked_up(engine)
        if verb in DRIFT_VERBS:
            if cause or note:
                raise BadRequest(
                    f"`{verb}` ends no halt", {"cause": "wanted with the verb that ends it, or by `lessons`"}
                )
            return await self._answer_drift(engine, verb, ask, drift, halt)
        short: dict[str, ad.AnyRequest] = {
            "approve": ad.Approve(halt),
            "pause": ad.Pause(halt),
            "resume": ad.Resume(halt),
            "promote": ad.Promote(halt),
            "abort": ad.Abort(halt),
            "release": ad.Release(halt, environment=environment),
            "accept": ad.Accept(halt=halt, check=check, reason=ask.reason),
            "halt": ad.Stop(halt=halt, reason=ask.reason),
        }
        if verb not in short:
            raise NotFound(f"no verb {verb!r}", f"known: {', '.join(sorted([*short, *DRIFT_VERBS]))}")
        request = replace(short[verb], cause=cause, note=note)
        if override_freeze and not isinstance(request, tuple(freeze.FREEZABLE.values())):
            raise BadRequest(f"`{verb}` is never frozen", {"override_freeze": f"of {', '.join(freeze.FREEZABLE)}"})
        return await engine.submit(*self._in_time(engine, request, ask, override_freeze))

    async def _answer_drift(
        self, engine: ServiceEngine, verb: str, ask: Ask, drift: Sequence[str], halt: str | None
    ) -> Switch | None:
        """`adopt` takes what is shown at this moment. The others answer the drifts that the asker was shown: those
        named, else those on record when the request came."""
        if verb == "adopt":
            unknown.looked_up(engine.state, verb)  # else it would wait for that look
            return await engine.submit_seen(lambda seen: ad.Adopt(halt=halt, seen=_all_readable(seen)), ask)
        ids = frozenset(drift) or answered(engine.state.drift)
        if ask.key is None or ask.key not in engine.state.keys:
            await engine.observe()
        request = ad.Restore if verb == "restore" else ad.Leave
        return await engine.submit(request(halt=halt, drift=ids, reason=ask.reason), ask)

    async def run(self) -> None:
        """Run every engine until `stop`."""
        async with asyncio.TaskGroup() as group:
            for engine in self.engines.values():
                group.create_task(engine.run())

    async def stop(self) -> None:
        """End every engine, all at once."""
        async with asyncio.TaskGroup() as group:
            for engine in self.engines.values():
                group.create_task(engine.stop())

    async def close(self) -> None:
        """Let go of every port."""
        for engine in self.engines.values():
            await engine.close()

    def _new_switch(self, engine: ServiceEngine) -> str:
        return f"{engine.setup.service}-{_stamp(self.clock.now())}-{engine.new_id()[:4]}"


async def looked_up(engine: ServiceEngine) -> None:
    """Who asks at a halt is about to decide: the engine's look at what is unknown comes first, for as long as a person
    can be kept waiting."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            while unknown.pending(engine.state):
                await engine.changed(engine.state.version)


def _all_readable(seen: Mapping[str, Seen]) -> dict[str, Weights]:
    for name, one in seen.items():
        if one.weights is None:
            raise Refused(f"{name} cannot be read: {one.error}", "nothing unread is taken for true")
    return {name: one.weights for name, one in seen.items() if one.weights is not None}


def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%d-%H%M%S}"


def _pinned(engine: ServiceEngine, *, failback: bool) -> ad.Pinned:
    setup = engine.setup
    plan = setup.failback if failback else setup.deployment
    return ad.Pinned(plan, setup.environments, setup.config, setup.config_hash)


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise BadRequest(
            f"{version!r} is not a version",
            {"version": "wanted letters, digits and . _ + : @ / ~ -, at most 128, beginning with a letter or digit"},
        )
    if version == "VERSION":  # as the list of ways writes it: pasted, and not filled in
        raise BadRequest("VERSION stands for a version", {"version": "wanted the version to be deployed in its place"})


def _started(switch: Switch | None) -> Switch:
    if switch is None:
        raise AssertionError("an admitted request has a switch")
    return switch


def _described(engine: ServiceEngine, candidate: str, version: str, live: str) -> list[tuple[str, str]]:
    plan, ports = engine.setup.deployment, engine.ports()
    names = [check.name for check in (*([ports.digest] if ports.digest is not None else []), *ports.smoke)]
    steps = [
        ("preflight", "everything that the way forward needs is tried; nothing is changed"),
        ("deploy", f"{version} is brought to {candidate}, which has no traffic"),
        ("wait_healthy", f"until the balancer sees {candidate} healthy, {ports.health_timeout:g} s at the most"),
        ("smoke", ", ".join(names) or "no smoke checks are configured"),
    ]
    wait = "an approval" if plan.wait_seconds is None else f"{plan.wait_seconds:g} s"
    last = len(plan.steps) - 1
    for index, share in enumerate(plan.steps):
        after = "" if index == last else f", then {wait}"
        steps.append(("shift", f"{candidate} {percent(share)} at {', '.join(plan.points)}{after}"))
    gates = ", ".join(gate.name for gate in ports.gates) or "no gates are configured"
    steps.append(("bake", f"{plan.bake_seconds:g} s with {gates}"))
    steps.append(("keep_warm", f"{live} stays for a failback, protected for {plan.keep_warm_seconds:g} s"))
    return steps
