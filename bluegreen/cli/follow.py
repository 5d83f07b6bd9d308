"""Follows a switch to its end: a line for each change, through restarts of the daemon. It only reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bluegreen.cli.client import Client
from bluegreen.cli.findings import option_lines
from bluegreen.cli.screen import Screen
from bluegreen.cli.words import Document, clean, clock, share
from bluegreen.errors import DaemonUnreachable, ExitCode, StoreError

EVERY = 0.5
SILENCE = 30.0
"""Seconds without an answer after which that is said with advice, once."""

EVIDENCE_SECONDS = 12.0
"""A little more than the daemon takes to seal what it found, whatever hangs."""

ENDS = {
    "completed": ExitCode.DONE,
    "halted": ExitCode.HALTED,
    "aborted": ExitCode.FAILED,
    "failed_back": ExitCode.FAILED,
    "superseded": ExitCode.FAILED,
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to follow: `timeout` in seconds (None: to the end); `no_pause`: a pause is an end too."""

    timeout: float | None = None
    no_pause: bool = False


def follow(client: Client, switch: Document, screen: Screen, patience: Patience) -> tuple[int, Document]:
    """Show the switch until it ends, halts, or patience does. Gives the exit code and the last document.

    A wait for a person has no end of its own: Ctrl-C (KeyboardInterrupt) or `timeout` ends the following, never the
    switch.
    """
    until = None if patience.timeout is None else time.monotonic() + patience.timeout
    told, silence, kept = Told(), Silence(screen), Kept()
    while True:
        screen.lines(told.news(switch))
        condition = switch["condition"]
        if condition in ENDS and not kept.awaited(switch):
            return ENDS[condition], switch
        if condition == "paused" and patience.no_pause:
            screen.notice(_awaited(switch))
            return ExitCode.PAUSED, switch
        if until is not None and time.monotonic() >= until:
            screen.notice(f"the time is up; the switch goes on: bluegreen watch {switch['service']}")
            return ExitCode.TIMEOUT, switch
        time.sleep(EVERY if until is None else max(0.0, min(EVERY, until - time.monotonic())))
        switch = silence.ask(client, switch)


def ending(service: Document, switch: Document, screen: Screen) -> list[str]:
    """What a person needs to know at the end of a switch: at a halt, why, and which ways there are."""
    name = switch["service"]
    version = switch["version"] or "an unnamed version"
    if switch["condition"] != "halted":
        by = f" by {switch['ended_by']}" if switch.get("ended_by") not in (None, "daemon") else ""
        return [f"{switch['kind']} {switch['id']} of {version}: {switch['condition'].replace('_', ' ')}{by}"]
    halt = switch["halt"]
    if is_done(switch):
        done = f"{switch['kind']} {switch['id']} of {version}: done; it waits for a person. When the daemon is back, it"
        return [done, f"stays halted until it is told to go on: bluegreen resume {name}"]
    told = [f"{screen.ink('HALTED', 'bad')}  {name}  {halt['id']}: {clean(halt['summary'])}"]
    told += [f"  {clean(halt['advice'])}"] if halt.get("advice") else []
    told.append("  Traffic stays as it is until a person decides.")
    told += option_lines([option for option in service["options"] if option["lawful"]], screen.ink)
    return [*told, f"  all of it: bluegreen explain {name}"]


def is_done(switch: Document) -> bool:
    """Whether it halted only because it was done without the daemon: nothing is left to do."""
    return switch["condition"] == "halted" and bool(switch["halt"]["cause"] == "without_daemon")


def _progress(switch: Document) -> str:
    condition = switch["condition"].replace("_", " ")
    step = "" if switch["step"] == condition else f"  {clean(switch['step'])}"
    where = "" if switch.get("share") is None else f"  {switch['candidate']} {share(switch['share'])}"
    return f"{condition}{step}{where}"


def _awaited(switch: Document) -> str:
    name = switch["service"]
    if switch.get("awaiting") == "approval":
        return f"an approval is awaited: bluegreen approve {name}"
    return f"a person is awaited: bluegreen resume {name}"


@dataclass(slots=True)
class Told:
    """What was shown of a switch already."""

    seen: tuple[object, ...] = ()
    operations: dict[int, tuple[object, ...]] = field(default_factory=dict)

    def news(self, switch: Document) -> Iterator[str]:
        """The lines for what is new."""
        for at, one in enumerate(switch["operations"]):
            shown = (one["step"], one["outcome"])
            if self.operations.get(at) != shown and one["outcome"] != "not done":
                self.operations[at] = shown
                detail = f"  {clean(one['detail'])}" if one.get("detail") else ""
                yield f"{clock(one.get('at') or switch['changed_at'])}    {one['outcome']}  {one['step']}{detail}"
        seen = tuple(switch.get(key) for key in ("condition", "phase", "step", "share", "awaiting"))
        if seen != self.seen:
            self.seen = seen
            yield f"{clock(switch['changed_at'])}  {_progress(switch)}"
            if switch["condition"] == "paused":
                yield f"  {_awaited(switch)}"


@dataclass(slots=True)
class Kept:
    """At a halt the daemon keeps the evidence before it offers a way on: that is waited for, for seconds."""

    until: float | None = None

    def awaited(self, switch: Document) -> bool:
        """Whether the ways on are still to come."""
        if (switch.get("evidence") or {}).get("state") != "gathering":
            return False
        self.until = self.until or time.monotonic() + EVIDENCE_SECONDS
        return time.monotonic() < self.until


@dataclass(slots=True)
class Silence:
    """A daemon that does not answer may be restarting: the switch is in its journal, so the question is asked again."""

    screen: Screen
    since: float | None = None
    advised: bool = False

    def ask(self, client: Client, last: Document) -> Document:
        """The switch now; where no answer comes, as it was at last."""
        try:
            switch = client.get("switches", last["id"])
        except (DaemonUnreachable, StoreError) as error:
            self._silent(error)
            return last
        if self.since is not None:
            self.screen.notice("the daemon answers again")
            self.since, self.advised = None, False
        return switch

    def _silent(self, error: DaemonUnreachable | StoreError) -> None:
        if self.since is None:
            self.since = time.monotonic()
            self.screen.notice(f"{error.what}; the switch is in its journal; asking again until it answers")
        elif not self.advised and time.monotonic() - self.since >= SILENCE:
            self.advised = True
            self.screen.notice(f"no answer for {SILENCE:.0f} s: {error.advice}")
