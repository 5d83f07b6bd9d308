"""`python -m tests.simulator [N] [FIRST_SEED]`: many histories on all cores, and what they came to; ends with 1 where a
law was broken. `python -m tests.simulator --show SEED` tells one history entry by entry."""

from __future__ import annotations

import sys

from tests.simulator.many import report, show, simulate_many


def main(words: list[str]) -> int:
    if words[:1] == ["--show"]:
        print(show(int(words[1])))
        return 0
    tally = simulate_many(int((words[0:1] or ["10000"])[0]), int((words[1:2] or ["0"])[0]))
    print(report(tally))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
