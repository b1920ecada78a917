"""One timer on the clock for any number of sleepers."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from local.clock import Clock


class Timer:
    """Wakes sleepers in the order of their moments. For one event loop.

    A stepped or scaled clock has to be polled. Ten thousand sleepers that each poll it would keep the loop busy.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._task: asyncio.Task[None] | None = None

    async def sleep(self, duration: timedelta) -> None:
        """Returns after `duration` of clock time."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._clock.now() + duration, next(self._numbers), woken)
        heapq.heappush(self._waiting, entry)
        if self._waiting[0] is entry:
            # Not awaited: a second sleeper would start a task of its own meanwhile.
            if self._task is not None:
                self._task.cancel()
            self._task = asyncio.create_task(self._wake())
        await woken

    async def close(self) -> None:
        """Stops the timer. Its sleepers stay asleep: cancel them."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _wake(self) -> None:
        while self._waiting:
            left = (self._waiting[0][0] - self._clock.now()).total_seconds()
            if left > 0:
                await self._clock.sleep_async(left)
                continue
            _, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                woken.set_result(None)
