"""From the fallback to the right place: server-side copy, check, then remove the fallback's copy.

The bytes are safe already, so this goes on for days, slowly. A file with other bytes at the destination is never
overwritten: it is reported, and the fallback's copy stays.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain.backoff import delivery_delay
from shared.domain.errors import (
    BlobExists,
    BlobMissing,
    DestinationConflict,
    FallbackMissing,
    RecorderError,
    StorageError,
)
from shared.domain.recording import ChunkState, LastError
from shared.domain.redaction import clean
from shared.logs import log
from shared.store import planned
from shared.transfer.copy import Copier
from shared.transfer.digest import read_back
from shared.worker.finder import Found, Lookup, beside_empty, container_of, fallback_name

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Container, Containers, Random
    from shared.store import Books
    from shared.worker.aftercare import Aftercare


_DAY = timedelta(days=1)


class Delivery:
    """Moves chunks out of the fallback."""

    def __init__(
        self,
        *,
        books: Books,
        containers: Containers,
        aftercare: Aftercare,
        clock: Clock,
        random: Random,
        window: timedelta,
        block_bytes: int,
    ) -> None:
        self._books = books
        self._containers = containers
        self._aftercare = aftercare
        self._lookup = Lookup()
        self._clock = clock
        self._random = random
        self._window = window
        self._block_bytes = block_bytes

    def deliver(self, recording: Recording, chunk: Chunk) -> None:
        """One try to move the chunk. Raises StorageError only when the ledger itself fails."""
        recording, chunk = self._aftercare.with_metadata(recording, chunk)
        try:
            placed = self._place(recording, chunk)
            has_metadata = self._place_metadata(recording, chunk, placed)
            fallback = self._containers.fallback()
            for name in (chunk.blob, chunk.metadata_blob):
                fallback.delete(fallback_name(recording, name or ""))
        except FallbackMissing as error:
            self._fetch_again(recording, chunk, error)
            return
        except (StorageError, DestinationConflict) as error:
            self._failed(recording, chunk, error)
            return

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.state is not ChunkState.IN_FALLBACK:
                return None
            return current.with_chunk(
                replace(
                    standing,
                    blob=placed.name,
                    metadata_blob=placed.metadata_place(chunk),
                    metadata_state=standing.metadata_state if has_metadata else "pending",
                    finished_at=self._clock.now(),
                ).to(ChunkState.DELIVERED)
            )

        after = self._books.change(recording.key, decide)
        moved = after.chunk(chunk.key) if after else None
        if after and moved:
            log("chunk.delivered", recording=recording.key, chunk=chunk.index, size=chunk.size, tries=chunk.tries)
            self._aftercare.chunk_is_safe(after, moved)

    def _place(self, recording: Recording, chunk: Chunk) -> Found:
        """The file at its place, verified; where that is. FallbackMissing where there is nothing to bring there.

        What stands there already is compared by its bytes: it may be ours, of a worker that died, or ACS's own, of an
        export that it took for failed. Beside a file without bytes it goes to a folder of our own.
        """
        destination = self._containers.destination(container_of(recording))
        fallback = self._containers.fallback()
        source = fallback_name(recording, chunk.blob or "")
        standing = destination.stat(chunk.blob or "")
        if standing is not None and standing.size == 0:
            chunk = beside_empty(recording, chunk)
            standing = destination.stat(chunk.blob or "")
        name = chunk.blob or ""
        placed = self._late(destination, recording, chunk) if standing is None else None
        if placed is None:
            if standing is None:
                if fallback.stat(source) is None:
                    raise FallbackMissing("somebody removed the bytes from the fallback")
                self._copy(fallback, source, destination, name)
            elif standing.size != chunk.size:
                raise DestinationConflict(f"another file stands at {name}; it is kept")
            if self._sha256(destination, name, chunk.size or 0) != chunk.sha256:
                raise DestinationConflict(f"{name} has other bytes than the recording; it is kept")
            placed = Found(name, chunk.size or 0, chunk.sha256, chunk.metadata_blob)
        return placed

    def _place_metadata(self, recording: Recording, chunk: Chunk, placed: Found) -> bool:
        """The metadata beside the media; False where it is not in the fallback any more, and has to be fetched anew."""
        name = placed.metadata_place(chunk)
        if chunk.metadata_state != "saved" or not name:
            return True
        destination = self._containers.destination(container_of(recording))
        if destination.stat(name) is not None:
            return True
        try:
            data = self._containers.fallback().read(fallback_name(recording, chunk.metadata_blob or ""))
        except BlobMissing:
            return False
        with suppress(BlobExists):
            destination.put(name, data, content_type="application/json", overwrite=False)
        return True

    def _late(self, destination: Container, recording: Recording, chunk: Chunk) -> Found | None:
        """Whether ACS exported it after all, the same bytes: one copy is enough."""
        late = self._lookup.exported(destination, recording, chunk, all_days=True)
        if late is None or late.size != chunk.size:
            return None
        return late if self._sha256(destination, late.name, late.size) == chunk.sha256 else None

    def _copy(self, source: Container, source_name: str, target: Container, name: str) -> None:
        facts = source.stat(source_name)
        if facts is None:
            raise BlobMissing(f"{source_name} is not there to be copied")
        copier = Copier(self._clock, self._block_bytes)
        copier.run(source, source_name, facts, target, name, until=self._clock.now() + _DAY)

    def _sha256(self, container: Container, name: str, size: int) -> str:
        until = self._clock.now() + _DAY
        return read_back(container, name, etag=None, size=size, until=until, clock=self._clock).sha256

    def _fetch_again(self, recording: Recording, chunk: Chunk, error: FallbackMissing) -> None:
        """The bytes are in no place of ours any more: back to ACS, as long as that has them, and said at once."""
        now = self._clock.now()

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.ticket != chunk.ticket or standing.state is not ChunkState.IN_FALLBACK:
                return None
            waits = "pending" if standing.metadata_location else standing.metadata_state
            gone = replace(
                planned(standing, at=now),
                size=None,
                sha256=None,
                finished_at=None,
                failures=0,
                metadata_state=waits,
                last_error=LastError(error.code, error.blame, str(error), now),
            )
            return current.with_chunk(gone.to(ChunkState.PENDING))

        after = self._books.change(recording.key, decide)
        moved = after.chunk(chunk.key) if after else None
        if after and moved:
            self._books.send_or_leave(after, moved)
            self._books.alert(after, error.code, chunk=chunk.index)

    def _failed(self, recording: Recording, chunk: Chunk, error: RecorderError) -> None:
        now = self._clock.now()
        last = LastError(error.code, error.blame, clean(str(error))[:300], now, error.trace_id)
        noted = replace(chunk, tries=chunk.tries + 1, failures=chunk.failures + 1, last_error=last)
        is_over = now >= recording.deadline + self._window
        at = now + delivery_delay(failures=chunk.failures, random=self._random.random())

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.ticket != chunk.ticket or standing.state is not ChunkState.IN_FALLBACK:
                return None
            if not is_over:
                return current.with_chunk(planned(noted, at=at))
            changed = current.with_chunk(replace(noted, next_try_at=None))
            is_last = all(other.is_finished or other.next_try_at is None for other in changed.chunks)
            if not is_last:
                return changed
            return changed.closed_undelivered(now)

        after = self._books.change(recording.key, decide)
        moved = after.chunk(chunk.key) if after else None
        if after is None or moved is None:
            return
        log(
            "delivery.failed",
            level=logging.WARNING,
            recording=recording.key,
            chunk=chunk.index,
            code=error.code,
            blame=error.blame,
            message=str(error),
            next_try_at=moved.next_try_at,
        )
        if is_over:
            if after.closed_at is not None:
                self._aftercare.tell_losses(after)
                self._aftercare.clear_fallback(after)
            self._books.alert(after, "delivery_given_up", chunk=chunk.index, code=error.code)
            return
        self._books.send_or_leave(after, moved)
        self._books.alert_refusal(after, error)
