"""Every five minutes: what is overdue, silent or running out of time. The net under everything else.

A listing of the markers, nearest deadline first, and one look at each unfinished recording. Where its time is over
before it has met them all, the next one goes on behind the last of them: each is met in its turn. What it finds:
    a planned try that never came (lost between ledger and queue, or its worker died)   planned again
    a message in the poison queue                                                        planned again
    a deadline that nears, or an export that cannot be verified                          said aloud, once
    a recording started here whose event never came                                      asked for at ACS and looked for
    work after the bytes that was left (metadata, manifest, close)                       done
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from shared.domain.backoff import spread
from shared.domain.errors import RecorderError, StorageError
from shared.domain.naming import marker_key
from shared.domain.recording import AT_RISK_STATES, ChunkState, RecordingState
from shared.logs import describe, log
from shared.store import URGENT_LEFT, planned, taken_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Random, RescueMessage, RescueQueue
    from shared.store import Books
    from shared.sweep.missing_event import Silence

_PAGE = 500
# The ledger's note of where a sweep whose time was over ended; empty where it met them all.
_PLACE = "sweep/place"
_POISON_LIMIT = 256
_LONGEST_GRACE = timedelta(hours=1)
# With so many tries waiting, one that is late is most likely among them; all that have time enough are left there.
# Queued anew, a storm would grow by itself.
_FULL_QUEUE = 1000
_SHORT_QUEUE = 100


class Sweep:
    """One pass over the unfinished recordings.

    `grace`: a try is overdue when its time has passed by this; doubled for each requeue unless the queue is short, and
    an hour while it is full (unless the deadline is near): a full queue is not a lost message.
    """

    def __init__(
        self,
        *,
        books: Books,
        queue: RescueQueue,
        silence: Silence,
        clock: Clock,
        random: Random,
        alert_left: tuple[timedelta, ...],
        time_budget: timedelta,
        grace: timedelta,
    ) -> None:
        self._books = books
        self._queue = queue
        self._silence = silence
        self._clock = clock
        self._random = random
        self._alert_left = alert_left
        self._time_budget = time_budget
        self._strays: set[str] = set()
        self._grace = grace
        self._is_queue_full = self._is_queue_short = False
        self._exports = silence.exports()
        self._silent_left = time_budget

    def run(self) -> None:
        """The pass. A recording that cannot be looked at is logged and left to the next one."""
        until = self._clock.now() + self._time_budget
        poisoned = self._drain_poison()
        length = self._queue_length()
        self._is_queue_full, self._is_queue_short = length >= _FULL_QUEUE, length < _SHORT_QUEUE
        self._exports, self._silent_left = self._silence.exports(), self._time_budget / 2
        seen = requeued = 0
        strays: set[str] = set()
        place, is_whole = self._place(), True
        for name in self._markers(place):
            seen += 1
            try:
                requeued += self._look(name, strays)
            except RecorderError as error:
                log("sweep.failed", level=logging.ERROR, recording=marker_key(name), error=describe(error))
            self._strays.discard(name)
            if self._clock.now() >= until:
                is_whole = False
                self._keep_place(name)
                break
        else:
            if place:
                self._keep_place("")
        self._strays = strays if is_whole else self._strays | strays
        log("sweep.done", unfinished=seen, requeued=requeued, poisoned=poisoned, is_whole=is_whole)

    def _markers(self, place: str) -> Iterator[str]:
        """All markers, nearest deadline first: from behind `place` to the end, then from the beginning up to it."""
        yield from (name for name in self._listed() if name > place)
        if place:
            yield from takewhile(lambda name: name <= place, self._listed())

    def _listed(self) -> Iterator[str]:
        cursor: str | None = None
        while True:
            names, cursor = self._books.ledger.markers(limit=_PAGE, cursor=cursor)
            yield from names
            if cursor is None:
                return

    def _place(self) -> str:
        """Where the last sweep ended. In the ledger, for the next one may run in another process."""
        try:
            return (self._books.ledger.get_note(_PLACE) or b"").decode("utf-8", "replace")
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return ""

    def _keep_place(self, name: str) -> None:
        try:
            self._books.ledger.put_note(_PLACE, name.encode())
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))

    def _queue_length(self) -> int:
        try:
            return self._queue.length()
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return 0

    def _drain_poison(self) -> int:
        try:
            messages = self._queue.drain_poison(limit=_POISON_LIMIT)
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return 0
        for message in messages:
            try:
                self._unpoison(message)
            except RecorderError as error:
                log("sweep.failed", level=logging.ERROR, recording=message.recording_key, error=describe(error))
        return len(messages)

    def _unpoison(self, message: RescueMessage) -> None:
        recording = self._books.load(message.recording_key)
        chunk = recording.chunk(message.chunk_key) if recording else None
        if recording and chunk and chunk.ticket == message.ticket:
            log("sweep.unpoisoned", level=logging.WARNING, recording=recording.key, chunk=chunk.index)
            self._requeue(recording, chunk)

    def _look(self, name: str, strays: set[str]) -> int:
        """One recording; how many tries were queued for it. Adds a marker that looks left over to `strays`."""
        recording = self._books.load(marker_key(name))
        if recording is None:
            # A marker put just before its document; if that never came, it falls with its deadline.
            if name < f"open/{self._clock.now():%Y%m%dT%H%M%SZ}":
                self._books.ledger.delete_marker(name)
            return 0
        if recording.closed_at is not None or (recording.marker and recording.marker != name):
            # Left over, or put a moment ago by somebody whose document is not written yet: so only when it is seen
            # so once more.
            if name in self._strays:
                self._books.ledger.delete_marker(name)
            else:
                strays.add(name)
            return 0
        if recording.state is RecordingState.STARTED:
            self._listen(recording)
            return 0
        self._warn(recording)
        overdue = [chunk for chunk in recording.chunks if self._is_overdue(recording, chunk)]
        return sum(self._requeue(recording, chunk) for chunk in overdue)

    def _listen(self, recording: Recording) -> None:
        """One without an event. All of them take half of a sweep at most, however slow ACS or their container is: what
        is left stays due, and has its turn at the next, where those that had theirs are not due any more.
        """
        if self._silent_left <= timedelta(0):
            return
        began = self._clock.now()
        try:
            self._silence.look(recording, exports=self._exports, until=began + self._silent_left)
        finally:
            self._silent_left -= self._clock.now() - began

    def _warn(self, recording: Recording) -> None:
        """Says once for each threshold that a deadline nears; when several are passed at once, the nearest only."""
        if not any(chunk.state in AT_RISK_STATES for chunk in recording.chunks):
            return
        left = recording.deadline - self._clock.now()
        passed = [threshold for threshold in self._alert_left if left <= threshold]
        if not passed:
            return
        hours = min(passed) / timedelta(hours=1)
        errors = [chunk.last_error.code for chunk in recording.chunks if chunk.last_error and not chunk.is_safe]
        hours_left = round(left / timedelta(hours=1), 2)
        self._books.alert(recording, f"deadline_{hours:g}h", hours_left=hours_left, codes=errors)

    def _is_overdue(self, recording: Recording, chunk: Chunk) -> bool:
        due = self._due(recording, chunk)
        # In a short queue nothing waits for long: what did not come was lost or failed, however often before.
        doublings = 0 if self._is_queue_short else min(chunk.requeues, 10)
        grace = min(_LONGEST_GRACE, self._grace * (1 << doublings))
        if self._is_queue_full and recording.deadline - self._clock.now() > URGENT_LEFT:
            grace = _LONGEST_GRACE
        return due is not None and self._clock.now() - due > grace

    @staticmethod
    def _due(recording: Recording, chunk: Chunk) -> datetime | None:
        """When something should have happened to the chunk; None where nothing is to come."""
        if chunk.state is ChunkState.RESCUING:
            return chunk.lease_until
        if not chunk.is_finished and not chunk.is_given_up:
            return chunk.next_try_at
        if chunk.is_finished and chunk.is_safe and chunk.metadata_state == "pending":
            return chunk.next_try_at or chunk.finished_at
        is_over = all(one.is_finished or one.is_given_up for one in recording.chunks)
        if is_over and chunk.key == recording.chunks[0].key:
            # Everything is in place (or stays where it is) and the recording is not closed: the manifest, or a crash
            # before it.
            planned_for = [at for at in (chunk.next_try_at, recording.manifest.next_try_at) if at]
            finished = [one.finished_at for one in recording.chunks if one.finished_at]
            return max([*planned_for, *finished], default=None)
        return None

    def _requeue(self, recording: Recording, chunk: Chunk) -> int:
        at = spread(now=self._clock.now(), within=timedelta(seconds=20), random=self._random.random())

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.ticket != chunk.ticket:
                return None
            again = planned(taken_back(standing), at=at)
            return current.with_chunk(replace(again, requeues=standing.requeues + 1))

        after = self._books.change(recording.key, decide)
        moved = after.chunk(chunk.key) if after else None
        if after is None or moved is None:
            return 0
        log("sweep.requeued", recording=recording.key, chunk=chunk.index, state=chunk.state, requeues=moved.requeues)
        if not self._books.send_or_leave(after, moved):
            self._uncount(after, moved, requeues=chunk.requeues)
            return 0
        return 1

    def _uncount(self, recording: Recording, chunk: Chunk, *, requeues: int) -> None:
        """A message that the queue did not take does not wait in it: the next sweep need not be more patient."""

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.ticket != chunk.ticket:
                return None
            return current.with_chunk(replace(standing, requeues=requeues))

        self._books.change(recording.key, decide)
