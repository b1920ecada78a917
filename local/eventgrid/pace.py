"""Things to do in their order of clock time, and the wait for the next one."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from local.clock import Clock
    from local.eventgrid.records import Entry

# The longest real wait before the clock is looked at again: it may have been advanced, or its pace changed.
_LOOK_AGAIN = 0.25
_LOOK_AGAIN_SOON = 0.02


class Agenda:
    """Entries by due time; equal ones in the order they came. Not for several threads without a lock."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Entry]] = []
        self._order = itertools.count()

    def add(self, entry: Entry) -> None:
        """Puts `entry` at its `due`."""
        heapq.heappush(self._heap, (entry.due, next(self._order), entry))

    def first(self) -> Entry | None:
        """The entry due next, which stays."""
        return self._heap[0][2] if self._heap else None

    def pop(self) -> Entry:
        """Takes the entry due next."""
        return heapq.heappop(self._heap)[2]

    def clear(self) -> list[Entry]:
        """Takes all, in no order."""
        entries = [entry for _, _, entry in self._heap]
        self._heap.clear()
        return entries


async def nap(wake: asyncio.Event, clock: Clock, *, until: datetime | None) -> None:
    """Waits for `wake` or clock time `until` (None: for `wake` alone); may return early."""
    if until is None:
        await wake.wait()
        return
    left = (until - clock.now()).total_seconds()
    seconds = _LOOK_AGAIN if clock.scale == 1 else _LOOK_AGAIN_SOON
    if clock.scale > 0 and left > 0:
        seconds = min(seconds, left / clock.scale)
    with suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), seconds)
