"""Step `prove`: all bytes of a chunk are read back where they are, for their SHA-256 and their structure.

A SHA-256 cannot be continued in another process, so this is one pass, in the background, bounded by the function's
own time. Nothing waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import BlobMissing, ContainerMissing, FallbackMissing
from shared.domain.media import Verdict
from shared.domain.recording import ChunkState
from shared.transfer.digest import read_back

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Containers
    from shared.transfer.budget import Budget


class Prove:
    """Reads files back."""

    def __init__(self, *, containers: Containers, clock: Clock) -> None:
        self._containers = containers
        self._clock = clock

    def prove(self, recording: Recording, chunk: Chunk, budget: Budget) -> list[f.Fact]:
        """Proved, or CopyMissing where the copy that stays in the fallback is gone.

        StorageError (BlobMissing, PreconditionFailed where the file has changed, BlobArchived).
        """
        is_kept = chunk.state is ChunkState.UNDELIVERABLE
        if is_kept:
            container, name = self._containers.fallback(), places.fallback_copy(recording, chunk)
        else:
            container = self._containers.destination(places.container_of(recording))
            name = chunk.placed.name if chunk.placed else chunk.blob or ""
        try:
            facts = container.stat(name)
        except ContainerMissing:
            facts = None  # with all that was in it
        if facts is None and is_kept:
            return [f.CopyMissing(chunk.key, chunk.generation, f.Failure.of(FallbackMissing()))]
        if facts is None:
            raise BlobMissing(f"{name} is not there any more")
        digest = read_back(
            container,
            name,
            etag=facts.etag,
            size=facts.size,
            until=budget.hard_until,
            clock=self._clock,
            keep=budget.keep,
        )
        verdict = {Verdict.WHOLE: True, Verdict.BROKEN: False}.get(digest.checked.verdict)
        return [
            f.Proved(
                chunk.key,
                chunk.generation,
                name,
                facts.etag,
                facts.size,
                digest.sha256,
                is_media=verdict,
                detail=digest.checked.detail,
            )
        ]
