"""The guards that operators made of halts: they look in a preflight beside those of the service's file.

One in shadow halts nothing: what it would have done is told. A guard of the same name in the file goes before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from bluegreen.core import lessons
from bluegreen.core.notes.lessons import ENFORCING, GUARD, SHADOW_BAD, SHADOW_GOOD, Guard
from bluegreen.core.state import ServiceState
from bluegreen.errors import BlueGreenError
from bluegreen.model import Finding
from bluegreen.ports import Ports, Scene
from bluegreen.steps import looks


async def look(state: ServiceState, ports: Ports, scene: Scene, accepted: Collection[str]) -> tuple[Finding, ...]:
    """A finding for each guard, the file's and those on record; and last, which past halts they now cover."""
    findings = list(await looks.all_checks(ports.guards, scene, frozenset(accepted)))
    part = state.notes.lessons
    taken = {check.name for check in (*ports.smoke, *ports.gates, *ports.guards)}
    for guard in part.guards.values():
        if guard.name not in taken:
            findings.append(_judged(guard, await _look_once(guard, ports, scene), state, accepted))
    passed = {found.check for found in findings if found.ok and found.check not in accepted}
    covers = lessons.coverage(lessons.covered(part, {check.name for check in ports.guards}, passed))
    return (*findings, covers) if covers is not None else tuple(findings)


async def _look_once(guard: Guard, ports: Ports, scene: Scene) -> Finding:
    try:
        check = ports.open_guard(guard.check)
    except BlueGreenError as error:
        advice = f"bluegreen guard remove {scene.service} {guard.name}"
        return Finding(guard.name, False, f"this program cannot read the guard: {error.what}", advice, acceptable=True)
    try:
        return replace(await check.look(scene), acceptable=True)
    finally:
        await check.close()


def _judged(guard: Guard, found: Finding, state: ServiceState, accepted: Collection[str]) -> Finding:
    """What the guard's finding means to the preflight."""
    if guard.shadow:
        fared, summary = (SHADOW_GOOD, "good") if found.ok else (SHADOW_BAD, f"would have failed: {found.summary}")
        detail = {**found.detail, GUARD: fared}
        return replace(found, ok=True, summary=f"shadow: {summary}", advice="", detail=detail)
    found = replace(found, detail={**found.detail, GUARD: ENFORCING})
    if found.ok:
        return found
    return looks.unless_accepted(_reminding(guard, found, state), accepted)


def _reminding(guard: Guard, found: Finding, state: ServiceState) -> Finding:
    """With what it was made of: whoever is stopped by it need not ask why it is there."""
    parts: Sequence[str] = (found.advice, lessons.made_of(state.notes.lessons, guard))
    return replace(found, advice="; ".join(part for part in parts if part))
