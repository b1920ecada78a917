"""Every five minutes: what is due and was not done becomes a queue message. Nothing slow happens here.

Open documents carry their due time and their risk as metadata, so a listing is all that is read: 5,000 documents a
page, whatever they owe. What is overdue gets a message, nearest risk first; the worker loads the document and plans
again what is overdue in it. Where a queue is backed up, more messages would only wait behind those that are there, so
only what is at risk within hours is sent, by the urgent queue.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import StorageError
from shared.domain.steps import URGENT_LEFT
from shared.logs import describe, log
from shared.ports import RECORDING_PART, Lane, WorkItem
from shared.sightings import SWEEP

if TYPE_CHECKING:
    from shared.ports import Clock, Ledger, OpenEntry, WorkQueue
    from shared.sightings import Sightings

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
    ) -> None:
        self._seen = seen
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._time_budget = time_budget
        self._overdue_after = overdue_after

    def run(self) -> None:
        """The pass. StorageError where the ledger cannot be listed; what it cannot queue is left to the next one."""
        until = self._clock.now() + self._time_budget
        poisoned = self._unpoisoned()
        overdue, count = self._overdue(until)
        sent = 0
        backed_up = {lane: self._is_backed_up(lane) for lane in Lane}
        for entry in sorted(overdue, key=lambda one: (one.risk or _NEVER, one.due or _NEVER)):
            lane = self._lane(entry)
            if sent >= _MOST_MESSAGES or self._clock.now() >= until:
                break
            if not backed_up[lane]:
                sent += self._send(WorkItem(entry.key, RECORDING_PART), lane)
        self._seen.saw(SWEEP)
        log("sweep.done", open=count, overdue=len(overdue), sent=sent, poisoned=poisoned)

    def _overdue(self, until: datetime) -> tuple[list[OpenEntry], int]:
        """What should have happened by now. A document whose metadata cannot be read counts: the worker reads it."""
        latest = self._clock.now() - self._overdue_after
        found: list[OpenEntry] = []
        count, cursor = 0, None
        while True:
            page, cursor = self._ledger.open_entries(cursor=cursor)
            count += len(page)
            found += [entry for entry in page if entry.due is None or entry.due <= latest]
            if cursor is None or self._clock.now() >= until:
                return found, count

    def _lane(self, entry: OpenEntry) -> Lane:
        if entry.risk is None:
            return Lane.BACKGROUND
        return Lane.URGENT if entry.risk - self._clock.now() < URGENT_LEFT else Lane.NORMAL

    def _is_backed_up(self, lane: Lane) -> bool:
        try:
            return self._queue.is_backed_up(lane)
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return False

    def _unpoisoned(self) -> int:
        """What failed five times is looked at anew: the document says what there is to do."""
        try:
            items = self._queue.drain_poison(limit=_POISON_LIMIT)
        except StorageError as error:
            log("sweep.failed", level=logging.ERROR, error=describe(error))
            return 0
        for item in items:
            log("sweep.unpoisoned", level=logging.WARNING, recording=item.recording_key, part=item.part)
            self._send(WorkItem(item.recording_key, RECORDING_PART), Lane.NORMAL)
        return len(items)

    def _send(self, item: WorkItem, lane: Lane) -> bool:
        try:
            self._queue.send(item, delay=timedelta(0), lane=lane)
        except StorageError as error:
            log("queue.failed", level=logging.WARNING, recording=item.recording_key, code=error.code)
            return False
        return True
