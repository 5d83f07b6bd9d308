"""What happens in the demo, act by act, and what the visitor is told of it. It acts by `bluegreen`'s own commands."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bluegreen.cli.follow import ENDS, Told, ending
from bluegreen.clock import SystemClock
from bluegreen.demo.figures import Step, steps_of, steps_table, summary
from bluegreen.demo.layout import SERVICE
from bluegreen.demo.screen import Stage, live_line
from bluegreen.demo.traffic import Traffic
from bluegreen.demo.world import World
from bluegreen.errors import BlueGreenError, DaemonUnreachable, StoreError

LOOK_EVERY = 0.2
"""Seconds between two looks at the daemon; the live line comes once a second."""

FIRST_LOOK = 1.5
"""Seconds of traffic on v1 alone, so that the visitor sees what there is before it changes."""

LAST_LOOK = 1.5
"""Seconds of traffic after the failback: all of it must be on v1."""

SETTLE = 0.3
"""Seconds in which answers that were in flight at the switch may still come from the other side."""

Document = dict[str, Any]


class Story:
    """Acts on one world, in front of one stage."""

    def __init__(self, world: World, traffic: Traffic, stage: Stage) -> None:
        self._world, self._traffic, self._stage = world, traffic, stage
        self._told: dict[str, Told] = {}
        self._ended: set[str] = set()
        self._service: Document | None = None
        self._switch: Document = {}
        self._clock = SystemClock()
        self._epoch = self._clock.now().timestamp() - asyncio.get_running_loop().time()
        self._switches: list[tuple[Document, list[Step]]] = []

    # --- acts ---

    def introduce(self) -> None:
        """What there is, and where."""
        layout, daemon = self._world.layout, self._world.daemon
        self._stage.tell(
            "",
            f"  balancer  HAProxy, pid {self._world.haproxy_pid}   {layout.shop}",
            f"  blue      v1, live            port {layout.ports['blue']}",
            f"  green     nothing yet         port {layout.ports['green']}",
            f"  traffic   {self._traffic.connections} kept-alive connections, {self._traffic.rate:g} requests a second",
            f"  daemon    bluegreen serve, pid {daemon.pid}   {layout.config}",
            f"  page      {layout.page}",
            "",
        )

    async def deploy(self, version: str) -> None:
        """Deploy over what is live, and watch it to its end."""
        await self._watch(_after(FIRST_LOOK))
        await self._command("deploy", SERVICE, version)
        await self._watch(self._ended_as("deployment"))
        await self._keep_figures(version)

    async def fail_back(self, reason: str) -> None:
        """Move the traffic back to v1, as an operator would."""
        before = self._switch.get("id")
        async with asyncio.TaskGroup() as group:
            # it follows the failback to its end, as this story does: its own words would say everything twice
            group.create_task(self._command("failback", SERVICE, "--yes", "--reason", reason, quiet=True))
            await self._watch(lambda: self._switch.get("id") != before and self._ended_as("failback")())
        await self._keep_figures("v1")

    async def go_on(self) -> None:
        """Show what happens until the visitor has seen enough."""
        await self._watch(lambda: False)

    def sum_up(self) -> None:
        """What the last switch was like for the clients."""
        switch, steps = self._switches[-1]
        figures = self._traffic.figures()
        title = f"{switch['kind']} of {switch['version'] or 'v1'}: {switch['condition']}"
        self._stage.tell("", self._stage.ink(title, "head"), *steps_table(steps), "")
        ink = "bad" if figures.failed else "good"
        self._stage.tell(self._stage.ink(summary(figures, self._traffic.connections), ink))

    def suggest(self) -> None:
        """What to try next, with commands that work as they stand."""
        layout = self._world.layout
        self._stage.tell(
            "",
            self._stage.ink("Now it is your turn. In another terminal:", "head"),
            "",
            *(f"  {line}" for line in _preparations(layout.config)),
            "",
            "  bluegreen status shop                  # who is live, what is kept warm; `watch` shows it live",
            "  bluegreen failback shop                # the way back: it shows the plan, and asks for the name",
            "  bluegreen deploy shop v3 --wait        # then this: v3 is broken, a smoke check halts it before traffic",
            "  bluegreen explain shop                 # what happened, where traffic is, which ways there are",
            "  bluegreen abort shop                   # end it; v3 never had a request",
            "  bluegreen deploy shop v4 --wait        # passes smoke, leaks under load: a gate halts it on its way",
            "  bluegreen failback shop                # a halt never moves traffic back: you do",
            f"  kill -9 {self._world.daemon.pid:<31}# the daemon: traffic flows on, and it comes back",
            "",
            f"  the page: {layout.page}",
            f"  the files: {layout.directory}",
            "",
            "Traffic goes on; Ctrl-C ends everything and leaves nothing behind.",
            "",
        )

    async def judge(self) -> list[str]:
        """The figures of the scripted run, told; gives what is not as promised."""
        await self._watch(_after(SETTLE))
        before = self._traffic.figures()
        await self._watch(_after(LAST_LOOK))
        figures = self._traffic.figures()
        final = dict(Counter(figures.answers) - Counter(before.answers))
        faults = self._faults(final)
        for switch, steps in self._switches:
            self._stage.tell("", f"{switch['kind']}: {switch['condition']}", *steps_table(steps))
        self._stage.tell("", summary(figures, self._traffic.connections))
        self._stage.tell(*([f"FAILED: {fault}" for fault in faults] or ["as promised: nothing failed"]))
        if self._stage.screen.json:
            self._stage.screen.document(self._document(final, faults))
        return faults

    # --- judging ---

    def _faults(self, final: Mapping[str, int]) -> list[str]:
        figures, connections = self._traffic.figures(), self._traffic.connections
        faults = [f"{count} requests failed: {kind}" for kind, count in figures.failures.items()]
        for switch, _ in self._switches:
            if switch["condition"] != "completed":
                faults.append(f"the {switch['kind']} ended as {switch['condition']}")
        if set(final) != {"v1"}:
            faults.append(f"after the failback the answers came from {dict(final) or 'nobody'}, wanted v1 alone")
        if not figures.answers.get("v2"):
            faults.append("v2 never answered: nothing was switched")
        if figures.opened != connections:
            faults.append(f"{figures.opened} connections were opened for {connections}: some were torn")
        return faults

    def _document(self, final: Mapping[str, int], faults: list[str]) -> Document:
        figures = self._traffic.figures()
        return {
            "ok": not faults,
            "faults": faults,
            "requests": figures.requests,
            "failures": figures.failed,
            "failures_by_kind": dict(figures.failures),
            "answers": dict(figures.answers),
            "final_answers": dict(final),
            "longest_gap_ms": round(figures.longest_gap * 1000, 1),
            "connections": self._traffic.connections,
            "connections_opened": figures.opened,
            "rate": self._traffic.rate,
            "switches": [
                {key: switch[key] for key in ("id", "kind", "version", "condition", "started_at", "ended_at")}
                | {"steps": [asdict(step) for step in steps]}
                for switch, steps in self._switches
            ],
        }

    async def _keep_figures(self, version: str) -> None:
        """The steps of the switch that has just ended, while its answers are still remembered."""
        await self._watch(_after(SETTLE))
        events = await self._world.events()
        steps = steps_of(events, self._switch, version, self._answered, self._clock.now().timestamp())
        self._switches.append((self._switch, steps))

    def _answered(self, begin: float, end: float) -> Mapping[str, int]:
        return self._traffic.answered(begin - self._epoch, end - self._epoch)

    # --- watching ---

    async def _command(self, *arguments: str, quiet: bool = False) -> None:
        """A command of bluegreen, shown with what it prints; `quiet`: only where it fails. Raises where it fails."""
        self._stage.tell(self._stage.ink(f"$ bluegreen {' '.join(_quoted(a) for a in arguments)}", "head"))
        code, printed = await self._world.command(*arguments)
        if code or not quiet:
            self._stage.tell(*(f"  {line}" for line in printed.strip().splitlines()))
        if code:
            raise BlueGreenError(f"`bluegreen {' '.join(arguments)}` ended with exit code {code}")

    async def _watch(self, done: Callable[[], bool]) -> None:
        """Look at the daemon and at the traffic until `done`: news as they come, the live line once a second."""
        loop = asyncio.get_running_loop()
        due, before = loop.time() + 1.0, self._traffic.figures()
        while True:
            await self._look()
            if done():
                return
            if loop.time() >= due:
                now, due = self._traffic.figures(), due + 1.0
                at = f"{self._clock.now().astimezone():%H:%M:%S}"
                self._stage.live(at, live_line(before, now, self._service, self._stage.ink))
                before = now
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        try:
            service = self._service = await self._world.service()
        except (DaemonUnreachable, StoreError):
            self._service = None  # the live line says so; the keeper tells why
            return
        if service["switch"] is None:
            return
        switch = self._switch = service["switch"]
        told = self._told.setdefault(switch["id"], Told())
        for line in told.news(switch):
            self._stage.tell(f"    {line}")
        key = f"{switch['id']} {switch['condition']} {(switch['halt'] or {}).get('id')}"
        if switch["condition"] in ENDS and key not in self._ended:
            self._ended.add(key)
            self._stage.tell(*(f"  {line}" for line in ending(service, switch, self._stage.screen)))

    def _ended_as(self, kind: str) -> Callable[[], bool]:
        """Whether the last switch is of that kind and goes on no more."""
        return lambda: self._switch.get("kind") == kind and self._switch["condition"] in ENDS


def _after(seconds: float) -> Callable[[], bool]:
    until = asyncio.get_running_loop().time() + seconds
    return lambda: asyncio.get_running_loop().time() >= until


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument


def _preparations(config: Path) -> list[str]:
    """What another terminal needs, so that `bluegreen` is found there and talks to this daemon."""
    script = Path(sys.executable).parent / "bluegreen"
    lines = [f"export BLUEGREEN_CONFIG={config}"]
    found = shutil.which("bluegreen")
    if not script.exists():
        lines.append(f'bluegreen() {{ {sys.executable} -m bluegreen "$@"; }}')
    elif found is None or os.path.realpath(found) != os.path.realpath(script):
        lines.append(f"export PATH={script.parent}:$PATH")
    return lines
