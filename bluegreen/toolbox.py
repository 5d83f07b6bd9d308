"""The ports of one service: those of its present configuration, and those that an open switch started with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bluegreen.core import steps as st
from bluegreen.core.state import Switch
from bluegreen.errors import ConfigError
from bluegreen.model import Cause
from bluegreen.ports import Ports, Setup, Workshop
from bluegreen.steps import looks


class Toolbox:
    """Opens them, keeps what was deployed running, and closes what nobody needs any more."""

    def __init__(self, setup: Setup, workshop: Workshop) -> None:
        self.setup, self._workshop = setup, workshop
        self._present = workshop.open(setup)
        self._pinned: tuple[str, Ports] | None = None
        self._unreadable: tuple[str, ConfigError] | None = None
        self._reopened = asyncio.Event()

    def ports(self, switch: Switch | None) -> Ports:
        """What the open switch works with: the configuration it started with, else the present one."""
        if switch is None or switch.config_hash == self.setup.config_hash or self._cannot_read(switch):
            return self._present
        if self._pinned is None or self._pinned[0] != switch.id:
            try:
                self._pinned = (switch.id, self._workshop.open(self._workshop.restore(switch.config)))
            except ConfigError as error:
                self._unreadable = (switch.id, error)
                return self._present
        return self._pinned[1]

    def held(self, step: st.Step | None, switch: Switch | None) -> st.Step | None:
        """The step, or a halt in its place where it would lead a switch on by another configuration than its own."""
        if switch is None or not isinstance(step, st.ONWARD):
            return step
        self.ports(switch)
        if not self._cannot_read(switch):
            return step
        what = "this program cannot read the configuration that the switch started with"
        advice = (
            "`resume` with the program that started it, or: bluegreen failback / abort, by the present configuration"
        )
        return st.Conclude(looks.halted(switch, Cause.INTERRUPTED, summary=f"{what}: {self._why()}", advice=advice))

    def _cannot_read(self, switch: Switch) -> bool:
        return self._unreadable is not None and self._unreadable[0] == switch.id

    def _why(self) -> str:
        return "; ".join(fault.what for fault in self._unreadable[1].faults[:3]) if self._unreadable else ""

    async def reopen(self, setup: Setup, opened: Ports, switch: Switch | None) -> None:
        """Use `opened`, of another configuration, from the next switch on."""
        if switch is not None and switch.config_hash == self.setup.config_hash:
            self._pinned = (switch.id, self._present)
        else:
            await self._present.close()
        self.setup, self._present = setup, opened
        self._reopened.set()

    async def keep(self, may_touch: Callable[[str], bool]) -> None:
        """Until cancelled: what was deployed is kept running, by the deployer of the present configuration."""
        while True:
            self._reopened.clear()
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._present.deployer.keep(may_touch))
                await self._reopened.wait()
                keeping.cancel()

    async def retire(self) -> None:
        """No switch is open: what the last one was pinned to is let go of."""
        if self._pinned is not None:
            (_, ports), self._pinned = self._pinned, None
            await ports.close()

    async def close(self) -> None:
        """Let go of all of them."""
        await self._present.close()
        if self._pinned is not None:
            await self._pinned[1].close()
