"""What a failback would do and what it risks, from a look at the world taken now; and what an operator must have said.

It looks and judges; it changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from bluegreen.core import admit as ad
from bluegreen.core.admit_drift import no_drift
from bluegreen.core.failback import Report, first_share, report
from bluegreen.core.failback_facts import Clients, Facts, FlagMoved, PointFacts
from bluegreen.core.forward import moved_forward
from bluegreen.core.state import ServiceState
from bluegreen.engine import ServiceEngine
from bluegreen.errors import BadRequest, BalancerError, Refused, StateMoved
from bluegreen.model import Weights
from bluegreen.observe import ANSWER_SECONDS
from bluegreen.ports import Balancer
from bluegreen.steps import looks

CLIENTS_SECONDS = 4.0
"""How long a balancer is asked about its clients: a report is wanted soon, and may say `unknown`."""


NOTHING = Report((), "")


@dataclass(frozen=True, slots=True)
class FailbackPlan:
    """What a failback would do now. `id` is pinned to the state that it was made from, unsafe lines included."""

    id: str
    lawful: bool
    why_not: str
    target: str | None
    source: str | None
    version: str | None
    steps: tuple[int, ...]
    now: Mapping[str, Weights]
    after: Mapping[str, Weights]
    report: Report = NOTHING
    switch: str = ""
    """The switch that was open; empty where none was."""


async def make(
    engine: ServiceEngine, others: Mapping[str, ServiceEngine], now: datetime, *, asked_for: bool
) -> FailbackPlan:
    """The plan as of now. Ends within seconds: what does not answer by then is not known.

    `asked_for`: the failback itself is. What only tells, and makes no line unsafe, is not waited for then.
    """
    await engine.observe(ANSWER_SECONDS)
    state, setup = engine.state, engine.setup
    shown = {name: seen.weights for name, seen in engine.seen.items() if seen.weights is not None}
    steps = setup.failback.steps
    try:
        no_drift(state)
        target, source, version = ad.failback_target(state)
    except Refused as refusal:
        return FailbackPlan("", False, str(refusal), None, None, None, steps, shown, {})
    asked = {} if asked_for else {name: one for name, one in engine.ports().balancers.items() if name in shown}
    clients = await _clients(asked, first_share(state, target), now)
    points = {
        name: PointFacts(seen.targets if name in shown else None, seen.error, clients.get(name, Clients()))
        for name, seen in engine.seen.items()
    }
    neighbours = {name: others[name].state if name in others else None for name in setup.depends_on}
    facts = Facts(
        target, source, points, depends_on=neighbours, flags_configured=engine.ports().flags is not None,
        flags=_flags(state, target), readiness=engine.readiness.get(target), config=setup.config,
    )  # fmt: skip
    made, open_ = report(state, facts, now), state.open_switch
    after = {name: Weights.of({e: int(e == target) for e in setup.environments}) for name in state.points}
    id_ = _plan_id(state, target, shown, made, (setup.failback.steps, setup.failback.wait_seconds))
    return FailbackPlan(id_, True, "", target, source, version, steps, shown, after, made, open_.id if open_ else "")


def must_be_said(
    service: str, now: FailbackPlan, plan: str | None, acknowledge: Collection[str], confirm: str | None
) -> None:
    """Whether the asker has seen this plan, and said all that it takes. `plan` None: whichever it is.

    Raises StateMoved where the plan is another one now; BadRequest with each unsafe line that was not acknowledged, and
    where the service's name was not typed though there are such lines.
    """
    if not now.lawful:
        return  # the core says why, in the same words for everybody
    if plan is not None and plan != now.id:
        raise StateMoved(f"plan {plan} was made from another state", f"look again: the plan is {now.id} now")
    unsafe = now.report.unsafe()
    errors = {line.id: line.text for line in unsafe if line.id not in acknowledge}
    if errors:
        what = f"unsafe and not acknowledged: {', '.join(errors)}"
        raise BadRequest(what, errors, "read each of these lines, and name its id in `acknowledge`; nothing was moved")
    known = {line.id for line in now.report.lines}
    if strange := sorted(set(acknowledge) - known):
        what = f"not in this plan's report: {', '.join(strange)}"
        raise BadRequest(what, dict.fromkeys(strange, "no line of the report has this id"), "nothing was moved")
    if unsafe and confirm is None:
        wanted = {"confirm": f"missing: there are unsafe lines; wanted the service's name, {service}"}
        raise BadRequest("the service's name was not typed", wanted, "nothing was moved")
    if confirm is not None and confirm != service:
        raise BadRequest("this is not the service's name", {"confirm": f"wanted {service}"}, "nothing was moved")


def _flags(state: ServiceState, target: str) -> tuple[FlagMoved, ...] | None:
    """What changed since the deployment by which `target` ceased to be live alone; None where that is not known."""
    flags, moved, absent = state.notes.flags, moved_forward(state, target), "not there"
    led_away = next((one.switch for one in moved.releases if one.exposed_at is not None), None)
    if not moved.whole or led_away is None or flags.change_unknown(led_away):
        return None
    return tuple(
        FlagMoved(one.name, absent if one.before is None else one.before, absent if one.after is None else one.after)
        for one in flags.changed_since_deploy(led_away)
    )


async def _clients(balancers: Mapping[str, Balancer], since: datetime | None, now: datetime) -> dict[str, Clients]:
    async def one(balancer: Balancer) -> Clients:
        try:
            async with asyncio.timeout(CLIENTS_SECONDS):
                return await balancer.clients(since, now)
        except TimeoutError:
            return Clients(why=f"no answer within {CLIENTS_SECONDS:g} s")
        except BalancerError as error:
            return Clients(why=error.what)
        except Exception as error:  # a defect in one driver must not keep an operator from failing back
            return Clients(why=f"a defect of bluegreen itself: {type(error).__name__}: {error}")

    told = await looks.at_all(balancers, one)
    return {name: one_ if isinstance(one_, Clients) else Clients(why=one_.what) for name, one_ in told.items()}


def _plan_id(
    state: ServiceState, target: str, shown: Mapping[str, Weights], made: Report, pace: tuple[tuple[int, ...], object]
) -> str:
    """The same for the same facts: who is live, where it would go and by which steps, which switch is open or was the
    last one, what the balancers show, and what is not safe about it."""
    switch = state.switch
    halt = switch.halt.id if switch and switch.condition.is_open and switch.halt else None
    facts = [state.service, state.live, target, switch.id if switch else None, halt]
    splits = {name: {e: weights.share(e) for e in weights} for name, weights in sorted(shown.items())}
    unsafe = sorted(line.id for line in made.unsafe())
    return "fb-" + hashlib.sha256(json.dumps([facts, splits, unsafe, pace], sort_keys=True).encode()).hexdigest()[:12]
