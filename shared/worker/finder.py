"""What the destination has of a chunk, and whose it is: one look for every step that needs to know.

By the names that events reported; then by listing the folder that ACS's layout gives the call, which also shows what
earlier attempts of this app stored there. A file is this app's where its metadata notes a SHA-256 or where it is made
of blocks with this app's ids; any other is ACS's, if it is media (`checks.py`), however it came to its name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.domain import naming, places
from shared.domain.errors import BlobMissing
from shared.transfer import ranges

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import BlobFacts, Container

_MEDIA_FILE = re.compile(r"([0-9]{1,9})-(?!acsmetadata)[a-z0-9]+(?:\.(.+))?\.(mp3|mp4|wav)", re.IGNORECASE)
_METADATA_LIMIT = 1_000_000


class Origin(StrEnum):
    """Whose a file is."""

    OURS = "ours"
    ACS = "acs"


@dataclass(frozen=True)
class Sighting:
    """A file that is the chunk's media by its name. `metadata_blob`: its metadata beside it, if that is there.

    `head`: its first bytes, where they were read with it.
    """

    name: str
    size: int
    etag: str
    origin: Origin
    sha256: str | None = None
    metadata_blob: str | None = None
    head: bytes = b""


def find_copies(
    container: Container, recording: Recording, chunk: Chunk, *, is_thorough: bool = False
) -> list[Sighting]:
    """Files in the destination that are the chunk's by name, this app's first, empty ones last. StorageError.

    Not those that are known to hold other bytes.

    `is_thorough`: the days around the recording's own are listed, too (which day ACS writes is not documented).
    """
    found: dict[str, Sighting] = {}
    for name in (name for name in chunk.exports if name not in chunk.other_files):
        facts = container.stat(name)
        if facts is not None:
            metadata = _reported_metadata(container, chunk, name)
            found[name] = _sighting(container, facts, metadata)
    for prefix in _prefixes(recording, chunk, is_thorough=is_thorough):
        blobs = everything(container, prefix)
        names = {facts.name for facts in blobs}
        for facts in blobs:
            if facts.name not in (*found, *chunk.other_files) and _is_of(container, chunk, facts, names):
                found[facts.name] = _sighting(container, facts, _metadata_beside(chunk, facts.name, names))
    return sorted(found.values(), key=lambda one: (one.size == 0, one.origin is not Origin.OURS))


def everything(container: Container, prefix: str) -> list[BlobFacts]:
    """All blobs below `prefix`: a page may be short, or empty, and not the last one. StorageError."""
    page = container.find(prefix)
    found = list(page)
    while page.cursor is not None:
        page = container.find(prefix, cursor=page.cursor)
        found += page
    return found


def has_history(chunk: Chunk) -> bool:
    """Whether an attempt of this app may have left a copy of the chunk."""
    return bool(chunk.attempts or chunk.crashes or chunk.continuations)


def reported_export(container: Container, chunk: Chunk) -> Sighting | None:
    """The first of the reported exports that is there and has bytes. StorageError.

    For a chunk without a history: no attempt left blocks or a copy, so neither is asked for.
    """
    for name in chunk.exports:
        facts, head = container.glance(name) or (None, b"")
        if facts is not None and facts.size:
            metadata = _reported_metadata(container, chunk, name)
            origin = Origin.OURS if facts.sha256 else Origin.ACS
            return Sighting(facts.name, facts.size, facts.etag, origin, facts.sha256, metadata, head)
    return None


def _prefixes(recording: Recording, chunk: Chunk, *, is_thorough: bool) -> list[str]:
    folder = places.folder_of(recording, chunk) + "/"
    prefixes: list[str] = []
    if recording.call_id is not None and recording.recording_start is not None:
        prefixes = naming.call_prefixes(
            prefix=places.container_of(recording).prefix,
            call_id=recording.call_id,
            start=recording.recording_start.astimezone(UTC),
        )
        if not is_thorough:
            prefixes = prefixes[:1]
    if not any(folder.startswith(prefix) for prefix in prefixes):
        prefixes.append(folder)
    return prefixes


def _sighting(container: Container, facts: BlobFacts, metadata: str | None) -> Sighting:
    origin = Origin.OURS if facts.sha256 or is_made_of_our_blocks(container, facts) else Origin.ACS
    return Sighting(facts.name, facts.size, facts.etag, origin, facts.sha256, metadata)


def is_made_of_our_blocks(container: Container, facts: BlobFacts) -> bool:
    """Whether all of the blob's blocks have ids of this app: an attempt whose worker died before it could note that."""
    if facts.size == 0:
        return False
    blocks = container.committed(facts.name)
    return bool(blocks) and all(map(ranges.is_our_block, blocks)) and sum(one.size for one in blocks) == facts.size


def _is_of(container: Container, chunk: Chunk, facts: BlobFacts, names: set[str]) -> bool:
    folder, _, file = facts.name.rpartition("/")
    match = _MEDIA_FILE.fullmatch(file)
    if match is None or int(match[1]) != chunk.index:
        return False
    if match[2] == naming.segment(chunk.document_id):
        return True
    # Names without the documentId are seen in real containers; two recordings of one call differ by folder only, so
    # the metadata beside the file must name this chunk.
    metadata = f"{folder}/{chunk.index}-acsmetadata.json"
    return match[2] is None and metadata in names and _names_chunk(container, metadata, chunk)


def _metadata_beside(chunk: Chunk, name: str, names: set[str]) -> str | None:
    folder = name.rpartition("/")[0]
    candidates = (
        f"{folder}/{naming.metadata_file(index=chunk.index, document_id=chunk.document_id)}",
        f"{folder}/{chunk.index}-acsmetadata.json",
    )
    return next((candidate for candidate in candidates if candidate in names), None)


def _reported_metadata(container: Container, chunk: Chunk, name: str) -> str | None:
    beside = f"{name.rpartition('/')[0]}/{naming.metadata_file(index=chunk.index, document_id=chunk.document_id)}"
    candidates = dict.fromkeys((*chunk.metadata_exports, *(() if chunk.metadata_exports else (beside,))))
    return next((one for one in candidates if container.stat(one) is not None), None)


def _names_chunk(container: Container, metadata: str, chunk: Chunk) -> bool:
    try:
        document = json.loads(container.read(metadata, length=_METADATA_LIMIT))
    except (ValueError, RecursionError, BlobMissing):
        return False
    return isinstance(document, dict) and document.get("chunkDocumentId") == chunk.document_id
