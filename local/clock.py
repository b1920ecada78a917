"""One clock for all local services, so that ACS's 24 hours and Event Grid's delays have the same scale.

Three modes: real (`Clock()`), scaled (`Clock(scale=3600)`: an hour a second) and stepped (`Clock(stepped=True)`: moves
only by `advance`). Sleepers wait in clock time, from threads or asyncio.
"""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

# A sleeper reads the clock at least this often (real seconds), to notice `advance` and a changed scale.
_POLL_SECONDS = 0.02


class Clock:
    """A clock that can be real, scaled or stepped.

    `scale`: clock seconds that pass in one real second (1.0: real time). `stepped`: time moves by `advance` only.
    `start`: the first value of `now()`; aware, UTC; default: the real time.
    """

    def __init__(self, *, scale: float = 1.0, stepped: bool = False, start: datetime | None = None) -> None:
        if scale <= 0:
            raise ValueError("scale must be above 0")
        self._lock = threading.Lock()
        self._base = start or datetime.now(UTC)
        self._mark = time.monotonic()
        self._scale = 0.0 if stepped else scale

    @property
    def scale(self) -> float:
        """Clock seconds a real second; 0 when stepped."""
        return self._scale

    def now(self) -> datetime:
        """The present time of this clock: aware, UTC."""
        with self._lock:
            return self._base + timedelta(seconds=(time.monotonic() - self._mark) * self._scale)

    def advance(self, by: timedelta) -> datetime:
        """Moves the clock forward by `by` and returns the new time. ValueError for a negative `by`."""
        if by < timedelta(0):
            raise ValueError("a clock does not go back")
        with self._lock:
            self._base += by
        return self.now()

    def set_scale(self, scale: float) -> None:
        """Changes the scale from now on; 0: stepped."""
        if scale < 0:
            raise ValueError("scale must not be below 0")
        with self._lock:
            mark = time.monotonic()
            self._base += timedelta(seconds=(mark - self._mark) * self._scale)
            self._mark, self._scale = mark, scale

    def sleep(self, seconds: float, *, stop: threading.Event | None = None) -> bool:
        """Blocks this thread for `seconds` of clock time. Returns False as soon as `stop` is set."""
        until = self.now() + timedelta(seconds=seconds)
        stop = stop or threading.Event()
        while (left := (until - self.now()).total_seconds()) > 0:
            if stop.wait(self._real_wait(left)):
                return False
        return True

    async def sleep_async(self, seconds: float) -> None:
        """`sleep` for a coroutine."""
        until = self.now() + timedelta(seconds=seconds)
        # Polls, because the clock may be advanced from another thread.
        while (left := (until - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(self._real_wait(left))

    def _real_wait(self, left: float) -> float:
        if self._scale == 0:
            return _POLL_SECONDS
        return min(max(left / self._scale, 0.0005), _POLL_SECONDS if self._scale != 1.0 else 0.25)
