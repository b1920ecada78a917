"""Entries ordered by due time, and the wait for the next one."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from local.clock import Clock
    from local.eventgrid.delivery_log import Entry

# The longest real wait before the clock is read again: it may have been advanced, or its scale changed.
_POLL_SECONDS = 0.25
_POLL_SCALED_SECONDS = 0.02


class TimerQueue:
    """Entries by due time, first in first out where equal. Not thread-safe."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Entry]] = []
        self._order = itertools.count()

    def add(self, entry: Entry) -> None:
        """Adds `entry` at its `due` time."""
        heapq.heappush(self._heap, (entry.due, next(self._order), entry))

    def first(self) -> Entry | None:
        """The next entry, without removing it."""
        return self._heap[0][2] if self._heap else None

    def pop(self) -> Entry:
        """Removes and returns the next entry."""
        return heapq.heappop(self._heap)[2]

    def clear(self) -> list[Entry]:
        """Removes and returns all entries, in no order."""
        entries = [entry for _, _, entry in self._heap]
        self._heap.clear()
        return entries


async def wait_until(wake: asyncio.Event, clock: Clock, *, until: datetime | None) -> None:
    """Waits for `wake` or clock time `until` (None: for `wake` alone); may return early."""
    if until is None:
        await wake.wait()
        return
    left = (until - clock.now()).total_seconds()
    seconds = _POLL_SECONDS if clock.scale == 1 else _POLL_SCALED_SECONDS
    if clock.scale > 0 and left > 0:
        seconds = min(seconds, left / clock.scale)
    with suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), seconds)
