"""The state diagram of README.md, drawn from the transition tables. Pure; `python -m bluegreen.core.diagram` prints it.

Phases are drawn within `running`: an open switch keeps its phase while it is paused or halted. What leaves a switch
where it is (a step's start, a watch, a restart) is not drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bluegreen.core import events as ev
from bluegreen.core.phases import CONDITIONS, TRANSITIONS
from bluegreen.model import Condition, Phase


def mermaid() -> str:
    """A mermaid state diagram, with a newline at its end."""
    first = next(iter(Phase))
    lines = [
        "stateDiagram-v2",
        f"    [*] --> {Condition.RUNNING}: {ev.Requested.__name__}",
        f"    state {Condition.RUNNING} {{",
        f"        [*] --> {first}",
        *(f"        {line}" for line in _phases()),
        "    }",
        *(f"    {line}" for line in _conditions()),
    ]
    return "\n".join(lines) + "\n"


def _phases() -> Iterator[str]:
    opens = [moves for phase, moves in TRANSITIONS.items() if phase is not Phase.ENDED]
    everywhere = set.intersection(*(set(moves) for moves in opens))
    for phase, moves in TRANSITIONS.items():
        for event, to in moves.items():
            if to is not phase and event not in everywhere:
                yield f"{phase} --> {'[*]' if to is Phase.ENDED else to}: {event.__name__}"


def _conditions() -> Iterator[str]:
    for condition, moves in CONDITIONS.items():
        arrows: dict[Condition, list[str]] = {}
        for event, to in moves.items():
            if to is not condition:
                arrows.setdefault(to, []).append(event.__name__)
        for to, names in arrows.items():
            yield f"{condition} --> {to}: {', '.join(names)}"
        if not condition.is_open:
            yield f"{condition} --> [*]"


if __name__ == "__main__":
    sys.stdout.write(mermaid())
