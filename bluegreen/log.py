"""Structured log lines on standard error: JSON under a service manager, readable on a terminal. Set up once.

A log target that blocks must never block a step: lines go through a bounded queue and a thread of its own; what does
not fit is counted and said.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
from typing import Any

import structlog

from bluegreen.core.codec import encode
from bluegreen.core.events import Entry

QUEUE_MAX = 10_000


class _Dropping(logging.handlers.QueueHandler):
    """Drops what does not fit, counts it, and says so with the next line that does."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self.dropped:
                record.msg = f"{record.msg} ({self.dropped} lines before this one were dropped)"
            self.queue.put_nowait(record)
            self.dropped = 0
        except queue.Full:
            self.dropped += 1


def set_up(form: str, level: str) -> logging.handlers.QueueListener:
    """Configure structlog and start the writing thread; the caller stops it at the end. `form`: auto, json or text."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if not text else structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    target = logging.StreamHandler(sys.stderr)
    target.setFormatter(logging.Formatter("%(message)s"))
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_MAX)
    listener = logging.handlers.QueueListener(lines, target)
    entrance = _Dropping(lines)
    entrance.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(handlers=[entrance], level=logging.WARNING, force=True)
    logging.getLogger("bluegreen").setLevel(level.upper())
    listener.start()
    return listener


def log_entry(entry: Entry) -> None:
    """One line an entry, with the journal's own fields."""
    kind, data = encode(entry.event)
    record = entry.record
    told = {key: value for key, value in data.items() if key not in ("config", "output", "findings", "plan", "base")}
    told = {"reason": record.reason, **told}  # an event with a reason of its own is the daemon's: nobody gave another
    severity = "warning" if kind in ("Halted", "DriftSeen", "OutcomeLost") else "info"
    getattr(structlog.get_logger("bluegreen.journal"), severity)(
        kind, seq=entry.seq, service=record.service, switch=record.switch, by=record.by, **told
    )
