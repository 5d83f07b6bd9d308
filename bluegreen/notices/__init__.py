"""Telling people: who is told is configuration, what and when is the core's (`core.due`). Nothing else follows from it.

A kind that is not in KINDS is refused; there is no default.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from bluegreen import processes
from bluegreen.config import values
from bluegreen.config.notify import Notifier
from bluegreen.notices import http
from bluegreen.notices.notice import Notice

Send = Callable[[Notifier, Notice], Awaitable[None]]


async def command(config: Notifier, notice: Notice) -> None:
    """Run it with the notice as JSON in its environment's NOTICE, and as text in TEXT. Raises ValueError where it does
    not end with 0."""
    variables, secrets = values.filled(config.variables, {})
    variables |= {"NOTICE": json.dumps(notice.cloud_event(), ensure_ascii=False), "TEXT": notice.text()}
    argv = list(config.command or [])
    done = await processes.run(argv, timeout=config.timeout, variables=variables, secrets=secrets)
    if not done.ok:
        raise ValueError(done.told(Path(argv[0]).name))


KINDS: dict[str, Send] = {"webhook": http.webhook, "slack": http.slack, "command": command}
