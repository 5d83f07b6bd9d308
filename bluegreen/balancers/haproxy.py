"""One backend of HAProxy over its Runtime API: no reload, no connection closed. HAProxy 2.4 and later.

Facts that this room is built on (measured on 2.6 and 2.8): `set server … weight` takes effect in less than a
millisecond; raising before lowering, in one line, lost no request where the other order lost some; a reload or a crash
brings back the weights of the configuration, unless the server-state file was written after each change.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from bluegreen.balancers.haproxy_clients import clients_of, uptime
from bluegreen.balancers.haproxy_targets import look_at
from bluegreen.balancers.runtime_api import RuntimeApi, number, server_rows, stat_rows
from bluegreen.config.schema import HAProxyPoint
from bluegreen.core.failback_facts import Clients
from bluegreen.errors import BalancerError, Drifted, OutcomeUnknown, Rejected
from bluegreen.model import UNPROVEN, WHOLE, Finding, Target, Weights

WEIGHT_MAX = 256
ERROR_TENTHS_MAX = 1.0
"""How far the nearest split that whole weights can express may be from the one asked for: 0.1 percentage points."""
FOLLOWS_WEIGHTS = ("roundrobin", "leastconn", "unknown")
"""Algorithms that follow weights set at run time; HAProxy 2.6 and 2.8 call `random` "unknown"."""
IGNORES_WEIGHTS = ("static-rr", "first")
MAINTENANCE, DRAIN = 0x01 | 0x02, 0x08 | 0x10
"""Bits of srv_admin_state that somebody's hand sets, on the server itself or on one that it tracks. The others are
no hand's: 0x04 only recalls `disabled` in the configuration, 0x20 is a failed name resolution, 0x40 a name set."""
NO_BACKEND = "Can't find backend"

States = Mapping[str, Mapping[str, str]]
"""Rows of `show servers state` by the server's name."""


