"""Is a file in the destination the chunk's media, whole? Its structure says; where that fails, ACS's own total.

A small file is read whole, which gives its SHA-256 as well. Of a large one a few ranges are read; its digest is a step
of its own (`prove.py`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import media
from shared.domain.errors import ExportBroken, RecorderError
from shared.domain.media import Proof, Verdict
from shared.worker.finder import Origin, Sighting

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Container, Media

_READ_WHOLE = 4 * 1024 * 1024


def fact_of(
    container: Container, acs_media: Media, recording: Recording, chunk: Chunk, found: Sighting
) -> f.ExportFound | f.ExportDoubtful | f.Stored:
    """The fact that a sighting of a file with bytes is. StorageError."""
    if found.origin is Origin.OURS:
        return f.Stored(
            chunk.key,
            chunk.generation,
            found.name,
            is_fallback=False,
            size=found.size,
            proof=Proof.LENGTH,
            sha256=found.sha256,
            etag=found.etag,
            format=found.name.rpartition(".")[2],
        )
    head = found.head
    if len(head) < found.size <= _READ_WHOLE:
        head = container.read(found.name)
    is_whole = len(head) == found.size

    def read(start: int, length: int) -> bytes:
        if is_whole or start + length <= len(head):
            return head[start : start + length]
        return container.read(found.name, start=start, length=length)

    duration = recording.duration if len(recording.chunks) == 1 else None
    checked = media.check(read, size=found.size, duration=duration)
    proof = {Verdict.WHOLE: Proof.STRUCTURE}.get(checked.verdict, Proof.NONE)
    detail = checked.detail
    if checked.verdict is not Verdict.WHOLE and _total_at_acs(acs_media, chunk) == found.size:
        proof, detail = Proof.LENGTH, "as many bytes as ACS has"
    elif checked.verdict is Verdict.BROKEN:
        failure = f.Failure.of(ExportBroken(f"{found.name}: {checked.detail}"))
        return f.ExportDoubtful(chunk.key, chunk.generation, found.name, found.size, failure, found.etag)
    return f.ExportFound(
        chunk.key,
        chunk.generation,
        found.name,
        found.size,
        found.etag,
        proof,
        format=checked.format,
        sha256=hashlib.sha256(head).hexdigest() if is_whole else None,
        metadata_blob=found.metadata_blob,
        detail=detail,
    )


def _total_at_acs(acs_media: Media, chunk: Chunk) -> int | None:
    """How many bytes ACS says the media has; None where it does not say."""
    for source in chunk.sources:
        try:
            total = acs_media.total(source.url)
        except RecorderError:
            continue
        if total is not None:
            return total
    return None
