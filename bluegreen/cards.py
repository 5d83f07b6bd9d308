"""Cards: one small file a service, from which a failback is possible when the journal is gone.

A card holds everything that the way back needs: the service's configuration (secrets as references), what each switch
point may show now, what it shows after a failback, and the provider's own commands for people. It is written anew, and
fsynced, after each entry that changes it; above all before a write is sent, so that what the balancer may show is on
the card. A card is no state: the journal is. It is read only where there is no journal.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from bluegreen import durable
from bluegreen.byhand import commands
from bluegreen.config.load import state_directory
from bluegreen.core.admit import failback_target
from bluegreen.core.events import Entry
from bluegreen.core.state import ServiceState
from bluegreen.errors import BlueGreenError, ExitCode, Refused
from bluegreen.model import WHOLE, Weights
from bluegreen.ports import Clock, Store

SCHEMA = 1
DIRECTORY = "cards"


class CardBroken(BlueGreenError):
    """The card cannot be read, is not as it was written, or is another service's: nothing is moved by it."""

    exit_code = ExitCode.USAGE
    slug = "card-broken"


@dataclass(frozen=True, slots=True)
class Place:
    """A switch point on a card: native weights that it may show now, and the commands for people."""

    present: tuple[dict[str, int], ...]
    move: tuple[str, ...]
    look: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that a failback needs. `target` is None where none is possible; `why_not` says why."""

    service: str
    written_at: str
    head: tuple[int, str]
    """The journal's last entry when this was written: its number and its hash; 0 where there was no journal."""
    live: str | None
    switch: str | None
    target: str | None
    source: str | None
    version: str | None
    why_not: str
    points: dict[str, Place]
    releases: dict[str, str | None]
    config: str
    schema: int = SCHEMA
    digest: str = field(default="", compare=False)

    def text(self) -> str:
        """The file: readable by people, with a digest over all of it."""
        document = asdict(replace(self, digest=""))
        return json.dumps({**document, "digest": _digest(document)}, indent=1, ensure_ascii=False) + "\n"


def make(state: ServiceState, config: str, head: tuple[int, str], now: datetime) -> Card:
    """The card of a state. Pure."""
    try:
        target, source, version = failback_target(state)
        why_not = ""
    except Refused as refusal:
        target, source, version, why_not = None, None, None, str(refusal)
    if (switch := state.open_switch) is not None and switch.kind == "failback":
        target, source, version, why_not = switch.candidate, switch.source, switch.version, ""  # it is finished then
    places = {}
    for name, point in state.points.items():
        in_doubt = state.in_doubt.get(name)
        present = [point.native, *([in_doubt.expected, in_doubt.target] if in_doubt else [])]
        everything = Weights.of({one: WHOLE * (one == target) for one in point.native}) if target else None
        move, look = commands(config, name, everything)
        places[name] = Place(tuple([dict(weights) for weights in dict.fromkeys(present)]), move, look)
    return Card(
        state.service, now.isoformat(), head, state.live, switch.id if switch else None, target,
        source, version, why_not, places, {n: one.version for n, one in state.releases.items()}, config,
    )  # fmt: skip


def read(path: Path) -> Card:
    """The card in a file. Raises CardBroken."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] > SCHEMA:
            raise CardBroken(f"{path} was written by a newer version of bluegreen", "use that version")
        if _digest({**document, "digest": ""}) != document["digest"]:
            raise CardBroken(f"{path} is not as it was written", "do not use it; move the weights by hand")
        places = {
            name: Place(tuple(one["present"]), tuple(one["move"]), tuple(one["look"]))
            for name, one in document["points"].items()
        }
        return Card(**{**document, "points": places, "head": tuple(document["head"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CardBroken(f"{path} cannot be read: {error}", "name another card by --card FILE") from error


def _digest(document: Mapping[str, object]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def card_path(config: Path, service: str) -> Path:
    """Where the service's card is, by a configuration that may be broken elsewhere."""
    return state_directory(config) / DIRECTORY / f"{service}.json"


class CardKeeper:
    """Keeps one service's card current. A card that cannot be written blocks nothing: `error` says so."""

    def __init__(self, directory: Path, service: str, config: str, clock: Clock, *, journal: bool = True) -> None:
        self.path = directory / DIRECTORY / f"{service}.json"
        self.config = config
        """The configuration of the next switch; a running one's own is on its card."""
        self.written_at: datetime | None = None
        self.error = ""
        self._clock, self._journal = clock, journal
        self._said: object = None

    async def keep(self, state: ServiceState, head: Entry) -> None:
        """See book.Keep. While the journal is not to be believed the card stays as it is: it knows more."""
        if state.distrust:
            return
        switch = state.open_switch
        config = switch.config if switch is not None else self.config
        says = (state.live, state.points, state.in_doubt, state.warm, state.releases, switch and switch.id, config)
        if says == self._said and not self.error:
            return
        now = self._clock.now()
        card = make(state, config, (head.seq, head.hash) if self._journal else (0, ""), now)
        try:
            await asyncio.to_thread(write, self.path, card.text())
            self._said, self.written_at, self.error = says, now, ""
        except OSError as error:
            self.error = f"{self.path} cannot be written: {error.strerror or error}"

    async def newer_than(self, store: Store) -> str:
        """In words, why the journal is not the one that the card was written from; empty where all is well."""
        try:
            card = read(self.path) if self.path.exists() else None
        except CardBroken:
            return ""  # it proves nothing; it is written anew
        if card is None or not card.head[0]:
            return ""
        seq, hash_ = card.head
        entries = await store.read(after=seq - 1, limit=1)
        if entries and entries[0].hash == hash_:
            return ""
        missing = "has another entry there" if entries else "ends before it"
        return f"the card of {card.written_at} knows entry {seq}; the journal {missing}: it is an older one, or another"


def write(path: Path, text: str) -> None:
    """Durably, all of it or nothing; its directory is made where it is not there. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write(path, text)