class HAProxyBalancer:
    """ports.Balancer. An environment's native weight is the sum of its servers' weights; each has the same."""

    kind = "haproxy"
    settle = 0.0

    def __init__(self, point: HAProxyPoint, name: str, environments: tuple[str, ...]) -> None:
        self.point = name
        self._environments = environments
        self._backend = point.backend
        self._servers = {environment: tuple(point.servers[environment]) for environment in environments}
        self._state_file = Path(point.state_file) if point.state_file else None
        self._api = RuntimeApi(point.socket, point.timeout)

    def native(self, split: Weights) -> Weights:
        """See ports.Balancer: the whole weights of 1 to 256 a server that come nearest to the split."""
        if not split.total:
            raise Rejected(f"{self.point}: no environment would get traffic")
        counts = {name: len(servers) for name, servers in self._servers.items()}
        best = nearest(split, counts)
        error = max(abs(best.share(name) - split.share(name)) for name in counts)
        if error > ERROR_TENTHS_MAX:
            raise Rejected(
                f"{self.point}: HAProxy cannot express {split}; the nearest is {best}",
                "take steps that it can express: weights are whole numbers from 1 to 256 a server",
            )
        return best

    async def read(self) -> Weights:
        """See ports.Balancer. A server in drain or maintenance counts 0: that is what it gets."""
        return self._shown(await self._states())

    async def write(self, expected: Weights, target: Weights) -> None:
        """See ports.Balancer. Weights that were set but not written through to the state file are OutcomeUnknown: the
        look-up finds them, and the journal keeps what failed. Raises Rejected, too, where servers in drain or
        maintenance would keep the target from being what users get."""
        states = await self._states()
        shown = self._shown(states)
        if not shown.same_split(expected):
            raise Drifted(f"{self.point} shows {shown}, expected was {expected}", expected, shown)
        wanted = self._wanted(states, target)
        await self._api.change(self._commands(states, shown, wanted))
        if self._state_file is not None:
            await self._write_through(self._state_file)

    async def targets(self) -> Mapping[str, tuple[Target, ...]]:
        """See ports.Balancer. A server that HAProxy does not check is asked for a TCP connection by ourselves."""
        states = await self._states()
        stats = {row["svname"]: row for row in await self._stats() if row["pxname"] == self._backend}
        async with asyncio.TaskGroup() as group:
            looks = {
                name: [group.create_task(look_at(server, stats.get(server), states[server])) for server in servers]
                for name, servers in self._servers.items()
            }
        return {name: tuple(look.result() for look in of_one) for name, of_one in looks.items()}

    async def examine(self) -> tuple[Finding, ...]:
        """See ports.Balancer."""
        try:
            level = (await self._api.ask("show cli level")).strip()
            stats = await self._stats()
        except BalancerError as error:
            return (Finding(f"{self.point}: reachable", ok=False, summary=error.what, advice=error.advice),)
        return (
            Finding(f"{self.point}: reachable", ok=True, summary=f"HAProxy answers at {self._api.address}"),
            Finding(
                f"{self.point}: permitted",
                ok=level == "admin",
                summary=f"the socket has level {level}",
                advice="" if level == "admin" else "weights need `level admin` in HAProxy's `stats socket`",
            ),
            await self._servers_finding(),
            self._algorithm_finding(stats),
            self._state_file_finding(),
        )

    async def trace(self, since: datetime) -> None:
        """See ports.Balancer. Nobody keeps a record of who changed it."""

    async def clients(self, since: datetime | None, now: datetime) -> Clients:
        """See ports.Balancer. HAProxy counts from its own start, be that before a release came or after it."""
        rows = [row for row in await self._stats() if row["pxname"] == self._backend]
        told = clients_of(rows, await self._api.ask("show table"))
        age = uptime(await self._api.ask("show info"))
        if since is None or age is None:
            return told
        served, latest = self._given(rows), now - timedelta(seconds=age)  # told in whole seconds, the last not counted
        if latest - timedelta(seconds=1) > since:
            return replace(told, requests=served)
        return replace(told, requests_most=served) if latest <= since else told

    async def served(self) -> Mapping[str, int]:
        """See ports.Balancer. `stot` of each server: what it was given since HAProxy's start."""
        return self._given([row for row in await self._stats() if row["pxname"] == self._backend])

    async def close(self) -> None:
        """See ports.Balancer. No connection is kept."""

    # --- parts ---

    def _given(self, rows: list[dict[str, str]]) -> dict[str, int]:
        given = {row["svname"]: int(row["stot"] or 0) for row in rows}
        return {name: sum(given.get(server, 0) for server in servers) for name, servers in self._servers.items()}

    async def _states(self) -> States:
        answer = await self._api.ask(f"show servers state {self._backend}")
        if answer.startswith(NO_BACKEND):
            known = (await self._api.ask("show backend")).split()[2:]  # after the header, `# name`
            raise Rejected(
                f"HAProxy at {self._api.address} has no backend {self._backend}",
                f"mend `backend`: it has {', '.join(known) or 'none'}",
            )
        states = {row["srv_name"]: row for row in server_rows(answer)}
        missing = [server for servers in self._servers.values() for server in servers if server not in states]
        if missing:
            raise Rejected(
                f"backend {self._backend} has no server {', '.join(missing)}",
                f"it has {', '.join(sorted(states)) or 'none'}",
            )
        return states

    async def _stats(self) -> list[dict[str, str]]:
        return stat_rows(await self._api.ask("show stat"))

    def _shown(self, states: States) -> Weights:
        return Weights.of(
            {
                name: sum(0 if _held(states[server]) else number(states[server], "srv_uweight") for server in servers)
                for name, servers in self._servers.items()
            }
        )

    def _wanted(self, states: States, target: Weights) -> dict[str, int]:
        """The weight of each server of an environment. Raises Rejected where it would not give users the target."""
        wanted: dict[str, int] = {}
        for name, servers in self._servers.items():
            wanted[name], rest = divmod(target.get(name, 0), len(servers))
            if rest or wanted[name] > WEIGHT_MAX:
                raise Rejected(f"{self.point}: {target.get(name, 0)} is not a weight of {len(servers)} servers")
        if not target.total or set(target) - set(wanted):
            raise Rejected(f"{self.point}: {dict(target)} is not a split between {', '.join(wanted)}")
        held = [server for servers in self._servers.values() for server in servers if _held(states[server])]
        given = Weights.of(
            {name: wanted[name] * sum(s not in held for s in servers) for name, servers in self._servers.items()}
        )
        if not given.same_split(target):
            raise Rejected(
                f"{self.point}: {', '.join(held)} in drain or maintenance: asked for {target}, users would get"
                f" {given if given.total else 'nothing'}",
                f"`set server {self._backend}/{held[0]} state ready` on HAProxy's socket brings a server back",
            )
        return wanted

    def _commands(self, states: States, shown: Weights, wanted: Mapping[str, int]) -> list[str]:
        """One `set server` a server, in an order in which the sum is never 0: all that rise, then all that fall.

        Of those that rise, the ones with traffic first: a new one never stands for a moment beside a small old one.
        """
        moves = [
            (weight <= number(states[server], "srv_uweight"), -shown[name], server, weight)
            for name, weight in wanted.items()
            for server in self._servers[name]
        ]
        return [f"set server {self._backend}/{server} weight {weight}" for _, _, server, weight in sorted(moves)]

    async def _write_through(self, file: Path) -> None:
        try:
            states = await self._api.ask("show servers state")
            await asyncio.to_thread(_replace, file, states)
        except (BalancerError, OSError) as error:
            raise OutcomeUnknown(
                f"{self.point}: the weights were sent, but {file} was not written: {error}",
                "a reload of HAProxy would bring back the old weights: mend the file's rights",
            ) from error

    async def _servers_finding(self) -> Finding:
        name = f"{self.point}: servers"
        every = [server for servers in self._servers.values() for server in servers]
        if twice := sorted({server for server in every if every.count(server) > 1}):
            summary = f"named more than once: {', '.join(twice)}"
            return Finding(name, ok=False, summary=summary, advice="each server belongs to one environment, once")
        try:
            states = await self._states()
            summary = f"backend {self._backend} shows {self._shown(states)}"
        except BalancerError as error:
            return Finding(name, ok=False, summary=error.what, advice=error.advice)
        held = [server for server in every if _held(states[server])]
        advice = f"in drain or maintenance: {', '.join(held)}; a share that needs them is refused" if held else ""
        return Finding(name, ok=True, summary=summary, advice=advice)

    def _algorithm_finding(self, stats: list[dict[str, str]]) -> Finding:
        name = f"{self.point}: weighted"
        ours = (row for row in stats if (row["pxname"], row["svname"]) == (self._backend, "BACKEND"))
        algorithm = next((row.get("algo", "") for row in ours), "")
        if algorithm in IGNORES_WEIGHTS:
            advice = "use `balance roundrobin`: it follows weights at once"
            return Finding(name, ok=False, summary=f"balance {algorithm} takes no weights at run time", advice=advice)
        sure = algorithm in FOLLOWS_WEIGHTS
        return Finding(
            name,
            ok=True,
            summary=f"balance {algorithm or 'is not told'}",
            advice=""
            if sure
            else "not proven: an algorithm that hashes follows weights with `hash-type consistent` only",
            detail={} if sure else {UNPROVEN: "yes"},
        )

    def _state_file_finding(self) -> Finding:
        name, file = f"{self.point}: survives a reload", self._state_file
        if file is None:
            return Finding(
                name,
                ok=True,
                summary="not proven: no state_file is configured",
                advice="a reload of HAProxy brings back the weights of its configuration: set `state_file`",
                detail={UNPROVEN: "yes"},
            )
        able = os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))
        return Finding(
            name,
            ok=able,
            summary=f"weights are written through to {file}" if able else f"{file} cannot be written",
            advice="" if able else "give the daemon the right to write it and its directory",
        )


