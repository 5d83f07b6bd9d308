"""A failback's report, and the debts that it left, as plain JSON values. Reads; decides nothing."""

from __future__ import annotations

from typing import Any

from bluegreen.control.values import time
from bluegreen.core.failback import Report
from bluegreen.core.state import ServiceState
from bluegreen.core.verdicts import Verdict

Document = dict[str, Any]


def report(made: Report) -> Document:
    """What a failback risks; `acknowledge` are the ids that must be named for it to begin."""
    return {
        "lines": [
            {"id": line.id, "verdict": line.verdict, "text": line.text, "topic": line.topic} for line in made.lines
        ],
        "advice": made.advice,
        "acknowledge": [line.id for line in made.unsafe()],
    }


def debts(state: ServiceState) -> list[Document]:
    """What failbacks have left wrong on purpose, oldest first: see docs/api.md, DebtDoc."""
    return [
        {
            "id": debt.id,
            "topic": debt.topic,
            "what": debt.what,
            "since": time(debt.since),
            "switch": debt.switch,
            "verdict": Verdict.UNKNOWN if debt.unknown else Verdict.UNSAFE,
            "owner": debt.owner,
            "acknowledged": debt.acknowledged_at is not None,
            "acknowledged_by": debt.acknowledged_by,
            "acknowledged_at": time(debt.acknowledged_at),
        }
        for debt in state.notes.debts.open
    ]
