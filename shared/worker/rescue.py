"""One queue message: one try of one chunk, whatever its state asks for.

    expected            verify the claimed export in the container
    pending, rescuing   look in the container, then bring the bytes from ACS: to the destination, or where that
                        refuses at once to the fallback
    in_fallback         move it to the destination (`delivery.py`)
    finished            what is left to do after the bytes are safe (`aftercare.py`)

What it comes to is written down by `outcome.py`.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import (
    BlobExists,
    DestinationConflict,
    ExportEmpty,
    ExportNotFound,
    MediaChanged,
    MediaError,
    MediaLocationRefused,
    MediaWrongRange,
    RecorderError,
    StorageError,
    Unexpected,
)
from shared.domain.recording import ChunkState
from shared.logs import describe, log, whereabouts
from shared.transfer.engine import Job, Progress, StoredBlob, TimeBudgetSpentError
from shared.worker.circuit_breaker import Detour
from shared.worker.finder import Found, Lookup, beside_empty, container_of, fallback_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Container, Containers, RescueMessage
    from shared.store import Books
    from shared.transfer.engine import Engine
    from shared.worker.aftercare import Aftercare
    from shared.worker.delivery import Delivery
    from shared.worker.outcome import Outcome

# A claimed export that cannot be verified is fetched from ACS after this many tries, if ACS's copy can be named.
_VERIFY_TRIES = 5
# After so many time budgets the sweep takes a worker for dead.
_LEASE_BUDGETS = 1.5
# Transfers longer than this look once more for ACS's own export before they commit.
_LONG_TRANSFER = timedelta(seconds=10)


class _StandsMeanwhileError(Exception):
    """The chunk came into the destination while it was being rescued: by ACS, or by another worker of ours."""

    def __init__(self, found: Found | StoredBlob) -> None:
        super().__init__()
        self.found = found


class Rescue:
    """Handles queue messages. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        books: Books,
        containers: Containers,
        transfer: Engine,
        outcome: Outcome,
        delivery: Delivery,
        aftercare: Aftercare,
        clock: Clock,
        time_budget: timedelta,
    ) -> None:
        self._books = books
        self._containers = containers
        self._lookup = Lookup()
        self._detour = Detour(clock=clock)
        self._transfer = transfer
        self._outcome = outcome
        self._delivery = delivery
        self._aftercare = aftercare
        self._clock = clock
        self._time_budget = time_budget

    def handle(self, message: RescueMessage, *, dequeue_count: int = 1) -> None:
        """One try. Raises StorageError only when the ledger itself fails: then the host gives the message again."""
        recording = self._books.load(message.recording_key)
        chunk = recording.chunk(message.chunk_key) if recording else None
        if recording is None or chunk is None or chunk.ticket != message.ticket:
            log("rescue.stale", recording=message.recording_key, chunk=message.chunk_key, ticket=message.ticket)
            return
        if dequeue_count > 1 and chunk.state is ChunkState.RESCUING:
            self._outcome.crashed(recording, chunk)
        elif chunk.state is ChunkState.EXPECTED:
            self._verify(recording, chunk)
        elif chunk.state in (ChunkState.PENDING, ChunkState.RESCUING):
            self._rescue(recording, chunk)
        elif chunk.state is ChunkState.IN_FALLBACK:
            self._delivery.deliver(recording, chunk)
        elif chunk.state is ChunkState.LOST:
            self._look_again(recording, chunk)
        else:
            self._aftercare.chunk_is_safe(recording, chunk)

    # --- a claimed export

    def _verify(self, recording: Recording, chunk: Chunk) -> None:
        try:
            found = self._lookup.exported(self._destination(recording), recording, chunk)
            if found is None:
                raise ExportNotFound
            if found.size == 0:
                raise ExportEmpty
        except RecorderError as error:
            is_absent = isinstance(error, ExportNotFound | ExportEmpty)
            if chunk.media_location and (is_absent or chunk.tries + 1 >= _VERIFY_TRIES):
                aside = beside_empty(recording, chunk) if isinstance(error, ExportEmpty) else chunk
                self._outcome.fetch_instead(recording, aside, error)
            else:
                self._outcome.failed(recording, chunk, error, progress=0)
        else:
            self._outcome.exported(recording, chunk, found)

    def _look_again(self, recording: Recording, chunk: Chunk) -> None:
        """A lost chunk that may be in the container after all: an event says so, or a person who brought it there."""
        with suppress(StorageError):
            found = self._lookup.exported(self._destination(recording), recording, chunk, all_days=True)
            if found and found.size:
                self._outcome.exported(recording, chunk, found)
                return
        with suppress(StorageError):
            stands = self._outcome.whereabouts(recording, chunk)
            if stands:
                stands()
                return
        # The look is over: only now may the recording close again.
        self._outcome.move(recording, chunk, lambda _now: replace(chunk, next_try_at=None))
        self._aftercare.chunk_is_safe(recording, chunk)

    # --- a rescue

    def _rescue(self, recording: Recording, chunk: Chunk) -> None:
        lease = self._clock.now() + self._time_budget * _LEASE_BUDGETS
        begun = chunk if chunk.state is ChunkState.RESCUING else chunk.to(ChunkState.RESCUING)
        marked = self._outcome.move(recording, chunk, lambda _now: replace(begun, lease_until=lease))
        if marked is None:
            return
        recording, chunk = marked
        progress = Progress()
        try:
            self._bring(recording, chunk, progress)
        except _StandsMeanwhileError as late:
            self._outcome.stands(recording, chunk, late.found)
        except TimeBudgetSpentError:
            self._outcome.handed_over(recording, chunk)
        except RecorderError as error:
            if isinstance(error, MediaError) and self._is_kept(recording, chunk):
                return
            # A source that contradicts itself may never take up again what it gave: its blocks are no progress.
            is_doubtful = isinstance(error, MediaChanged | MediaWrongRange)
            self._outcome.failed(recording, chunk, error, progress=0 if is_doubtful else progress.blocks)
        except Exception as error:  # noqa: BLE001 - a bug costs a try, not the recording: it goes on, and is said
            log(
                "rescue.unexpected",
                level=logging.ERROR,
                recording=recording.key,
                chunk=chunk.index,
                error=describe(error),
                at=whereabouts(error),
            )
            self._outcome.failed(recording, chunk, Unexpected(type(error).__name__), progress=progress.blocks)

    def _bring(self, recording: Recording, chunk: Chunk, progress: Progress) -> None:
        until = self._clock.now() + self._time_budget
        place = container_of(recording)
        try:
            self._detour.check(place)
            destination = self._destination(recording)
            done = self._lookup.standing(destination, recording, chunk) or self._transferred(
                recording, chunk, target=destination, name=chunk.blob or "", until=until, progress=progress
            )
        except (StorageError, DestinationConflict) as error:
            refusal: RecorderError = error
            self._detour.note(place, error)
        else:
            # Out of the `try`: a ledger that fails here is no reason to go to the fallback.
            self._outcome.stands(recording, chunk, done)
            return
        name = fallback_name(recording, chunk.blob or "")
        try:
            fallback = self._containers.fallback()
            own = self._lookup.own(fallback, name)
            kept = own or self._transferred(
                recording, chunk, target=fallback, name=name, until=until, progress=progress
            )
        except (RecorderError, TimeBudgetSpentError):
            self._books.alert_refusal(recording, refusal)
            raise
        # First the bytes, then the word: an alert that cannot be told must not keep them from being safe.
        self._outcome.saved(recording, self._outcome.noted(chunk, refusal), kept, ChunkState.IN_FALLBACK)
        self._books.alert_refusal(recording, refusal)

    def _is_kept(self, recording: Recording, chunk: Chunk) -> bool:
        """Whether the bytes lie in the fallback, of an earlier try that ended before the ledger knew: noted then."""
        if not (chunk.tries or chunk.crashes or chunk.requeues or chunk.handovers):
            return False  # there was no earlier try
        try:
            own = self._lookup.own(self._containers.fallback(), fallback_name(recording, chunk.blob or ""))
        except (StorageError, DestinationConflict):
            return False
        if own:
            self._outcome.saved(recording, chunk, own, ChunkState.IN_FALLBACK)
        return own is not None

    def _transferred(
        self,
        recording: Recording,
        chunk: Chunk,
        *,
        target: Container,
        name: str,
        until: datetime,
        progress: Progress,
    ) -> StoredBlob:
        if chunk.media_location is None:
            raise MediaLocationRefused
        job = Job(
            chunk.media_location,
            target,
            lambda _: name,
            (chunk.blob or "").rpartition(".")[2],
            until,
            until,
            before_commit=lambda _: self._last_look(recording, chunk)(),
            deadline=recording.deadline,
        )
        try:
            return self._transfer.run(job, progress)
        except BlobExists as error:
            # Another worker on this chunk was faster, or somebody put a file of that name there.
            own = self._lookup.own(target, name)
            if own is None:
                raise DestinationConflict(f"another file stands at {name}") from error
            return own

    def _last_look(self, recording: Recording, chunk: Chunk) -> Callable[[], None]:
        """Does the chunk stand in the destination meanwhile, or where this try has not looked? Then there is no commit.

        After a long transfer, and at a later try, which began by looking at the recording's own day only.
        """
        begun = self._clock.now()

        def look() -> None:
            if chunk.tries == 0 and self._clock.now() - begun < _LONG_TRANSFER:
                return
            with suppress(StorageError, DestinationConflict):
                found = self._lookup.standing(self._destination(recording), recording, chunk, all_days=True)
                if found:
                    raise _StandsMeanwhileError(found)

        return look

    # --- helpers

    def _destination(self, recording: Recording) -> Container:
        return self._containers.destination(container_of(recording))
