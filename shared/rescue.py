"""One queue message: one try of one chunk, whatever its state asks for.

    expected            verify the claimed export in the container
    pending, rescuing   look in the container, then bring the bytes from ACS: to the destination, or where that
                        refuses at once to the fallback
    in_fallback         move it to the destination (`delivery.py`)
    finished            what is left to do after the bytes are safe (`aftercare.py`)

A try ends in exactly one of: a new state; a next try planned in the ledger and queued; lost, said aloud.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.books import planned
from shared.detour import Detour
from shared.errors import (
    BlobExists,
    DestinationConflict,
    ExportEmpty,
    ExportNotFound,
    MediaChanged,
    MediaError,
    MediaLocationRefused,
    MediaUnauthorized,
    MediaWrongRange,
    RecorderError,
    StorageError,
    StorageRefused,
    WorkerCrashed,
)
from shared.lookup import Found, Lookup, beside_empty, container_of, fallback_name
from shared.recording import IN_PLACE_STATES, ChunkState, LastError
from shared.retry import History, delivery_delay, next_try
from shared.telemetry import clean, log
from shared.transfer import Job, Progress, TimeBudgetSpentError, Transferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.aftercare import Aftercare
    from shared.books import Books
    from shared.delivery import Delivery
    from shared.ports import Clock, Container, Containers, Random, RescueMessage
    from shared.recording import Chunk, Recording
    from shared.retry import RetryPolicy
    from shared.transfer import Transfer

# A claimed export that cannot be verified is fetched from ACS after this many tries, if ACS's copy can be named.
_VERIFY_TRIES = 5
# After so many time budgets the sweep takes a worker for dead.
_LEASE_BUDGETS = 1.5
# Transfers longer than this look once more for ACS's own export before they commit.
_LONG_TRANSFER = timedelta(seconds=10)
# For so long after a deadline a chunk is not called lost while a container that may hold it cannot be asked.
_LATE_LOOKS = timedelta(hours=6)
# What a worker that crashed again and again gets: tries at a slow pace, from this many crashes on.
_CRASH_LIMIT = 3


class _StandsMeanwhileError(Exception):
    """The chunk came into the destination while it was being rescued: by ACS, or by another worker of ours."""

    def __init__(self, found: Found | Transferred) -> None:
        super().__init__()
        self.found = found


class Rescue:
    """Handles queue messages. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        books: Books,
        containers: Containers,
        transfer: Transfer,
        delivery: Delivery,
        aftercare: Aftercare,
        clock: Clock,
        random: Random,
        policy: RetryPolicy,
        time_budget: timedelta,
        delivery_window: timedelta,
    ) -> None:
        self._books = books
        self._containers = containers
        self._lookup = Lookup()
        self._detour = Detour(clock=clock)
        self._transfer = transfer
        self._delivery = delivery
        self._aftercare = aftercare
        self._clock = clock
        self._random = random
        self._policy = policy
        self._time_budget = time_budget
        self._delivery_window = delivery_window

    def handle(self, message: RescueMessage, *, dequeue_count: int = 1) -> None:
        """One try. Raises StorageError only when the ledger itself fails: then the host gives the message again."""
        recording = self._books.load(message.recording_key)
        chunk = recording.chunk(message.chunk_key) if recording else None
        if recording is None or chunk is None or chunk.ticket != message.ticket:
            log("rescue.stale", recording=message.recording_key, chunk=message.chunk_key, ticket=message.ticket)
            return
        if dequeue_count > 1 and chunk.state is ChunkState.RESCUING:
            self._crashed(recording, chunk)
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
                self._fetch_instead(recording, aside, error)
            else:
                self._failed(recording, chunk, error, progress=0)
        else:
            self._is_exported(recording, chunk, found)

    def _look_again(self, recording: Recording, chunk: Chunk) -> None:
        """A lost chunk that may be in the container after all: an event says so, or a person who brought it there."""
        with suppress(StorageError):
            found = self._lookup.exported(self._destination(recording), recording, chunk, all_days=True)
            if found and found.size:
                self._is_exported(recording, chunk, found)
                return
        with suppress(StorageError):
            stands = self._whereabouts(recording, chunk)
            if stands:
                stands()
                return
        # The look is over: only now may the recording close again.
        self._move(recording, chunk, lambda _now: replace(chunk, next_try_at=None))
        self._aftercare.chunk_is_safe(recording, chunk)

    def _fetch_instead(self, recording: Recording, chunk: Chunk, error: RecorderError) -> None:
        """The claim does not hold, or cannot be checked in time: the media is fetched from ACS like any other."""
        noted = self._noted(chunk, error)
        after = self._move(recording, chunk, lambda now: planned(noted, at=now).to(ChunkState.PENDING))
        if after:
            self._books.send_or_leave(*after)
            self._books.alert(after[0], error.code, level=logging.WARNING, chunk=chunk.index)

    def _is_exported(self, recording: Recording, chunk: Chunk, found: Found) -> None:
        after = self._move(
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

    # --- a rescue

    def _rescue(self, recording: Recording, chunk: Chunk) -> None:
        lease = self._clock.now() + self._time_budget * _LEASE_BUDGETS
        begun = chunk if chunk.state is ChunkState.RESCUING else chunk.to(ChunkState.RESCUING)
        marked = self._move(recording, chunk, lambda _now: replace(begun, lease_until=lease))
        if marked is None:
            return
        recording, chunk = marked
        progress = Progress()
        try:
            self._bring(recording, chunk, progress)
        except _StandsMeanwhileError as late:
            self._stands(recording, chunk, late.found)
        except TimeBudgetSpentError:
            self._hand_over(recording, chunk)
        except RecorderError as error:
            if isinstance(error, MediaError) and self._is_kept(recording, chunk):
                return
            # A source that contradicts itself may never take up again what it gave: its blocks are no progress.
            is_doubtful = isinstance(error, MediaChanged | MediaWrongRange)
            self._failed(recording, chunk, error, progress=0 if is_doubtful else progress.blocks)

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
            self._stands(recording, chunk, done)
            return
        fallback, name = self._containers.fallback(), fallback_name(recording, chunk.blob or "")
        try:
            own = self._lookup.own(fallback, name)
            kept = own or self._transferred(
                recording, chunk, target=fallback, name=name, until=until, progress=progress
            )
        except (RecorderError, TimeBudgetSpentError):
            self._alert_refusal(recording, refusal)
            raise
        # First the bytes, then the word: an alert that cannot be told must not keep them from being safe.
        self._is_saved(recording, self._noted(chunk, refusal), kept, ChunkState.IN_FALLBACK)
        self._alert_refusal(recording, refusal)

    def _stands(self, recording: Recording, chunk: Chunk, done: Found | Transferred) -> None:
        """The bytes are in the destination."""
        if isinstance(done, Found):
            self._is_exported(recording, chunk, done)
        else:
            self._is_saved(recording, chunk, done, ChunkState.RESCUED)

    def _is_kept(self, recording: Recording, chunk: Chunk) -> bool:
        """Whether the bytes lie in the fallback, of an earlier try that ended before the ledger knew: noted then."""
        if not (chunk.tries or chunk.crashes or chunk.requeues or chunk.handovers):
            return False  # there was no earlier try
        try:
            own = self._lookup.own(self._containers.fallback(), fallback_name(recording, chunk.blob or ""))
        except (StorageError, DestinationConflict):
            return False
        if own:
            self._is_saved(recording, chunk, own, ChunkState.IN_FALLBACK)
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
    ) -> Transferred:
        if chunk.media_location is None:
            raise MediaLocationRefused
        job = Job(
            chunk.media_location,
            target,
            name,
            (chunk.blob or "").rpartition(".")[2],
            until,
            before_commit=self._last_look(recording, chunk),
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

    def _is_saved(self, recording: Recording, chunk: Chunk, done: Transferred, state: ChunkState) -> None:
        after = self._move(
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

    # --- how a try ends otherwise

    def _hand_over(self, recording: Recording, chunk: Chunk) -> None:
        """The invocation's time is up: the same chunk goes on at once in the next one; no failed try."""
        after = self._move(
            recording,
            chunk,
            lambda now: replace(planned(chunk, at=now), failures=0, handovers=chunk.handovers + 1).to(
                ChunkState.PENDING
            ),
        )
        if after:
            log("rescue.handed_over", recording=recording.key, chunk=chunk.index, handovers=chunk.handovers + 1)
            self._books.send_or_leave(*after)

    def _crashed(self, recording: Recording, chunk: Chunk) -> None:
        """The message came back while its try was still marked as running: that worker died.

        The try is put off rather than begun again at once, under a new message: a chunk that kills its worker each
        time never reaches the poison queue and takes nobody else down with it.
        """
        counted = replace(chunk, crashes=chunk.crashes + 1)
        if counted.crashes >= _CRASH_LIMIT:
            self._books.alert(recording, "worker_crashing", chunk=chunk.index, crashes=counted.crashes)
        error = WorkerCrashed(f"crash {counted.crashes} of a worker on this chunk")
        wait = self._policy.longest if counted.crashes >= _CRASH_LIMIT else None
        self._failed(recording, counted, error, progress=0, at_least=wait)

    def _failed(
        self,
        recording: Recording,
        chunk: Chunk,
        error: RecorderError,
        *,
        progress: int,
        at_least: timedelta | None = None,
    ) -> None:
        noted = self._noted(chunk, error, progress=progress)
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
        after = self._move(recording, chunk, lambda _now: self._again(noted, at=at, is_last=is_last))
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
        self._alert_refusal(after[0], error)

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
            stands = self._whereabouts(recording, chunk)
        except StorageError:
            if now < recording.deadline + _LATE_LOOKS:
                return now + delivery_delay(failures=chunk.failures, random=self._random.random())
            stands = None
        if stands:
            stands()
        else:
            self._lost(recording, chunk)
        return None

    def _whereabouts(self, recording: Recording, chunk: Chunk) -> Callable[[], None] | None:
        """Where the bytes are although the ledger does not know: how to note it, or None. StorageError: not known.

        Our own, in the destination or the fallback, of a worker that died before it could say so; else a file under
        the chunk's very name. What refuses for good counts as not there: whoever mends it can have it looked at again.
        """
        unknown: StorageError | None = None
        places: list[tuple[Callable[[], Container], str, ChunkState]] = [
            (lambda: self._destination(recording), chunk.blob or "", ChunkState.RESCUED),
            (self._containers.fallback, fallback_name(recording, chunk.blob or ""), ChunkState.IN_FALLBACK),
        ]
        for place, name, state in places:
            try:
                own = self._lookup.own(place(), name)
            except (StorageRefused, DestinationConflict):
                continue
            except StorageError as error:
                unknown = error
                continue
            if own:
                return partial(self._is_saved, recording, chunk, own, state)
        with suppress(StorageRefused):
            found = self._lookup.in_place(self._destination(recording), chunk)
            if found:
                return partial(self._is_exported, recording, chunk, found)
        if unknown:
            raise unknown
        return None

    def _lost(self, recording: Recording, chunk: Chunk) -> None:
        after = self._move(
            recording,
            chunk,
            lambda now: replace(chunk, lease_until=None, next_try_at=None, finished_at=now).to(ChunkState.LOST),
        )
        if after:
            self._aftercare.tell_lost(*after)
            self._aftercare.chunk_is_safe(*after)

    # --- helpers

    def _destination(self, recording: Recording) -> Container:
        return self._containers.destination(container_of(recording))

    def _noted(self, chunk: Chunk, error: RecorderError, *, progress: int = 0) -> Chunk:
        last = LastError(error.code, error.blame, clean(str(error))[:300], self._clock.now(), error.trace_id)
        failures = 1 if progress else chunk.failures + 1
        return replace(chunk, tries=chunk.tries + 1, failures=failures, last_error=last)

    def _move(
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

    def _alert_refusal(self, recording: Recording, error: RecorderError) -> None:
        """What a person must mend is said at once, once: it can still be mended inside the window."""
        if isinstance(error, StorageRefused | DestinationConflict | MediaUnauthorized | MediaLocationRefused):
            self._books.alert(recording, error.code, blame=error.blame, message=str(error))


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
