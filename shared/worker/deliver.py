"""Step `deliver`: from the fallback to the destination, block by block, resumable; and the metadata with it.

The bytes are safe already, so this goes on for days, slowly. A file with other bytes in the destination is never
overwritten. Nothing is removed from the fallback here: that is the step `clean`, once the ledger knows the file in its
place.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import BlobExists, BlobMissing, DestinationConflict, FallbackMissing, RecorderError
from shared.domain.media import Proof
from shared.transfer.digest import read_back
from shared.worker.checks import fact_of
from shared.worker.finder import Origin, find_copies

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import BlobFacts, Clock, Container, Containers, Media
    from shared.transfer.budget import Budget
    from shared.transfer.copy import Copier
    from shared.worker.metadata import MetadataStep

# So small a file is compared at once; the digest of a larger one is a separate step.
_COMPARED_AT_ONCE = 8 * 1024 * 1024


class Deliver:
    """Moves chunks out of the fallback. One for the process; safe for many threads."""

    def __init__(
        self, *, media: Media, containers: Containers, copier: Copier, metadata: MetadataStep, clock: Clock
    ) -> None:
        self._media = media
        self._containers = containers
        self._copier = copier
        self._metadata = metadata
        self._clock = clock

    def metadata_first(self, recording: Recording, chunk: Chunk) -> list[f.Fact]:
        """ACS drops the metadata with the media: each delivery asks for it, until it is in the fallback."""
        if chunk.metadata_state != "pending":
            return []
        with suppress(RecorderError):
            return self._metadata.save(recording, chunk)
        return []

    def deliver(self, recording: Recording, chunk: Chunk, budget: Budget) -> list[f.Fact]:
        """Copied, ExportFound, or CopyMissing. StorageError, DestinationConflict, TimeBudgetSpentError."""
        destination = self._containers.destination(places.container_of(recording))
        fallback = self._containers.fallback()
        if chunk.proof is Proof.NONE:
            whole = self._whole_export(destination, recording, chunk)
            if whole is not None:
                return [whole]
        source_name = places.fallback_copy(recording, chunk)
        present = self._present(destination, recording, chunk)
        is_ours = False
        if present is None:
            source = fallback.stat(source_name)
            if source is None:
                failure = f.Failure.of(FallbackMissing("the bytes are not in the fallback any more"))
                return [f.CopyMissing(chunk.key, chunk.generation, failure)]
            present, is_ours = self._copy(fallback, source, destination, chunk, budget)
        budget.keep()
        self._place_metadata(destination, recording, chunk, present.name)
        is_same = present.size <= _COMPARED_AT_ONCE and self._is_same(destination, present, chunk, budget)
        return [f.Copied(chunk.key, chunk.generation, present.name, present.etag, is_same=is_same, is_ours=is_ours)]

    def _whole_export(self, destination: Container, recording: Recording, chunk: Chunk) -> f.ExportFound | None:
        """ACS's own file, where that is proved to be whole: better than a copy of which nothing shows it."""
        for one in find_copies(destination, recording, chunk, is_thorough=True):
            if one.origin is Origin.ACS and one.size:
                fact = fact_of(destination, self._media, recording, chunk, one)
                if isinstance(fact, f.ExportFound) and fact.proof is not Proof.NONE:
                    return fact
        return None

    def _present(self, destination: Container, recording: Recording, chunk: Chunk) -> BlobFacts | None:
        """A file in the destination that may be it: of a worker that died, or ACS's own, late. Its bytes decide."""
        blob = chunk.blob or ""
        facts = destination.stat(blob)
        if facts is not None:
            if facts.size != chunk.size:
                raise DestinationConflict(f"another file is at {blob}; it is kept")
            return facts
        found = find_copies(destination, recording, chunk, is_thorough=True)
        late = [one for one in found if one.size == chunk.size]
        return destination.stat(late[0].name) if late else None

    def _copy(
        self, fallback: Container, source: BlobFacts, destination: Container, chunk: Chunk, budget: Budget
    ) -> tuple[BlobFacts, bool]:
        """The file at the chunk's name, and whether it was written now."""
        blob = chunk.blob or ""
        try:
            written = self._copier.run(
                fallback,
                source.name,
                source,
                destination,
                blob,
                until=budget.until,
                keep=budget.keep,
            )
        except BlobExists as error:
            facts = destination.stat(blob)
            if facts is None or facts.size != chunk.size:
                raise DestinationConflict(f"another file is at {blob}; it is kept") from error
            return facts, False
        return written, True

    def _is_same(self, destination: Container, present: BlobFacts, chunk: Chunk, budget: Budget) -> bool:
        if chunk.sha256 is None:
            return False
        digest = read_back(
            destination,
            present.name,
            etag=present.etag,
            size=present.size,
            until=budget.hard_until,
            clock=self._clock,
            keep=budget.keep,
        )
        return digest.sha256 == chunk.sha256

    def _place_metadata(self, destination: Container, recording: Recording, chunk: Chunk, name: str) -> None:
        """Beside the media; what is not in the fallback (any more) is a separate step afterwards."""
        if chunk.metadata_state != "saved" or not chunk.metadata_blob:
            return
        file = chunk.metadata_blob.rpartition("/")[2]
        target = f"{name.rpartition('/')[0]}/{file}"
        with suppress(BlobMissing, BlobExists):
            data = self._containers.fallback().read(places.fallback_name(recording, chunk.metadata_blob))
            destination.put(target, data, content_type="application/json", overwrite=False)