def nearest(split: Weights, counts: Mapping[str, int]) -> Weights:
    """The whole weights a server (1 to 256) whose sums come nearest to the split; among equals, those near 100 in sum.

    An environment without a share gets 0; one with a share never does. `counts`: servers by environment.
    """
    wanted = {name: split.get(name, 0) / count for name, count in counts.items()}
    most = max(wanted.values())
    best: tuple[float, int, dict[str, int]] | None = None
    for top in range(1, WEIGHT_MAX + 1):
        single = {name: max(round(top * want / most), 1) if want else 0 for name, want in wanted.items()}
        sums = {name: weight * counts[name] for name, weight in single.items()}
        total = sum(sums.values())
        error = max(abs(sums[name] / total - split.get(name, 0) / WHOLE) for name in counts)
        rank = (round(error, 9), abs(sum(single.values()) - 100), sums)
        if best is None or rank[:2] < best[:2]:
            best = rank
    if best is None:
        raise AssertionError("there is always a nearest")
    return Weights.of(best[2])


def _held(state: Mapping[str, str]) -> bool:
    """Whether somebody keeps the server from getting traffic."""
    return bool(number(state, "srv_admin_state") & (MAINTENANCE | DRAIN))


def _replace(file: Path, text: str) -> None:
    """By a rename, durable: after a loss of power HAProxy must not start with the old weights."""
    new = file.with_name(file.name + ".new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if file.exists():
        shutil.copymode(file, new)
        with contextlib.suppress(PermissionError):  # only root may give a file away; the mode still lets HAProxy read
            owner = file.stat()
            os.chown(new, owner.st_uid, owner.st_gid)
    new.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
