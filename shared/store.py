"""The only writer of recordings: the document, then its queue messages.

Everything that is owed is in the document, and the document lies under `open/` as long as anything is owed. Its due
time goes with it as metadata, in the same PUT. So a crash after the write loses no more than a message, and the sweep
finds what is overdue by listing. A document is written only over the version that was decided on (ETag); after a lost
race the decision is made again on what is there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

from shared import index
from shared.domain.context import Context
from shared.domain.errors import PreconditionFailed, StorageError, StorageUnavailable
from shared.domain.facets import facets
from shared.domain.lifecycle import decide
from shared.domain.steps import BACKGROUND_STEPS, URGENT_LEFT, chunk_step, next_due, recording_steps
from shared.logs import log
from shared.ports import OUTBOX_PART, RECORDING_PART, Lane, OpenEntry, Version, WorkItem
from shared.telemetry.changes import measure_change
from shared.telemetry.port import NO_TELEMETRY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.domain.facts import Fact
    from shared.domain.recording import Chunk, Recording
    from shared.domain.steps import Rules
    from shared.ports import Clock, Ledger, Random, WorkQueue
    from shared.telemetry.port import Telemetry

_MOST_RACES = 20
# What is due later than this is left to the sweep, which comes every five minutes.
_SOON = timedelta(minutes=10)
_LONGEST_DELAY = timedelta(days=6)


@dataclass(frozen=True)
class Held(Version):
    """A recording as facts make it that are not written yet, over the one that is: for a step that follows at once."""

    written: Version | None = None
    facts: tuple[tuple[Fact, Context], ...] = ()


class RecordingStore:
    """Loads and commits recordings. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        queue: WorkQueue,
        clock: Clock,
        random: Random,
        rules: Rules,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self.ledger = ledger
        self._queue = queue
        self._clock = clock
        self._random = random
        self.rules = rules
        self._telemetry = telemetry

    def load(self, key: str) -> Version | None:
        """The recording as the ledger has it, or None. StorageError; StorageCorrupted where it cannot be read."""
        return self.ledger.load(key)

    def record(self, version: Version, fact: Fact, *, by: str = "app") -> Version:
        """Commits what `decide` makes of what is held and of `fact`; the version that is current then. StorageError."""
        return self.settle(self.hold(version, fact, by=by))

    def hold(self, version: Version, fact: Fact, *, by: str = "app") -> Held:
        """What `decide` makes of `fact`, unwritten: after a crash before the next commit its step is done again."""
        context = self.context(by=by)
        after = decide(version.recording, fact, context)
        written, facts = (version.written, version.facts) if isinstance(version, Held) else (version, ())
        return Held(after, version.etag, version.is_open, written, (*facts, (fact, context)))

    def settle(self, version: Version) -> Version:
        """Commits what is held, if anything is; the version that is current then. StorageError."""
        if not isinstance(version, Held) or version.written is None:
            return version
        base, held = version.written, version

        def decided(now: Recording | None) -> Recording | None:
            if now is None or now is base.recording:
                return now and held.recording
            return reduce(lambda one, each: decide(one, *each), held.facts, now)

        return self.commit(base.recording.key, base, decided) or base

    def context(self, *, by: str = "app") -> Context:
        """The moment and one random number, for one decision however often it is made again."""
        return Context(now=self._clock.now(), random=self._random.random(), rules=self.rules, by=by)

    def commit(
        self, key: str, version: Version | None, change: Callable[[Recording | None], Recording | None]
    ) -> Version | None:
        """Writes `change` of the recording; what is current after it (None: there is none). StorageError.

        `change` is pure, gets None where there is no document, and returns None or the same where nothing changes.
        `version` None: not known yet. It is read, for there may be a closed copy that no write would meet.
        """
        version = version or self.ledger.load(key)
        for attempt in range(_MOST_RACES):
            before = version.recording if version else None
            after = change(before)
            if after is None or after == before:
                return version
            after = replace(after, revision=(before.revision if before else 0) + 1)
            try:
                written = self._write(version, after)
            except PreconditionFailed:
                version = self.ledger.load(key)
                if version is None or version.recording != after:
                    self._clock.pause(self._random.random() * 0.05 * (attempt + 1))
                    continue
                written = version  # our own write, whose answer was lost
            measure_change(self._telemetry, before, written.recording)
            self._send(before, written.recording)
            return written
        raise StorageUnavailable(f"the ledger document {key} is being changed all the time")

    def _write(self, version: Version | None, after: Recording) -> Version:
        """The document, with its entry among the finished ones: put before it, and an old one removed after it."""
        before = index.finished_entry(version.recording) if version else None
        entry = index.finished_entry(after)
        if entry is not None and entry != before:
            self.ledger.put_entry(*entry)
        written = self._put(version, after)
        if before is not None and (entry is None or entry[0] != before[0]):
            self._remove(before[0])
        return written

    def _remove(self, name: str) -> None:
        try:
            self.ledger.delete_entry(name)
        except StorageError as error:  # lists find that it does not agree with the document
            log("index.failed", level=logging.WARNING, entry=name, code=error.code)

    def _put(self, version: Version | None, after: Recording) -> Version:
        opened = version.etag if version and version.is_open else None
        closed = version.etag if version and not version.is_open else None
        due = next_due(after, self.rules)
        if due is None and after.closed_at is not None:
            return Version(after, self.ledger.archive(after, etag=opened, closed=closed), is_open=False)
        entry = OpenEntry(after.key, due, after.at_risk_from, after.state.value, facets(after), len(after.outbox))
        if opened is not None:
            return Version(after, self.ledger.save(after, etag=opened, entry=entry))
        # New, or opened again: the closed copy stays, so that a reader always finds one of them.
        return Version(after, self.ledger.create(after, entry=entry, closed=closed))

    # --- messages

    def _send(self, before: Recording | None, after: Recording) -> None:
        """One message for each plan that is new. A queue that fails is logged: what is overdue is in the ledger."""
        for chunk in after.chunks:
            known = before.chunk(chunk.key) if before else None
            is_new = known is None or known.generation != chunk.generation
            if is_new and chunk_step(chunk) is not None and chunk.lease is None:
                self.send_chunk(after, chunk)
        if after.outbox and (
            before is None or (before.publishing, before.outbox[:1]) != (after.publishing, after.outbox[:1])
        ):
            self._offer(WorkItem(after.key, OUTBOX_PART), after.publishing.at, Lane.BACKGROUND)
        upcoming, old = (
            recording_steps(after, self.rules)[:1],
            recording_steps(before, self.rules)[:1] if before else [],
        )
        if upcoming and upcoming != old and timedelta(0) < upcoming[0].at - self._clock.now() <= _SOON:
            self.send_look(after, at=upcoming[0].at, is_background=upcoming[0].step in BACKGROUND_STEPS)

    def send_chunk(self, recording: Recording, chunk: Chunk) -> bool:
        """Queues the attempt that the ledger has planned for `chunk`; whether it went."""
        lane = Lane.NORMAL
        if chunk_step(chunk) in BACKGROUND_STEPS:
            lane = Lane.BACKGROUND
        elif chunk.is_at_risk and chunk.at_risk_from - self._clock.now() < URGENT_LEFT:
            lane = Lane.URGENT
        return self._offer(WorkItem(recording.key, chunk.key, chunk.generation), chunk.next_attempt_at, lane)

    def send_look(self, recording: Recording, *, at: datetime | None = None, is_background: bool = False) -> bool:
        """Queues a look at the whole recording; whether it went."""
        lane = Lane.BACKGROUND if is_background else Lane.NORMAL
        return self._offer(WorkItem(recording.key, RECORDING_PART), at, lane)

    def _offer(self, item: WorkItem, at: datetime | None, lane: Lane) -> bool:
        now = self._clock.now()
        delay = min(max((at or now) - now, timedelta(0)), _LONGEST_DELAY)
        item = replace(item, trace=self._telemetry.trace_parent(), due_at=now + delay)
        try:
            self._queue.send(item, delay=delay, lane=lane)
        except StorageError as error:
            log("queue.failed", level=logging.WARNING, recording=item.recording_key, code=error.code)
            return False
        return True

    def quarantine(self, key: str, error: StorageError) -> None:
        """Moves a document that cannot be read out of the way, so that it does not come back with every sweep."""
        log("alert.ledger_unreadable", level=logging.ERROR, recording=key, code=error.code, message=str(error))
        self.ledger.quarantine(key)

    def forget(self, version: Version) -> None:
        """Removes a recording that never came to be. PreconditionFailed where it has changed since."""
        self.ledger.remove(version.recording.key, etag=version.etag)
