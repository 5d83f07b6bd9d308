"""Which hand carries out which look. The two steps that change something are the engine's own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from bluegreen.core import events as ev
from bluegreen.core import steps as st
from bluegreen.core.state import ServiceState, Switch
from bluegreen.model import Phase
from bluegreen.ports import Clock, Ports, Store
from bluegreen.steps import preflight, shift, smoke, wait_healthy, watch

_PHASES = {st.Preflight: Phase.PREFLIGHT, st.ProveWarm: Phase.PREFLIGHT, st.WaitHealthy: Phase.WAIT_HEALTHY,
           st.Smoke: Phase.SMOKE}  # fmt: skip


def phase_of(step: st.Step | None) -> Phase | None:
    """The phase that a look with an intent of its own belongs to; None for everything else."""
    return _PHASES.get(type(step)) if step is not None else None


def look(
    step: st.Step, switch: Switch, state: ServiceState, ports: Ports, store: Store, clock: Clock
) -> Coroutine[Any, Any, ev.Event]:
    """What looks for this step, not begun yet."""
    match step:
        case st.Preflight():
            return preflight.run(switch, state, ports, store)
        case st.ProveWarm():
            return smoke.prove_warm(switch, state, ports, clock)
        case st.WaitHealthy():
            return wait_healthy.run(switch, ports, clock)
        case st.Smoke():
            return smoke.run(switch, state, ports)
        case st.Watch():
            return watch.run(step, switch, ports, clock)
        case st.LookUp():
            return shift.look_up(step, switch, ports, clock)
    raise AssertionError(f"no hand for {step}")
