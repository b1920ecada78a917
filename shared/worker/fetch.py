"""Step `fetch`: the bytes from ACS to the destination; where that refuses, to the fallback at once.

Safe first, right place second. Every URL that may give the chunk's media is tried, best first; what one of them
gives is stored where nothing of that name is. Before a commit that comes late the destination is looked at once more:
ACS may have exported the chunk meanwhile, or another worker may have been faster.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import (
    BlobExists,
    DestinationConflict,
    MediaDistrusted,
    MediaEmpty,
    MediaError,
    MediaIsAPage,
    MediaLocationRefused,
    MediaThrottled,
    MediaUndelimited,
    RecorderError,
    StorageError,
)
from shared.domain.recording import Step
from shared.transfer.budget import TimeBudgetSpentError
from shared.transfer.job import Job, Progress, StoredBlob
from shared.worker.checks import fact_of
from shared.worker.finder import Origin, find_copies, has_history
from shared.worker.verify import stored_in_fallback

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.domain.recording import Chunk, Recording, Source
    from shared.ports import Clock, Container, Containers, Media
    from shared.transfer.budget import Budget
    from shared.transfer.engine import Engine
    from shared.worker.circuit_breaker import CircuitBreaker

# Transfers longer than this look once more for ACS's own export before they commit.
_LONG_TRANSFER = timedelta(seconds=10)


class _FoundMeanwhileError(Exception):
    """The chunk came into the destination while it was being fetched."""

    def __init__(self, fact: f.Fact) -> None:
        super().__init__()
        self.fact = fact


class Fetch:
    """Fetches chunks. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        containers: Containers,
        media: Media,
        engine: Engine,
        breaker: CircuitBreaker,
        clock: Clock,
    ) -> None:
        self._containers = containers
        self._media = media
        self._engine = engine
        self._breaker = breaker
        self._clock = clock

    def fetch(self, recording: Recording, chunk: Chunk, budget: Budget) -> list[f.Fact]:
        """The fact that the attempt came to. StorageError never: it is a reason to store the bytes in the fallback."""
        attempt = _Attempt(self._clock.now(), budget)
        try:
            try:
                return [self._to_destination(recording, chunk, attempt)]
            except (StorageError, DestinationConflict) as refusal:
                self._breaker.note(places.container_of(recording), refusal)
                return [self._to_fallback(recording, chunk, attempt, refusal)]
        except _FoundMeanwhileError as found:
            return [found.fact]
        except TimeBudgetSpentError:
            return [f.Continued(chunk.key, chunk.generation, Step.FETCH, attempt.progress.staged)]
        except RecorderError as error:
            return [self._failed(recording, chunk, attempt, error)]

    def _to_destination(self, recording: Recording, chunk: Chunk, attempt: _Attempt) -> f.Fact:
        place = places.container_of(recording)
        self._breaker.check(place)
        destination = self._containers.destination(place)
        found = self._found(destination, recording, chunk, is_thorough=chunk.attempts > 0)
        if found is not None:
            return found
        try:
            done, source = self._from_sources(recording, chunk, attempt, destination, lambda name: name)
        except BlobExists as error:
            # Another worker on this chunk was faster, or a file of that name came meanwhile.
            found = self._found(destination, recording, chunk, is_thorough=True)
            if found is None:
                raise DestinationConflict("another file has the chunk's name; it is kept") from error
            return found
        return _stored(chunk, done, source, is_fallback=False)

    def _to_fallback(self, recording: Recording, chunk: Chunk, attempt: _Attempt, refusal: RecorderError) -> f.Fact:
        failure = f.Failure.of(refusal)
        attempt.refusal = failure
        fallback = self._containers.fallback()
        if has_history(chunk):
            kept = stored_in_fallback(fallback, recording, chunk)
            if kept is not None:
                return kept
        try:
            done, source = self._from_sources(
                recording, chunk, attempt, fallback, lambda name: places.fallback_name(recording, name)
            )
        except BlobExists:
            kept = stored_in_fallback(fallback, recording, chunk)
            if kept is None:
                raise
            return kept
        return _stored(chunk, done, source, is_fallback=True, refusal=failure)

    def _from_sources(
        self,
        recording: Recording,
        chunk: Chunk,
        attempt: _Attempt,
        target: Container,
        named: Callable[[str], str],
    ) -> tuple[StoredBlob, Source]:
        """The bytes of the first source that gives any. MediaError of the last one that did not; StorageError."""
        error: MediaError = MediaLocationRefused("no event named a location at ACS for this chunk")
        for source in chunk.sources:
            job = Job(
                location=source.url,
                target=target,
                name=lambda form: named(places.media_name(recording, chunk, form)),
                hint=chunk.format_hint or recording.format_type or "mp3",
                budget=attempt.budget,
                before_commit=self._last_look(recording, chunk, attempt),
                deadline=chunk.abandon_after,
            )
            try:
                return self._engine.run(job, attempt.progress), source
            except MediaUndelimited as undelimited:
                raise _FoundMeanwhileError(self._unproven(recording, chunk, attempt, job, undelimited)) from undelimited
            except MediaThrottled:
                raise
            except MediaError as failed:
                attempt.saw(source, failed)
                error = failed
        raise error

    def _unproven(
        self, recording: Recording, chunk: Chunk, attempt: _Attempt, job: Job, error: MediaUndelimited
    ) -> f.Fact:
        """A body that ends with its connection: kept in the fallback, as something that may not be whole."""
        folder = f"{places.unproven_prefix(recording, chunk)}{chunk.generation}"
        kept = Job(
            location=job.location,
            target=self._containers.fallback(),
            name=lambda form: f"{folder}/{places.media_name(recording, chunk, form).rpartition('/')[2]}",
            hint=job.hint,
            budget=attempt.budget,
            before_commit=lambda _name: None,
            deadline=chunk.abandon_after,
            takes_unproven=True,
        )
        done = self._engine.run(kept, attempt.progress)
        source = next(one for one in chunk.sources if one.url == job.location)
        return _stored(chunk, done, source, is_fallback=True, refusal=f.Failure.of(error))

    def _last_look(self, recording: Recording, chunk: Chunk, attempt: _Attempt) -> Callable[[str], None]:
        def look(_name: str) -> None:
            if not has_history(chunk) and self._clock.now() - attempt.begun < _LONG_TRANSFER:
                return
            # A file in the way is no reason to drop the bytes: the commit overwrites nothing, and they may be on their
            # way to the fallback because of it.
            with suppress(StorageError, DestinationConflict):
                destination = self._containers.destination(places.container_of(recording))
                found = self._found(destination, recording, chunk, is_thorough=True)
                if found is not None:
                    raise _FoundMeanwhileError(found)

        return look

    def _found(self, destination: Container, recording: Recording, chunk: Chunk, *, is_thorough: bool) -> f.Fact | None:
        """What the destination has of the chunk already. A file that is not whole media is none of it.

        One at the very name that the chunk would have is in the way: DestinationConflict.
        """
        names = places.possible_names(recording, chunk)
        for one in find_copies(destination, recording, chunk, is_thorough=is_thorough):
            fact = fact_of(destination, self._media, recording, chunk, one) if one.size else None
            if isinstance(fact, f.ExportFound | f.Stored):
                return fact
            if one.name in names and one.origin is not Origin.OURS:
                raise DestinationConflict(f"{one.name} is there, and it is not the whole recording; it is kept")
        return None

    def _failed(self, recording: Recording, chunk: Chunk, attempt: _Attempt, error: RecorderError) -> f.Fact:
        if isinstance(error, MediaError) and has_history(chunk):
            # ACS gives nothing any more, but an earlier attempt may have brought it before the ledger knew.
            with suppress(StorageError):
                kept = stored_in_fallback(self._containers.fallback(), recording, chunk)
                if kept is not None:
                    return kept
        # A source that contradicts itself may never take up again what it gave: its blocks are no progress.
        is_doubtful = isinstance(error, MediaDistrusted)
        return f.Failed(
            chunk.key,
            chunk.generation,
            Step.FETCH,
            f.Failure.of(error),
            progress=0 if is_doubtful else attempt.progress.blocks,
            also=attempt.refusal,
            refuted=tuple(attempt.refuted),
            is_confirmed=attempt.is_confirmed or attempt.progress.blocks > 0,
            staged=None if is_doubtful else attempt.progress.staged,
        )


class _Attempt:
    """What the ways of one attempt share."""

    def __init__(self, begun: datetime, budget: Budget) -> None:
        self.begun = begun
        self.budget = budget
        self.progress = Progress()
        self.refusal: f.Failure | None = None
        self.refuted: list[str] = []
        self.is_confirmed = False

    def saw(self, source: Source, error: MediaError) -> None:
        """A source gave nothing that could be stored."""
        self.refuted.append(source.url)
        # Bytes came, and no page: something is there.
        if isinstance(error, MediaDistrusted) and not isinstance(error, MediaEmpty | MediaIsAPage):
            self.is_confirmed = True


def _stored(
    chunk: Chunk, done: StoredBlob, source: Source, *, is_fallback: bool, refusal: f.Failure | None = None
) -> f.Stored:
    return f.Stored(
        chunk.key,
        chunk.generation,
        done.name,
        is_fallback=is_fallback,
        size=done.size,
        proof=done.proof,
        sha256=done.sha256,
        etag=done.etag,
        format=done.format,
        source=source.url,
        refusal=refusal,
        blocks=done.blocks,
        reused=done.reused,
    )
