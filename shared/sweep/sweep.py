"""Every five minutes: what is due and was not done becomes a queue message. Nothing slow happens here.

Open documents carry their due time and their risk as metadata, so a listing is all that is read: 5,000 documents a
page, whatever they owe. What is overdue gets a message, nearest risk first; the worker loads the document and plans
again what is overdue in it. Where a queue is backed up, more messages would only wait behind those that are there, so
only what is at risk within hours is sent, by the urgent queue.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import StorageError
from shared.domain.recording import RecordingState
from shared.domain.steps import URGENT_LEFT
from shared.logs import describe, log
from shared.ports import RECORDING_PART, Backlog, Lane, WorkItem
from shared.sightings import SWEEP
from shared.telemetry.instruments import HELD_IN_FALLBACK, OWED_ALERTS, QUEUE_AGE, QUEUE_LENGTH, UNFINISHED
from shared.telemetry.port import NO_TELEMETRY

if TYPE_CHECKING:
    from shared.ports import Clock, Ledger, OpenEntry, WorkQueue
    from shared.sightings import Sightings
    from shared.telemetry.port import Telemetry

_MOST_MESSAGES = 1000
_POISON_LIMIT = 256
_NEVER = datetime.max.replace(tzinfo=UTC)


class Sweep:
    """One pass over the open documents' metadata. `overdue_after`: how late counts as lost."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        queue: WorkQueue,
        seen: Sightings,
        clock: Clock,
        time_budget: timedelta,
        overdue_after: timedelta,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self._seen = seen
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._time_budget = time_budget
        self._overdue_after = overdue_after
        self._telemetry = telemetry

    def run(self) -> None:
        """The pass. StorageError where the ledger cannot be listed; what it cannot queue is left to the next one."""
        until = self._clock.now() + self._time_budget
        poisoned = self._unpoisoned()
        overdue, count = self._overdue(until)
        sent = 0
        backlogs = {lane: self._backlog(lane) for lane in Lane}
        for entry in sorted(overdue, key=lambda one: (one.risk or _NEVER, one.due or _NEVER)):
            lane = self._lane(entry)
            if sent >= _MOST_MESSAGES or self._clock.now() >= until:
                break
            if not backlogs[lane].is_full:
                sent += self._send(WorkItem(entry.key, RECORDING_PART), lane)
        self._seen.saw(SWEEP)
        log("sweep.done", open=count, overdue=len(overdue), sent=sent, poisoned=poisoned)

    def _overdue(self, until: datetime) -> tuple[list[OpenEntry], int]:
        """What should have happened by now. A document whose metadata cannot be read counts: the worker reads it."""
        latest = self._clock.now() - self._overdue_after
        found: list[OpenEntry] = []
        cursor = None
        states: Counter[str] = Counter()
        count = owed = 0
        while True:
            page, cursor = self._ledger.open_entries(cursor=cursor)
            states.update(entry.state for entry in page if entry.facets is None or not entry.facets.is_finished)
            count += len(page)
            owed += sum(entry.owed for entry in page)
            found += [entry for entry in page if entry.due is None or entry.due <= latest]
            if cursor is None or self._clock.now() >= until:
                break
        for state in RecordingState:
            self._telemetry.gauge(UNFINISHED, states[state.value], state=state.value)
        self._telemetry.gauge(HELD_IN_FALLBACK, states[RecordingState.SAFE.value])
        self._telemetry.gauge(OWED_ALERTS, owed)
        return found, count

    def _lane(self, entry: OpenEntry) -> Lane:
        if entry.risk is None:
            return Lane.BACKGROUND
        return Lane.URGENT if entry.risk - self._clock.now() < URGENT_LEFT else Lane.NORMAL

    def _backlog(self, lane: Lane) -> Backlog:
        try:
            found = self._queue.backlog(lane)
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return Backlog()
        age = self._clock.now() - found.oldest_due if found.oldest_due else timedelta(0)
        self._telemetry.gauge(QUEUE_LENGTH, found.length, queue=lane.value)
        self._telemetry.gauge(QUEUE_AGE, max(0.0, age.total_seconds()), queue=lane.value)
        return found

    def _unpoisoned(self) -> int:
        """What failed five times is looked at anew: the document says what there is to do."""
        try:
            items = self._queue.drain_poison(limit=_POISON_LIMIT)
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return 0
        for item in items:
            log("sweep.unpoisoned", level=logging.WARNING, recording=item.recording_key, part=item.part)
        # One look at a recording is enough, however many of its messages failed.
        for key in dict.fromkeys(item.recording_key for item in items):
            self._send(WorkItem(key, RECORDING_PART), Lane.NORMAL)
        return len(items)

    def _send(self, item: WorkItem, lane: Lane) -> bool:
        try:
            self._queue.send(replace(item, due_at=self._clock.now()), delay=timedelta(0), lane=lane)
        except StorageError as error:
            log("queue.failed", level=logging.WARNING, recording=item.recording_key, code=error.code)
            return False
        return True
