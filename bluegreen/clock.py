"""The one place that reads the wall clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """ports.Clock of the running machine."""

    def now(self) -> datetime:
        """See ports.Clock."""
        return datetime.now(UTC)  # noqa: TID251 - this is the port that everybody else asks

    async def sleep(self, seconds: float) -> None:
        """See ports.Clock."""
        await asyncio.sleep(seconds)
