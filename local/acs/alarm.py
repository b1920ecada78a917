"""Waiting on the clock for many at once: one timer for all, however many wait."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from local.clock import Clock


class Alarm:
    """Wakes sleepers in the order of their moments. For one event loop.

    A clock that is stepped or scaled has to be looked at again and again; ten thousand sleepers that each do
    so would keep the loop busy with nothing else.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._timer: asyncio.Task[None] | None = None

    async def sleep(self, duration: timedelta) -> None:
        """Returns after `duration` of clock time."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._clock.now() + duration, next(self._numbers), woken)
        heapq.heappush(self._waiting, entry)
        if self._waiting[0] is entry:
            # Not awaited: a second sleeper that comes meanwhile would start a timer of its own.
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.create_task(self._wake())
        await woken

    async def close(self) -> None:
        """Stops the timer; who still waits must be cancelled."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            with suppress(asyncio.CancelledError):
                await timer

    async def _wake(self) -> None:
        while self._waiting:
            left = (self._waiting[0][0] - self._clock.now()).total_seconds()
            if left > 0:
                await self._clock.sleep_async(left)
                continue
            _, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                woken.set_result(None)
