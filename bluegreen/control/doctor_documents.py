"""The API's documents on everything that a switch will need, looked at now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bluegreen.control.documents import finding
from bluegreen.control.values import time
from bluegreen.doctor import Section
from bluegreen.model import Finding

Document = dict[str, Any]


def of_service(service: str, sections: Iterable[Section], now: datetime, seconds: float) -> Document:
    """What was found of one service, by what it is about; `ok` where all of it is good."""
    made = [_section(one) for one in sections]
    return {
        "service": service,
        "as_of": time(now),
        "ok": all(one["ok"] for one in made),
        "seconds": round(seconds, 1),
        "sections": made,
    }


def of_all(
    daemon: Sequence[Finding], services: Mapping[str, Sequence[Section]], now: datetime, seconds: float
) -> Document:
    """What was found of the daemon itself, and of every service."""
    own = _section(Section("the daemon", tuple(daemon)))
    found = [of_service(name, sections, now, seconds) for name, sections in services.items()]
    return {
        "as_of": time(now),
        "ok": own["ok"] and all(one["ok"] for one in found),
        "seconds": round(seconds, 1),
        "daemon": own,
        "services": found,
    }


def _section(section: Section) -> Document:
    findings = [finding(one) for one in section.findings]
    return {"about": section.about, "ok": all(one["ok"] for one in findings), "findings": findings}
