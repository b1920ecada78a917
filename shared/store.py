"""Keeping the books: every change of a recording goes through here.

Order of effects, chosen so that a crash between any two of them loses nothing:
1. a marker stands before the document says that something is unfinished, and falls only after it says it is not;
2. the ledger first, then the queue: a try that was planned and never queued is overdue, and the sweep finds it;
3. a document is written only over the version that was read (ETag); who lost the race reads and decides again.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.codec import encode
from shared.domain.errors import REFUSALS, PreconditionFailed, StorageError, StorageUnavailable
from shared.domain.naming import marker
from shared.domain.recording import AT_RISK_STATES, ChunkState
from shared.logs import log
from shared.ports import RescueMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.errors import RecorderError
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Ledger, Notifier, Random, RescueQueue

_MOST_RACES = 20
# With less than this left a try goes by the urgent queue, which does not wait behind a storm of younger failures.
URGENT_LEFT = timedelta(hours=3)
_LONGEST_QUEUE_DELAY = timedelta(days=6)
# Recordings whose newest version is remembered: many more than a process works on at once.
_MOST_KNOWN = 64


class Books:
    """The ledger, the markers and the queue as one thing. One for the process; safe for many threads."""

    def __init__(self, *, ledger: Ledger, queue: RescueQueue, notifier: Notifier, clock: Clock, random: Random) -> None:
        self.ledger = ledger
        self._queue = queue
        self._notifier = notifier
        self._clock = clock
        self._random = random
        self._known: dict[str, tuple[Recording, str]] = {}

    def load(self, key: str) -> Recording | None:
        """The recording, or None."""
        found = self._read(key)
        return found[0] if found else None

    def _read(self, key: str) -> tuple[Recording, str] | None:
        found = self.ledger.load(key)
        if found:
            self._remember(key, found)
        return found

    def _remember(self, key: str, version: tuple[Recording, str]) -> None:
        with suppress(KeyError, RuntimeError):  # another thread may be at it too: nothing hangs on which one goes
            while len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
        self._known[key] = version

    def change(self, key: str, decide: Callable[[Recording], Recording | None]) -> Recording | None:
        """Reads, decides, writes; again if somebody else wrote in between.

        What this process read or wrote last is taken for what stands, first: the ETag tells if it was not, and a
        request is saved where it was. Nothing is left undone on the word of memory alone.

        `decide` is pure; None means: nothing to change. Returns what stands now if it was changed, else None.
        """
        return self._race(key, lambda found: decide(found) if found else None)

    def change_or_create(self, key: str, decide: Callable[[Recording | None], Recording | None]) -> Recording | None:
        """The same, where `decide` gets None for a recording that is not in the ledger yet."""
        return self._race(key, decide)

    def _race(self, key: str, decide: Callable[[Recording | None], Recording | None]) -> Recording | None:
        for attempt in range(_MOST_RACES):
            known = self._known.pop(key, None)
            found = known or self._read(key)
            before, etag = found or (None, None)
            after = decide(before)
            if after is None or after == before:
                if known:
                    continue
                return None
            after = _marked(before, after)
            try:
                return self._write(before, after, etag)
            except PreconditionFailed:
                own = self._written_after_all(after)
                if own:
                    return own
                if known:
                    continue
                self._clock.pause(self._random.random() * 0.05 * (attempt + 1))
        raise StorageUnavailable(f"the ledger document {key} is being changed all the time")

    def _written_after_all(self, after: Recording) -> Recording | None:
        """The SDK asks again where an answer was lost, and may meet what it wrote itself: then nobody else did."""
        standing = self._read(after.key)
        return standing[0] if standing and encode(standing[0]) == encode(after) else None

    def _write(self, before: Recording | None, after: Recording, etag: str | None) -> Recording:
        old = before.marker if before else None
        if after.marker and after.marker != old:
            self.ledger.put_marker(after.marker)
        self._remember(after.key, (after, self.ledger.save(after, etag=etag)))
        if old and old != after.marker:
            self.ledger.delete_marker(old)
        return after

    def send(self, recording: Recording, chunk: Chunk) -> None:
        """Queues the try that the ledger has planned for `chunk`."""
        delay = (chunk.next_try_at or self._clock.now()) - self._clock.now()
        delay = min(max(delay, timedelta(0)), _LONGEST_QUEUE_DELAY)
        left = recording.deadline - self._clock.now()
        is_urgent = chunk.state in AT_RISK_STATES and left < URGENT_LEFT
        self._queue.send(RescueMessage(recording.key, chunk.key, chunk.ticket), delay=delay, is_urgent=is_urgent)

    def send_or_leave(self, recording: Recording, chunk: Chunk) -> bool:
        """The same, and whether it went; a queue that fails is logged only, for the ledger has it and the sweep will
        send it.
        """
        try:
            self.send(recording, chunk)
        except StorageError as error:
            log("queue.failed", level=logging.WARNING, recording=recording.key, code=error.code)
            return False
        return True

    def alert(self, recording: Recording, name: str, *, level: int = logging.ERROR, **fields: object) -> None:
        """Raises an alert once for this recording: a log line, and an event to the alert topic if there is one.

        Told first, remembered after: who dies in between, or loses the race, tells it twice. The other way round it
        could be lost, and nobody would ever hear of a recording that is.
        """
        current = self.load(recording.key)
        if current is None or name in current.alerts:
            return
        fields = {"deadline": recording.deadline, **fields}
        log(f"alert.{name}", level=level, recording=recording.key, **fields)
        self._notifier.alert(name=name, recording_key=recording.key, fields=fields)
        self.change(recording.key, lambda now: None if name in now.alerts else now.with_alert(name))

    def alert_refusal(self, recording: Recording, error: RecorderError) -> None:
        """What a person must mend is said at once, once: it can still be mended inside the window. Else nothing."""
        if isinstance(error, REFUSALS):
            self.alert(recording, error.code, blame=error.blame, message=str(error))


def is_open(recording: Recording) -> bool:
    """Whether a recording needs a marker: it is unfinished, or its manifest and other after-work is."""
    return recording.closed_at is None


def _marked(before: Recording | None, after: Recording) -> Recording:
    """`after` with the name of the marker that it needs, a new one where it is opened again."""
    if not is_open(after):
        return replace(after, marker=None)
    is_again = before is not None and not is_open(before)
    reopened = before.reopened + 1 if before and is_again else after.reopened
    return replace(after, reopened=reopened, marker=marker(deadline=after.deadline, key=after.key, reopened=reopened))


def planned(chunk: Chunk, *, at: datetime) -> Chunk:
    """The chunk with its next try at `at`, under a new ticket: all earlier messages become void."""
    return replace(chunk, next_try_at=at, ticket=chunk.ticket + 1, lease_until=None, requeues=0)


def taken_back(chunk: Chunk) -> Chunk:
    """The chunk of a worker that went away without a word: pending again, with one crash more. Any other as it is."""
    if chunk.state is not ChunkState.RESCUING:
        return chunk
    return replace(chunk, crashes=chunk.crashes + 1).to(ChunkState.PENDING)
