"""What is gathered at a halt, one function a source: each gives plain values or text, and may raise or hang.

Every text passes `redacted` before it is kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bluegreen import processes
from bluegreen.config import schema, values
from bluegreen.config.load import service_from_json
from bluegreen.config.placeholders import fill
from bluegreen.core import events as ev
from bluegreen.core.codec import encode
from bluegreen.core.notes.flags import differences
from bluegreen.core.state import Halt, ServiceState, Switch
from bluegreen.errors import BalancerError
from bluegreen.evidence.compared import looked, on_live
from bluegreen.evidence.measured import measured
from bluegreen.life import Glance, Sign
from bluegreen.model import Finding, percent
from bluegreen.ports import Balancer, Clock, Ports, Store
from bluegreen.steps import looks

ENTRIES_MAX = 2000


@dataclass(frozen=True, slots=True)
class Scene:
    """The halt, and what there is to ask about it. `signs` are the last signs of life, `recent` what each check found
    in its last looks; `identity` asks under which name the daemon acts at the provider, and for how long yet."""

    state: ServiceState
    switch: Switch
    halt: Halt
    ports: Ports
    store: Store
    clock: Clock
    directory: Path
    config_hash: str
    signs: Sequence[Sign]
    recent: Mapping[str, Sequence[Glance]]
    identity: Callable[[], Awaitable[Mapping[str, Any]]]


Source = Callable[[Scene], Awaitable[Any]]


async def weights(scene: Scene) -> Any:
    """Asked, on the balancer, measured."""
    balancers = scene.ports.balancers
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(looks.at_all(balancers, lambda balancer: balancer.read()))
        counting = group.create_task(looks.at_all(balancers, lambda balancer: measured(balancer, scene.clock)))
    shown, counted = reading.result(), counting.result()
    return {
        name: {
            "asked": {environment: percent(share) for environment, share in point.split.items()},
            "on record": dict(point.native),
            "on the balancer": _or_error(shown.get(name)),
            "measured": _or_error(counted.get(name)),
        }
        for name, point in scene.state.points.items()
    }


async def targets(scene: Scene) -> Any:
    """Every target with its health, by switch point and environment."""

    async def seen(balancer: Balancer) -> Any:
        found = await balancer.targets()
        return {
            environment: [
                {"id": one.id, "state": one.state, "reason": one.reason, "in_flight": one.in_flight} for one in those
            ]
            for environment, those in found.items()
        }

    return {name: _or_error(one) for name, one in (await looks.at_all(scene.ports.balancers, seen)).items()}


async def findings(scene: Scene) -> Any:
    """What was looked at, request, answer and timing of each; and what a command printed."""
    return {
        "halt": scene.halt.id,
        "cause": scene.halt.cause,
        "summary": scene.halt.summary,
        "findings": [_finding(one) for one in scene.halt.findings],
        "output": scene.halt.output,
    }


async def checks_on_live(scene: Scene) -> Any:
    """What failed, looked at on the live environment at this moment."""
    live = scene.state.live
    if live is None:
        return {"conclusions": ["it is not known which environment is live: nothing to compare with"], "findings": []}
    release = scene.state.releases.get(live)
    compared = await on_live(live, scene.state, scene.switch, scene.halt, scene.ports)
    return {
        "live": live,
        "version": release.version if release else None,
        "conclusions": compared.conclusions,
        "findings": [_finding(finding) for finding in compared.findings],
    }


async def gates(scene: Scene) -> Any:
    """Each gate now and in its last looks of this switch, and the recent signs of life of everything."""
    scene_ = scene.ports.scene(scene.switch.candidate, scene.switch.version, scene.switch.artifact)
    found = await looked({gate.name: partial(gate.look, scene_) for gate in scene.ports.gates})
    now = [_finding(finding) for finding in found.values()]
    recent = {
        gate.name: [
            {"at": one.at.isoformat(), "ok": one.ok, "summary": one.summary}
            for one in scene.recent.get(gate.name, ())
            if one.at >= scene.switch.started_at
        ]
        for gate in scene.ports.gates
    }
    signs = [{"at": sign.at.isoformat(), "what": sign.what} for sign in scene.signs]
    return {"now": now, "recent": recent, "signs of life": signs}


async def deployed(scene: Scene) -> Any:
    """What the deploy command printed last, whether it was good or not."""
    said = [
        {"at": entry.record.at.isoformat(), "summary": entry.event.summary, "output": entry.event.output}
        for entry in await _entries(scene)
        if isinstance(entry.event, ev.Deployed)
    ]
    return {"deployed": said, "at the halt": scene.halt.output}


async def journal(scene: Scene) -> Any:
    """Every entry of the switch."""
    told = []
    for entry in await _entries(scene):
        kind, data = encode(entry.event)
        record = entry.record
        told.append(
            {"seq": entry.seq, "at": record.at.isoformat(), "by": record.by, "reason": record.reason, "kind": kind,
             "data": data, "hash": entry.hash}
        )  # fmt: skip
    return told


async def _entries(scene: Scene) -> list[ev.Entry]:
    found = await scene.store.read(scene.state.service)
    return [entry for entry in found if entry.record.switch == scene.switch.id][-ENTRIES_MAX:]


async def configuration(scene: Scene) -> Any:
    """What the switch runs with, secrets as references; and whether the files say something else by now."""
    return {
        "hash": scene.switch.config_hash,
        "the files say the same": scene.config_hash == scene.switch.config_hash,
        "configuration": json.loads(scene.switch.config or "{}"),
    }


async def releases(scene: Scene) -> Any:
    """Versions and digests on both sides, and what moved with this one."""
    return {
        "environments": {
            name: {
                "role": scene.state.role(name),
                "version": release.version,
                "artifact": release.artifact,
                "since": release.since.isoformat() if release.since else None,
                "switch": release.switch,
            }
            for name, release in scene.state.releases.items()
        },
        "said to run": {name: asdict(told) for name, told in scene.state.notes.artifacts.told.items()},
        "changes": json.loads(scene.switch.changes) if scene.switch.changes else None,
    }


async def flags(scene: Scene) -> Any:
    """Feature flags now, and what they were when the release came."""
    if scene.ports.flags is None:
        return "no flags are configured"
    now, then = await scene.ports.flags.read(), scene.state.notes.flags.at_deploy(scene.switch.id)
    if then is None or then.error:
        return {"now": dict(now), "at the deployment": None, "changed": "not known: there is nothing to compare with"}
    changed = [{"flag": one.name, "then": one.before, "now": one.after} for one in differences(then.flags, now)]
    return {"now": dict(now), "at the deployment": dict(then.flags), "changed": changed}


async def people(scene: Scene) -> Any:
    """Who asked for what, and who stopped it."""
    return {
        "requested by": scene.switch.requested_by,
        "reason": scene.switch.reason,
        "halted by": scene.halt.by,
        "accepted": sorted(scene.switch.accepted),
    }


async def credentials(scene: Scene) -> Any:
    """Under which name the daemon acts, here and at the provider."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = ""
    return {"user": user, "uid": os.getuid(), "pid": os.getpid(), "provider": await scene.identity()}


