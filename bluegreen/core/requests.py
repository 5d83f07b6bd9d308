"""What people ask for, as values. Whether it is lawful now is for `admit` to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bluegreen.core.state import ServiceState, Switch
from bluegreen.errors import BadRequest
from bluegreen.model import Actor, Plan, Weights


def is_said(reason: str) -> bool:
    """Whether it says anything: the `…` of a command that was pasted as it stood is no reason."""
    return bool(reason.strip().strip("…"))


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks and why; `key` is the Idempotency-Key, `digest` that of the request which came with it."""

    actor: Actor
    reason: str = ""
    key: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """A freeze that is in force, or will be: what must not be begun from `since` until `until`."""

    name: str
    why: str
    actions: tuple[str, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """The root of all requests. `halt` names the halt that is answered, where the asker gave it; `cause` and `note` are
    what it came from, where the asker said so. `frozen` are the freezes in force when it was asked."""

    halt: str | None = None
    cause: str = ""
    note: str = ""
    frozen: tuple[Frozen, ...] = ()
    override_freeze: bool = False


@dataclass(frozen=True, slots=True)
class Pinned:
    """The configuration that a new switch starts with, and ends with: its plan, itself, its hash."""

    plan: Plan
    environments: tuple[str, ...]
    config: str
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy(Request):
    """Start a deployment. `switch` is the id that it gets."""

    switch: str
    version: str
    pinned: Pinned
    artifact: str | None = None
    replace_warm: bool = False
    changes: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failback(Request):
    """Move the traffic back. `switch` is the id that it gets; `acknowledged` are the lines of its report that the
    operator named; `expects`: where the plan that was read goes, and the switch that was open (or "")."""

    switch: str
    pinned: Pinned
    reason: str
    acknowledged: tuple[str, ...] = ()
    expects: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Approve(Request):
    """Let a switch go past a planned manual pause."""


@dataclass(frozen=True, slots=True)
class Pause(Request):
    """Wait, as planned or as asked for; nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Resume(Request):
    """Go on: after a pause, or after a halt."""


@dataclass(frozen=True, slots=True)
class Promote(Request):
    """Skip the remaining shift steps."""


@dataclass(frozen=True, slots=True)
class Abort(Request):
    """End a switch whose candidate has no traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept(Request):
    """Go past one named failed check."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Request):
    """`bluegreen halt`: anyone stops the line."""

    reason: str


@dataclass(frozen=True, slots=True)
class Release(Request):
    """Let a warm environment go. `environment` is needed only where several are warm."""

    environment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(Request):
    """Take what the balancers show (`seen`, native, read just now) for the truth."""

    seen: Mapping[str, Weights]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Request):
    """Put the balancers back to what the journal says. `drift` are the drifts (ids) that the operator was shown."""

    drift: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Request):
    """Leave the balancers as they are. `drift` are the drifts (ids) that the operator was shown."""

    drift: frozenset[str]
    reason: str


AnyRequest = (
    Deploy | Failback | Approve | Pause | Resume | Promote | Abort | Accept | Stop | Release | Adopt | Restore | Leave
)  # fmt: skip


def asked_before(ask: Ask, state: ServiceState) -> Switch | None:
    """What a request led to whose key is known. Raises BadRequest where another one came with that key."""
    digest, switch = state.keys[ask.key or ""]
    if digest != (ask.digest or ""):
        raise BadRequest("this Idempotency-Key came with another request before", advice="use a new key")
    known = [one for one in (*state.past, state.switch) if one is not None and one.id == switch]
    return known[-1] if known else state.switch
