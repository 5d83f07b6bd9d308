"""Prometheus metrics: what is on record as gauges, read at the moment of the scrape; what happens as counters.

Names are the contract's. A label is only ever a name from the configuration or a value of a fixed set.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bluegreen import __version__
from bluegreen.control import warm_documents
from bluegreen.core import events as ev
from bluegreen.core.events import Entry
from bluegreen.fleet import Fleet
from bluegreen.model import Condition, Kind


class Metrics:
    """One registry a daemon. `published` is called with each entry, `collect` with each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("bluegreen_build_info", "Which version runs", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self.append_seconds = Histogram(
            "bluegreen_journal_append_seconds",
            "Time of a durable append to the journal",
            buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
            registry=self.registry,
        )
        self._switches = Counter(
            "bluegreen_switches", "Switches that ended", ["service", "kind", "outcome"], registry=self.registry
        )
        self._steps = Histogram(
            "bluegreen_step_duration_seconds",
            "From a step's intent to its outcome; of shift and bake, with all that they waited for",
            ["step"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600),
            registry=self.registry,
        )
        self._calls = Counter(
            "bluegreen_balancer_calls",
            "Calls to balancers",
            ["kind", "operation", "outcome"],
            registry=self.registry,
        )
        self._drift = Counter(
            "bluegreen_drift", "Times that a balancer showed what nobody here had asked for", ["service"],
            registry=self.registry,
        )  # fmt: skip
        self._kinds: dict[str, Kind] = {}
        self._began: dict[str, tuple[str, float]] = {}
        self._watching: dict[str, tuple[str, float]] = {}

    def watch(self, fleet: Fleet) -> None:
        """Read the fleet's state at each scrape; show every service from the start."""
        self.registry.register(_State(fleet))
        for name, engine in fleet.engines.items():
            self._drift.labels(name)
            for kind, outcome in itertools.product(
                Kind, _ENDS.values()
            ):  # a counter that begins with 1 has no increase
                self._switches.labels(name, kind, outcome)
            if (switch := engine.state.open_switch) is not None:
                self._kinds[switch.id] = switch.kind

    def called(self, kind: str, operation: str, outcome: str) -> None:
        """A call to a balancer ended."""
        self._calls.labels(kind, operation, outcome).inc()

    def published(self, entry: Entry) -> None:
        """An entry became durable."""
        record, event = entry.record, entry.event
        at = record.at.timestamp()
        if isinstance(event, ev.Requested) and record.switch:
            self._kinds[record.switch] = event.switch_kind
        if isinstance(event, ev.StepStarted):
            self._began[record.service] = (event.step, at)
        elif isinstance(event, ev.RestoreStarted):
            self._began[record.service] = ("restore", at)
        elif isinstance(event, _OUTCOMES) and record.service in self._began:
            step, began = self._began.pop(record.service)
            self._steps.labels(step).observe(max(at - began, 0.0))
        self._watched(record.switch or "", event, at)
        if isinstance(event, ev.DriftSeen):
            self._drift.labels(record.service).inc()
        if (outcome := _ENDS.get(type(event))) is not None:
            kind = self._kinds.pop(record.switch or "", Kind.DEPLOYMENT)
            self._switches.labels(record.service, kind, outcome).inc()

    def _watched(self, switch: str, event: ev.Event, at: float) -> None:
        """Shift and bake have no intent: they begin with what went before. A proof that is made anew begins nothing."""
        if isinstance(event, ev.SmokePassed | ev.WarmProven):
            self._watching.setdefault(switch, ("shift", at))
        elif isinstance(event, ev.Shifted | ev.Baked | ev.Aborted | ev.FailedBack | ev.Superseded):
            step, began = self._watching.pop(switch, ("", at))
            if step and isinstance(event, ev.Shifted | ev.Baked):
                self._steps.labels(step).observe(max(at - began, 0.0))
            if isinstance(event, ev.Shifted):
                self._watching[switch] = ("bake", at)
        elif isinstance(event, ev.KeptWarm):
            self._watching.pop(switch, None)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)


_ENDS: dict[type[ev.Event], Condition] = {
    ev.KeptWarm: Condition.COMPLETED,
    ev.Aborted: Condition.ABORTED,
    ev.FailedBack: Condition.FAILED_BACK,
    ev.Superseded: Condition.SUPERSEDED,
}
_OUTCOMES = (
    ev.PreflightPassed, ev.WarmProven, ev.Deployed, ev.DeployNotMade, ev.BecameHealthy, ev.SmokePassed, ev.WeightsSet,
    ev.OutcomeLost, ev.Halted, ev.Restored, ev.RestoreLost, ev.RestoreRefused,
)  # fmt: skip


class _State(Collector):
    """Gauges that are read from the state, so that they can never disagree with it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        weight = _gauge(
            "weight",
            "Percent of the traffic, as the balancer showed it last; absent while it cannot be read",
            "service",
            "environment",
            "switch_point",
        )
        readable = _gauge("switch_point_readable", "1 while the switch point can be read", "service", "switch_point")
        drifted = _gauge("drifted", "Switch points that differ from the journal and that nobody has left so", "service")
        state = _gauge("switch_state", "The switch that is open: 1 in its condition", "service", "kind", "condition")
        halted = _gauge("halted", "1 while a person is awaited at a halt", "service")
        awaiting = _gauge("awaiting_operator_seconds", "How long a person has been awaited", "service")
        claimed = _gauge("halt_claimed", "1 while somebody has said of a halt: I have it", "service")
        waited = CounterMetricFamily(
            "bluegreen_operator_wait_seconds",
            "Time in which a person was awaited, at halts and approvals",
            labels=["service"],
        )
        ready = _gauge(
            "failback_ready", "1 while a failback is possible: lawful, and every proof is good and fresh", "service"
        )
        age = _gauge(
            "failback_proof_age_seconds",
            "Age of the oldest proof of the way back; absent where there is none",
            "service",
        )
        ails = _gauge("journal_ails", "1 while something ails the journal: nothing but a failback goes on")
        ails.add_metric([], int(self._fleet.store.trouble is not None))
        now = self._fleet.clock.now()
        for name, engine in self._fleet.engines.items():
            for point, one in engine.seen.items():
                readable.add_metric([name, point], int(one.weights is not None))
                for environment in one.weights or ():
                    weight.add_metric([name, environment, point], one.share(environment) / 10)
            drifted.add_metric([name], sum(drift.left is None for drift in engine.state.drift.values()))
            switch = engine.state.open_switch
            for kind in Kind:
                for condition in (Condition.RUNNING, Condition.PAUSED, Condition.HALTED):
                    here = switch is not None and (switch.kind, switch.condition) == (kind, condition)
                    state.add_metric([name, kind, condition], int(here))
            waits = switch is not None and switch.condition is not Condition.RUNNING
            since = switch.changed_at if waits and switch is not None and switch.changed_at else now
            halted.add_metric([name], int(switch is not None and switch.condition is Condition.HALTED))
            awaiting.add_metric([name], max((now - since).total_seconds(), 0.0))
            line = engine.state.notes.line
            claimed.add_metric([name], int(line.claim is not None))
            waiting = max((now - line.since).total_seconds(), 0.0) if line.since is not None else 0.0
            waited.add_metric([name], line.waited + waiting)
            ready.add_metric([name], int(warm_documents.ready(engine, now)["ready"]))
            if (oldest := warm_documents.proof_age(engine, now)) is not None:
                age.add_metric([name], oldest)
        return (weight, readable, drifted, state, halted, awaiting, ready, age, ails, claimed, waited)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bluegreen_{name}", text, labels=labels)
