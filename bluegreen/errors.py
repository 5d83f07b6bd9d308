"""Every exception of the project, in one tree. Each is named by what the caller does next.

    BlueGreenError
    ├── ConfigError            stop: mend the file (it holds every fault at once)
    ├── Refused                ask otherwise: not lawful in the present state
    │   └── StateMoved         read again: the state is no longer the one the request names
    ├── NotPermitted           ask with another identity
    ├── NotFound               ask for something that exists
    ├── DaemonUnreachable      start the daemon, or use the road without it
    ├── BalancerError          a step turns it into a halt
    │   ├── Unreachable        surely nothing was changed; reads may be tried again, within limits
    │   ├── Throttled          surely nothing was changed; wait, then try again, within limits
    │   ├── AccessDenied       a person must grant the right
    │   ├── Rejected           the balancer refused the content: a person must look
    │   ├── Drifted            somebody else changed the balancer: a person must decide
    │   └── OutcomeUnknown     the write may or may not have been made: look, never guess
    │       └── CredentialsEnded  the same; before anybody can look, a person may have to renew the credentials
    └── StoreError             stop the daemon (but for NotWritten): nothing may move unrecorded
        ├── Locked             another process holds the journal
        ├── NotWritten         surely nothing was written (the disk is full): wait for room, then try again
        ├── VersionConflict    somebody else appended: read again
        ├── JournalBroken      the hash chain or the schema does not hold: a person must look
        └── AppendUnknown      the entry may or may not be there: end, open again, read

Exceptions carry facts. The HTTP status and the exit code that belong to one sit on its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


class ExitCode:
    """What the command line says to scripts (see the contract in README.md)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    HALTED = 4
    PAUSED = 5
    NOT_PERMITTED = 6
    UNREACHABLE = 7
    UNKNOWN = 8
    BLOCKED = 75
    TIMEOUT = 124
    DETACHED = 130


class BlueGreenError(Exception):
    """The root: `what` happened, and `advice` on what to do about it."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = ExitCode.FAILED
    slug: ClassVar[str] = "failed"

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}" if self.advice else self.what


WHOLE_FILE = "(file)"
"""The place of a fault that no key has: the file cannot be read, or is not YAML."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a configuration file. `line` counts from 1; 0 where no line is known: of the file as a whole."""

    file: str
    line: int
    path: str
    what: str
    severity: str = "error"

    def __str__(self) -> str:
        """`file:line: path: what is wrong; what is wanted`, always so: editors and scripts take it apart."""
        warning = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line or 1}: {warning}{self.path or WHOLE_FILE}: {self.what}"


class ConfigError(BlueGreenError):
    """Every fault of all files at once."""

    status = 422
    exit_code = ExitCode.USAGE
    slug = "bad-configuration"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Refused(BlueGreenError):
    """Not lawful in the present state; nothing was written."""

    status = 409
    exit_code = ExitCode.REFUSED
    slug = "refused"


class StateMoved(Refused):
    """The request names a state that is no longer the present one."""

    slug = "state-moved"


class NotPermitted(BlueGreenError):
    """Who asks may not ask this."""

    status = 403
    exit_code = ExitCode.NOT_PERMITTED
    slug = "not-permitted"


class NotFound(BlueGreenError):
    """No such service, switch or route."""

    status = 404
    exit_code = ExitCode.USAGE
    slug = "not-found"


class BadRequest(BlueGreenError):
    """The request itself is malformed; `errors` lists every fault by its field."""

    status = 422
    exit_code = ExitCode.USAGE
    slug = "bad-request"

    def __init__(self, what: str, errors: Mapping[str, str] | None = None, advice: str = "") -> None:
        super().__init__(what, advice)
        self.errors = dict(errors or {})


class DaemonUnreachable(BlueGreenError):
    """No daemon answers at the control endpoint."""

    status = 503
    exit_code = ExitCode.UNREACHABLE
    slug = "unreachable"


class BalancerError(BlueGreenError):
    """A balancer could not be read or written as asked."""

    status = 502
    slug = "balancer"


class Unreachable(BalancerError):
    """The call surely had no effect: it never reached the balancer, or was a read."""


class Throttled(BalancerError):
    """The balancer refused for its rate limit: surely no effect."""


class AccessDenied(BalancerError):
    """The credentials do not allow the call: surely no effect."""


class Rejected(BalancerError):
    """The balancer refused the content of the call: surely no effect."""


class Drifted(BalancerError):
    """The balancer shows other weights than the write was planned on; nothing was written."""

    def __init__(self, what: str, expected: Mapping[str, int], seen: Mapping[str, int]) -> None:
        super().__init__(what)
        self.expected = dict(expected)
        self.seen = dict(seen)


class OutcomeUnknown(BalancerError):
    """The write was sent and its answer was lost. Only a look at the balancer tells."""

    exit_code = ExitCode.UNKNOWN


class CredentialsEnded(OutcomeUnknown):
    """The write was answered with: expired credentials. They may have ended before it or during it; a look tells."""


class StoreError(BlueGreenError):
    """The journal cannot be trusted to take the next entry."""

    status = 503
    slug = "store"


class Locked(StoreError):
    """Another process holds the state directory's lock."""

    exit_code = ExitCode.REFUSED

    def __init__(self, what: str, advice: str, holder: int | None, role: str = "") -> None:
        super().__init__(what, advice)
        self.holder, self.role = holder, role


class NotWritten(StoreError):
    """The disk is full or read-only: surely nothing was written, and the same may be tried again."""

    slug = "not-written"


class VersionConflict(StoreError):
    """The journal's head is not the one that the append was made on."""


class JournalBroken(StoreError):
    """The hash chain is broken, the file is not a journal, or it is newer than this program."""


class AppendUnknown(StoreError):
    """The entry may or may not be durable: only reopening tells."""

    exit_code = ExitCode.UNKNOWN
