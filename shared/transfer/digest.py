"""A committed blob read back once: its SHA-256 and its structure, for the proof in the ledger.

A digest cannot be continued in another process (hashlib keeps no state between them), so this is one pass with a
separate budget, and a background step: no transfer waits for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.errors import DigestLate, StorageCorrupted
from shared.domain.media import Checked, StructureCheck

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from shared.ports import Clock, Container


@dataclass(frozen=True)
class Digest:
    """What reading a blob back gives: its SHA-256 in hex, and what its structure says."""

    sha256: str
    checked: Checked


def read_back(
    container: Container,
    name: str,
    *,
    etag: str | None,
    size: int,
    until: datetime,
    clock: Clock,
    duration: timedelta | None = None,
    keep: Callable[[], None] = lambda: None,
) -> Digest:
    """Reads the blob's version `etag` from its start to its end, in one pass.

    `keep` is called with each piece. DigestLate when `until` comes first, StorageCorrupted unless there are `size`
    bytes, PreconditionFailed where the blob is another version, BlobMissing, BlobArchived.
    """
    digest = hashlib.sha256()
    structure = StructureCheck(duration=duration)
    count = 0
    for piece in container.pieces(name, etag=etag):
        digest.update(piece)
        structure.update(piece)
        count += len(piece)
        keep()
        if count < size and clock.now() >= until:
            raise DigestLate(f"{count} of {size} bytes were read in time")
    if count != size:
        raise StorageCorrupted(f"the blob has {count} bytes, {size} were expected")
    return Digest(digest.hexdigest(), structure.verdict(size))
