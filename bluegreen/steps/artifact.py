"""Whether the running environment runs the artifact that was given at deploy: at smoke, before each share, in a watch.

Another answer halts and is never accepted on the way forward. An operator may go past a probe that does not answer, by
its name; on the way back also past another answer: what to fail back to is a person's to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bluegreen.core import events as ev
from bluegreen.core.notes.artifacts import SILENT, WRONG
from bluegreen.core.state import Switch
from bluegreen.model import Cause, Finding, Kind
from bluegreen.ports import Ports
from bluegreen.steps import looks

SILENT_MAX = 2
"""Looks in a row without an answer that are a halt, while traffic is watched: one may be a lost call."""


async def look(switch: Switch, ports: Ports) -> tuple[Finding, ...]:
    """One finding; none where no probe is configured."""
    if ports.digest is None:
        return ()
    found = await ports.digest.look(ports.scene(switch.candidate, switch.version, switch.artifact))
    back = switch.kind is Kind.FAILBACK
    found = replace(found, acceptable=found.acceptable or back)
    if not found.ok and found.check in switch.accepted and (back or WRONG not in found.detail):
        return (looks.passed(found),)
    return (found,)


def cause(findings: Sequence[Finding], otherwise: Cause) -> Cause:
    """Another artifact is a cause of its own, whatever else failed beside it."""
    return Cause.WRONG_ARTIFACT if any(_is_wrong(one) for one in findings) else otherwise


def _is_wrong(finding: Finding) -> bool:
    return not finding.ok and WRONG in finding.detail


class Watched:
    """The probe over a watch: another answer is a halt at once, no answer twice in a row."""

    def __init__(self, switch: Switch, ports: Ports) -> None:
        self._switch, self._ports = switch, ports
        self.due = asyncio.get_running_loop().time()
        self._silent, self.good = 0, True

    async def look(self) -> ev.Halted | None:
        """Look, where its time has come; nothing where no probe is configured, or on the way back."""
        loop = asyncio.get_running_loop()
        if self._ports.digest is None or self._switch.kind is Kind.FAILBACK:
            self.due = float("inf")
            return None
        if loop.time() < self.due:
            return None
        findings = await look(self._switch, self._ports)
        self.due, self.good = loop.time() + self._ports.digest.every, looks.all_ok(findings)
        silent = any(SILENT in one.detail for one in findings)
        self._silent = 0 if self.good else self._silent + 1
        if self.good or (silent and self._silent < SILENT_MAX):
            return None
        return looks.halted(self._switch, cause(findings, Cause.GATE_FAILED), findings)
