"""The Protocol by which the engine knows that evidence is being kept: nobody is offered a way on before it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bluegreen.core.state import ServiceState


class Gathering(Protocol):
    """Keeps what was there at a halt, before anybody is offered a way on."""

    def gathering(self, state: ServiceState) -> str | None:
        """The halt whose evidence is being kept at this moment, for seconds at the most; None otherwise."""
        ...

    def manifest(self, digest: str) -> Mapping[str, Any]:
        """What is in a bundle; `changed` is what is no longer as it was sealed. Blocks on the disk. Raises NotFound."""
        ...

    def archive(self, digest: str) -> bytes:
        """The bundle as one .tar.gz. Blocks on the disk. Raises NotFound."""
        ...

    def part(self, digest: str, name: str) -> bytes:
        """One part of a bundle. Blocks on the disk. Raises NotFound."""
        ...
