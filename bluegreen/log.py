"""Structured log lines on standard error: JSON under a service manager, readable on a terminal. Set up once.

A log target that blocks must never block a step: lines go through a bounded queue and a thread of its own; what does
not fit is counted and said.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from bluegreen.core.codec import encode
from bluegreen.core.events import Entry

QUEUE_MAX = 10_000
STOP_SECONDS = 1.0
"""How long the end waits for lines that nobody takes."""


class Lines:
    """The thread that writes."""

    def __init__(self, waiting: queue.Queue[Any], entrance: _Dropping, target: logging.Handler) -> None:
        self._waiting, self._entrance, self._target = waiting, entrance, target
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Write what is left, for so long at the most. False: the target takes nothing, and the thread is stuck."""
        deadline = time.monotonic() + seconds
        try:
            for last in (*self._entrance.untold(), None):
                self._waiting.put(last, timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Full:
            return False
        self._thread.join(max(deadline - time.monotonic(), 0.0))
        return not self._thread.is_alive()

    def _write(self) -> None:
        while (record := self._waiting.get()) is not None:
            self._target.handle(record)


class _Dropping(logging.handlers.QueueHandler):
    """Drops what does not fit, counts it, and says so before the next line that does."""

    def __init__(self, lines: queue.Queue[Any], said: Callable[[int], str]) -> None:
        super().__init__(lines)
        self._said, self._dropped = said, 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            for lost in self.untold():
                self.queue.put_nowait(lost)
                self._dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def untold(self) -> list[logging.LogRecord]:
        """The line that says how many were dropped; none where none was."""
        if not self._dropped:
            return []
        return [logging.makeLogRecord({"levelno": logging.WARNING, "msg": self._said(self._dropped)})]


def set_up(form: str, level: str) -> Lines:
    """Configure structlog and start the writing thread; the caller stops it at the end. `form`: auto, json or text."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.dict_tracebacks if not text else structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )

    def said(dropped: int) -> str:
        fields = {"event": "log lines were dropped: nobody took them", "dropped": dropped, "level": "warning"}
        return str(renderer(None, "warning", stamp(None, "warning", fields)))

    target = logging.StreamHandler(sys.stderr)
    target.setFormatter(logging.Formatter("%(message)s"))
    waiting: queue.Queue[Any] = queue.Queue(QUEUE_MAX)
    entrance = _Dropping(waiting, said)
    entrance.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(handlers=[entrance], level=logging.WARNING, force=True)
    logging.getLogger("bluegreen").setLevel(level.upper())
    return Lines(waiting, entrance, target)


def log_entry(entry: Entry) -> None:
    """One line an entry, with the journal's own fields."""
    kind, data = encode(entry.event)
    record = entry.record
    told = {key: value for key, value in data.items() if key not in ("config", "output", "findings", "plan", "base")}
    own = {"seq": entry.seq, "service": record.service, "switch": record.switch, "by": record.by}
    reason = record.reason or told.get("reason", "")  # why it was asked for; else why it happened
    alarming = ("Halted", "DriftSeen", "OutcomeLost", "RestoreRefused", "RestoreLost", "RestoreUnread", "Distrusted",
                "FlagSetLost", "WarmReadinessLost", "BalancerSilent")  # fmt: skip
    severity = "warning" if kind in alarming else "info"
    getattr(structlog.get_logger("bluegreen.journal"), severity)(kind, **{**told, **own, "reason": reason})
