"""How an entry is written down and chained: canonical JSON, and a hash over it and the hash before it. Pure."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from bluegreen.core import codec
from bluegreen.core.events import SCHEMA, Entry, Record
from bluegreen.errors import JournalBroken

GENESIS = "0" * 64
ADVICE = "nothing was changed; keep the file, look at it with a person, restore a copy only on purpose"


def body_of(record: Record, seq: int, version: int) -> str:
    """The entry's text as it is stored: canonical, so that the same entry has the same hash everywhere."""
    kind, data = codec.encode(record.event)
    document = {
        "schema": SCHEMA,
        "seq": seq,
        "version": version,
        "id": record.id,
        "at": record.at.isoformat(),
        "service": record.service,
        "switch": record.switch,
        "by": record.by,
        "reason": record.reason,
        "key": record.key,
        "key_digest": record.key_digest,
        "kind": kind,
        "data": data,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def link(previous: str, body: str) -> str:
    """The hash of an entry: sha256 over the hash before it and its own text."""
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def parse(body: str, hash_: str) -> Entry:
    """The entry of a stored text. Raises JournalBroken."""
    try:
        document: dict[str, Any] = json.loads(body)
        if document["schema"] > SCHEMA:
            raise JournalBroken(
                f"entry {document['seq']} was written by a newer version of bluegreen (schema {document['schema']})",
                "run the newer version",
            )
        record = Record(
            id=document["id"],
            at=datetime.fromisoformat(document["at"]),
            service=document["service"],
            switch=document["switch"],
            by=document["by"],
            event=codec.decode(document["kind"], document["data"]),
            reason=document["reason"],
            key=document["key"],
            key_digest=document["key_digest"],
        )
        return Entry(document["seq"], document["version"], record, hash_)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalBroken(f"an entry of the journal cannot be read: {error}", ADVICE) from error
