"""Which faults strike, and when: all of it from one seed.

A history has a handful of kinds of trouble, each with its own odds, until the storm is over. Every fault that strikes
is counted by its name, the same name that docs/faults.md has.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """Everything that can go wrong here."""

    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    AWAY = "away for a while"
    UNREAD = "unreadable for minutes"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    ANSWER_LATE = "answer late"
    REQUEST_LATE = "request arrives late"
    READ_LAG = "reads lag behind"
    REJECTED = "one balancer of several refuses"
    CREDENTIALS = "credentials expired"
    DRIFT = "changed by another hand"
    BY_HAND = "moved by hand at a halt, and adopted"
    DRIFT_BACK = "changed, and changed back"
    FLAP = "health flaps"
    ILL = "targets fall ill"
    SMOKE_BAD = "smoke check fails"
    GATE_BAD = "gate fails"
    SLOW_CHECK = "slow check"
    HANGING_CHECK = "hanging check"
    CHECK_RAISES = "defect in a check"
    DRIVER_RAISES = "defect in a balancer's driver"
    DEPLOY_FAILS = "deploy command fails"
    DEPLOY_HANGS = "deploy command hangs"
    DEPLOY_LOST = "deploy command lost with its keeper"
    CRASH = "kill -9"
    RESTART = "SIGTERM and restart"
    APPEND_UNKNOWN = "append with an I/O error"
    DISK_FULL = "disk full"
    NO_ROOM = "disk stays full"
    CLOCK_JUMP = "wall clock jumps"
    OPERATOR = "operator at a bad moment"
    TWO_OPERATORS = "two operators at once"
    REPEATED = "the same request twice"
    HOST_DOWN = "host down for long"
    LATE_WORD = "answer to what was shown a while ago"


ALWAYS = (Fault.OPERATOR, Fault.LATE_WORD, Fault.HOST_DOWN)
ODDS_MAX = {
    Fault.CRASH: 0.02,
    Fault.RESTART: 0.3,
    Fault.LATE_WORD: 0.5,
    Fault.HOST_DOWN: 0.5,
    Fault.DEPLOY_LOST: 0.5,
    Fault.DISK_FULL: 0.05,
    Fault.NO_ROOM: 0.02,
    Fault.UNREAD: 0.1,
    Fault.APPEND_UNKNOWN: 0.05,
    Fault.DRIFT: 0.3,
    Fault.THROTTLED: 0.08,
    Fault.UNREACHABLE: 0.08,
    Fault.AWAY: 0.02,
    Fault.FLAP: 0.06,
    Fault.DRIVER_RAISES: 0.01,
    Fault.CHECK_RAISES: 0.03,
    Fault.CREDENTIALS: 0.03,
    Fault.ILL: 0.1,
}
"""The most that a fault strikes, per occasion; 0.25 where it is not said."""


class Weather:
    """Says at each occasion whether a fault strikes."""

    def __init__(self, dice: Random, kinds: int) -> None:
        self._dice = dice
        chosen = dice.sample([fault for fault in Fault if fault not in ALWAYS], kinds)
        self.odds = {fault: dice.uniform(0.1, 1.0) * ODDS_MAX.get(fault, 0.25) for fault in (*chosen, *ALWAYS)}
        self.over = False
        self.struck: Counter[Fault] = Counter()

    def strikes(self, fault: Fault) -> bool:
        """Whether it does, at this occasion."""
        if self.over or fault not in self.odds or self._dice.random() >= self.odds[fault]:
            return False
        self.note(fault)
        return True

    def note(self, fault: Fault) -> None:
        """It did strike."""
        self.struck[fault] += 1