async def host(scene: Scene) -> Any:
    """The daemon's own host: time, load, room on the disk."""
    disk = shutil.disk_usage(scene.directory)
    return {"now": scene.clock.now().isoformat(), "load": os.getloadavg(), "disk": disk._asdict()}


def own_command(config: schema.EvidenceCommand) -> Source:
    """One of the service's own commands, with its output and exit code."""

    async def source(scene: Scene) -> Any:
        names = scene.ports.scene(scene.switch.candidate, scene.switch.version, scene.switch.artifact).names()
        names |= {"live": scene.state.live or "", "halt": scene.halt.id, "switch": scene.switch.id}
        argv = [fill(part, names) for part in config.command]
        variables, secrets = values.filled(config.variables, names)
        done = await processes.run(
            argv, timeout=config.timeout, variables=variables, directory=config.directory, secrets=secrets
        )
        return f"{done.told(Path(argv[0]).name)}\n\n{done.output}"

    return source


SOURCES: Mapping[str, Source] = {
    "weights": weights,
    "targets": targets,
    "findings": findings,
    "checks-on-live": checks_on_live,
    "gates": gates,
    "deploy-output": deployed,
    "journal": journal,
    "configuration": configuration,
    "releases": releases,
    "flags": flags,
    "people": people,
    "credentials": credentials,
    "host": host,
}


def all_of(config: str) -> dict[str, Source]:
    """Every source by its name: the built-in ones, and the service's own commands."""
    own = service_from_json(config).evidence
    return {**SOURCES, **{f"command-{one.name}": own_command(one) for one in own}}


def part_name(name: str, found: Any) -> str:
    """The file that a source's answer is kept in."""
    return f"{name}.txt" if isinstance(found, str) else f"{name}.json"


def as_part(name: str, found: Any) -> tuple[str, bytes]:
    """That file with what is in it, without secrets."""
    text = found if isinstance(found, str) else json.dumps(found, indent=1, ensure_ascii=False, default=str)
    return part_name(name, found), values.redacted(text).encode("utf-8", "replace")


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "check": one.check, "ok": one.ok, "summary": one.summary, "advice": one.advice, "detail": dict(one.detail)
    }  # fmt: skip


def _or_error(found: Any) -> Any:
    if isinstance(found, BalancerError):
        return {"error": str(found)}
    return dict(found) if isinstance(found, Mapping) else found
