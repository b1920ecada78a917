"""What a try of a chunk came to, written into the ledger in one step: a new state; a next try, planned and queued;
lost, said aloud. Whoever planned the chunk anew meanwhile is left in peace.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.domain.backoff import History, delivery_delay, next_try
from shared.domain.errors import (
    DestinationConflict,
    StorageError,
    StorageRefused,
    WorkerCrashed,
)
from shared.domain.recording import IN_PLACE_STATES, TRANSITIONS, ChunkState, LastError
from shared.domain.redaction import clean
from shared.logs import log
from shared.store import planned
from shared.worker.finder import Found, Lookup, container_of, fallback_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.domain.backoff import RetryPolicy
    from shared.domain.errors import RecorderError
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Container, Containers, Random
    from shared.store import Books
    from shared.transfer.engine import StoredBlob
    from shared.worker.aftercare import Aftercare

# For so long after a deadline a chunk is not called lost while a container that may hold it cannot be asked.
_LATE_LOOKS = timedelta(hours=6)
# What a worker that crashed again and again gets: tries at a slow pace, from this many crashes on.
_CRASH_LIMIT = 3


class Outcome:
    """One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        books: Books,
        containers: Containers,
        aftercare: Aftercare,
        clock: Clock,
        random: Random,
        policy: RetryPolicy,
        delivery_window: timedelta,
    ) -> None:
        self._books = books
        self._containers = containers
        self._lookup = Lookup()
        self._aftercare = aftercare
        self._clock = clock
        self._random = random
        self._policy = policy
        self._delivery_window = delivery_window

    def stands(self, recording: Recording, chunk: Chunk, done: Found | StoredBlob) -> None:
        """The bytes are in the destination."""
        if isinstance(done, Found):
            self.exported(recording, chunk, done)
        else:
            self.saved(recording, chunk, done, ChunkState.RESCUED)

    def exported(self, recording: Recording, chunk: Chunk, found: Found) -> None:
        """The bytes are in the destination as ACS put them there."""
        after = self.move(
            recording,
            chunk,
            lambda now: chunk.to(
                ChunkState.EXPORTED,
                blob=found.name,
                size=found.size,
                sha256=found.sha256,
                metadata_blob=found.metadata_place(chunk),
                metadata_state="saved" if found.metadata_name else chunk.metadata_state,
                failures=0,  # the patience with its metadata begins anew
                finished_at=now,
                lease_until=None,
            ),
        )
        if after:
            log("chunk.exported", recording=recording.key, chunk=chunk.index, size=found.size)
            self._aftercare.chunk_is_safe(*after)

    def saved(self, recording: Recording, chunk: Chunk, done: StoredBlob, state: ChunkState) -> None:
        """The bytes are where we put them: RESCUED, or IN_FALLBACK with its first delivery planned."""
        after = self.move(
            recording,
            chunk,
            lambda now: replace(
                planned(chunk, at=now) if state is ChunkState.IN_FALLBACK else chunk,
                size=done.size,
                sha256=done.sha256,
                media_etag=done.etag,
                failures=0,
                lease_until=None,
                finished_at=now,
            ).to(state),
        )
        if after is None:
            if state is ChunkState.IN_FALLBACK:
                self._drop_unknown(recording, chunk)
            return
        log(
            f"chunk.{state}",
            recording=recording.key,
            chunk=chunk.index,
            size=done.size,
            blocks=done.blocks,
            reused=done.reused,
            tries=chunk.tries,
        )
        self._aftercare.chunk_is_safe(*after)

    def _drop_unknown(self, recording: Recording, chunk: Chunk) -> None:
        """Another worker brought the chunk to its place while this one brought it to the fallback."""
        current = self._books.load(recording.key)
        standing = current.chunk(chunk.key) if current else None
        if standing and standing.state in IN_PLACE_STATES:
            with suppress(StorageError):
                self._containers.fallback().delete(fallback_name(recording, chunk.blob or ""))

    def fetch_instead(self, recording: Recording, chunk: Chunk, error: RecorderError) -> None:
        """The claim does not hold, or cannot be checked in time: the media is fetched from ACS like any other."""
        noted = self.noted(chunk, error)
        after = self.move(recording, chunk, lambda now: planned(noted, at=now).to(ChunkState.PENDING))
        if after:
            self._books.send_or_leave(*after)
            self._books.alert(after[0], error.code, level=logging.WARNING, chunk=chunk.index)

    def handed_over(self, recording: Recording, chunk: Chunk) -> None:
        """The invocation's time is up: the same chunk goes on at once in the next one; no failed try."""
        after = self.move(
            recording,
            chunk,
            lambda now: replace(planned(chunk, at=now), failures=0, handovers=chunk.handovers + 1).to(
                ChunkState.PENDING
            ),
        )
        if after:
            log("rescue.handed_over", recording=recording.key, chunk=chunk.index, handovers=chunk.handovers + 1)
            self._books.send_or_leave(*after)

    def crashed(self, recording: Recording, chunk: Chunk) -> None:
        """The message came back while its try was still marked as running: that worker died.

        The try is put off rather than begun again at once, under a new message: a chunk that kills its worker each
        time never reaches the poison queue and takes nobody else down with it.
        """
        counted = replace(chunk, crashes=chunk.crashes + 1)
        if counted.crashes >= _CRASH_LIMIT:
            self._books.alert(recording, "worker_crashing", chunk=chunk.index, crashes=counted.crashes)
        error = WorkerCrashed(f"crash {counted.crashes} of a worker on this chunk")
        wait = self._policy.longest if counted.crashes >= _CRASH_LIMIT else None
        self.failed(recording, counted, error, progress=0, at_least=wait)

    def failed(
        self,
        recording: Recording,
        chunk: Chunk,
        error: RecorderError,
        *,
        progress: int,
        at_least: timedelta | None = None,
    ) -> None:
        """The try failed: a next one is planned and queued, `at_least` so much later, or the window is over.

        `progress`: blocks that it staged all the same.
        """
        noted = self.noted(chunk, error, progress=progress)
        plan = next_try(
            self._policy,
            History(
                noted.failures - 1,
                recording.deadline,
                chunk.first_seen_at or recording.created_at,
                chunk.tried_after_deadline,
            ),
            now=self._clock.now(),
            random=self._random.random(),
            retry_after=at_least or error.retry_after,
        )
        at, is_last = (plan.at, plan.is_after_deadline) if plan else (self._later(recording, noted, error), False)
        if at is None:
            at = self._given_up(recording, noted)
        if at is None:
            return
        after = self.move(recording, chunk, lambda _now: self._again(noted, at=at, is_last=is_last))
        if after is None:
            return
        log(
            "rescue.failed",
            level=logging.WARNING,
            recording=recording.key,
            chunk=chunk.index,
            code=error.code,
            blame=error.blame,
            message=str(error),
            tries=noted.tries,
            staged=progress,
            next_try_at=at,
            trace_id=error.trace_id,
        )
        self._books.send_or_leave(*after)
        self._books.alert_refusal(after[0], error)

    @staticmethod
    def _again(noted: Chunk, *, at: datetime, is_last: bool) -> Chunk:
        chunk = replace(planned(noted, at=at), tried_after_deadline=noted.tried_after_deadline or is_last)
        return chunk.to(ChunkState.PENDING) if chunk.state is ChunkState.RESCUING else chunk

    def _later(self, recording: Recording, chunk: Chunk, error: RecorderError) -> datetime | None:
        """An export that is claimed and cannot be checked is not lost with the window: it may well be there."""
        now = self._clock.now()
        is_unverified = chunk.state is ChunkState.EXPECTED and isinstance(error, StorageError)
        if is_unverified and now < recording.deadline + self._delivery_window:
            return now + delivery_delay(failures=chunk.failures, random=self._random.random())
        return None

    def _given_up(self, recording: Recording, chunk: Chunk) -> datetime | None:
        """The window is over: the chunk is where it stands all the same, or lost. None then; else the next look."""
        now = self._clock.now()
        try:
            stands = self.whereabouts(recording, chunk)
        except StorageError:
            if now < recording.deadline + _LATE_LOOKS:
                return now + delivery_delay(failures=chunk.failures, random=self._random.random())
            stands = None
        if stands:
            stands()
        else:
            self._lost(recording, chunk)
        return None

    def whereabouts(self, recording: Recording, chunk: Chunk) -> Callable[[], None] | None:
        """Where the bytes are although the ledger does not know: how to note it, or None. StorageError: not known.

        Our own, in the destination or the fallback, of a worker that died before it could say so; else a file under
        the chunk's very name. What refuses for good counts as not there: whoever mends it can have it looked at again.
        """
        unknown: StorageError | None = None
        places: list[tuple[Callable[[], Container], str, ChunkState]] = [
            (lambda: self._containers.destination(container_of(recording)), chunk.blob or "", ChunkState.RESCUED),
            (self._containers.fallback, fallback_name(recording, chunk.blob or ""), ChunkState.IN_FALLBACK),
        ]
        for place, name, state in places:
            if state not in TRANSITIONS[chunk.state]:
                continue  # a claimed export was never ours to bring
            try:
                own = self._lookup.own(place(), name)
            except (StorageRefused, DestinationConflict):
                continue
            except StorageError as error:
                unknown = error
                continue
            if own:
                return partial(self.saved, recording, chunk, own, state)
        with suppress(StorageRefused):
            found = self._lookup.in_place(self._containers.destination(container_of(recording)), chunk)
            if found:
                return partial(self.exported, recording, chunk, found)
        if unknown:
            raise unknown
        return None

    def _lost(self, recording: Recording, chunk: Chunk) -> None:
        after = self.move(
            recording,
            chunk,
            lambda now: replace(chunk, lease_until=None, next_try_at=None, finished_at=now).to(ChunkState.LOST),
        )
        if after:
            self._aftercare.tell_lost(*after)
            self._aftercare.chunk_is_safe(*after)

    def noted(self, chunk: Chunk, error: RecorderError, *, progress: int = 0) -> Chunk:
        """The chunk with one failed try more. `progress`: blocks that it staged all the same."""
        last = LastError(error.code, error.blame, clean(str(error))[:300], self._clock.now(), error.trace_id)
        failures = 1 if progress else chunk.failures + 1
        return replace(chunk, tries=chunk.tries + 1, failures=failures, last_error=last)

    def move(
        self, recording: Recording, chunk: Chunk, change: Callable[[datetime], Chunk]
    ) -> tuple[Recording, Chunk] | None:
        """Writes the chunk that `change` makes, if it still stands as it did when this try looked at it last."""

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.ticket != chunk.ticket or standing.is_safe:
                return None
            return current.with_chunk(_with_locations(change(self._clock.now()), standing))

        after = self._books.change(recording.key, decide)
        moved = after.chunk(chunk.key) if after else None
        return (after, moved) if after and moved else None


def _with_locations(chunk: Chunk, standing: Chunk) -> Chunk:
    """`chunk` with the locations that an event may have added while the try was under way."""
    return replace(
        chunk,
        media_location=standing.media_location,
        metadata_location=standing.metadata_location,
        delete_location=standing.delete_location,
        claimed_blob=standing.claimed_blob,
        claimed_metadata_blob=standing.claimed_metadata_blob,
    )
