"""Process-wide slots for blocks: worker threads, and a bound on memory.

A block begins only when there is room for its bytes, so the blocks in flight are all the memory that transfers take,
however many of them run. The threads are the transfers' own: those in which Functions runs HTTP and Event Grid
functions are never taken.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class BlockSlots(Protocol):
    """Runs block tasks whose blocks take `room` bytes together at the most."""

    room: int

    def submit(self, task: Callable[[], T], size: int) -> Future[T]:
        """Starts `task` when there is room for its `size` bytes; tasks start in the order they were submitted."""
        ...


_M_ARENA_MAX = -8  # <malloc.h>


def _share_heap() -> None:
    """Lets threads that are made from now on share one heap (glibc; elsewhere nothing happens).

    By default each gets its own heap and keeps there what its last block took: with twelve slots and six
    rescues that was 84 MB resident for 46 MB of blocks, and 52 with one heap, at the same speed (docs/performance.md).
    """
    import ctypes  # noqa: PLC0415 - milliseconds that a cold start need not wait for

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


class ThreadSlots:
    """BlockSlots as threads, made when first used: as many as blocks of `least` bytes have room in `room`."""

    def __init__(self, *, room: int, least: int) -> None:
        _share_heap()
        self.room = room
        self._free = room
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=max(1, room // least), thread_name_prefix="lane")

    def submit(self, task: Callable[[], T], size: int) -> Future[T]:
        """See `BlockSlots`. A size beyond the room has all of it."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                result = task()
            except BaseException as error:  # noqa: BLE001 - raised by the future's `result`, as in a pool
                self._let_in(freed=min(size, self.room))
                future.set_exception(error)
            else:
                self._let_in(freed=min(size, self.room))
                future.set_result(result)

        with self._lock:
            self._waiting.append((run, min(size, self.room)))
        self._let_in()
        return future

    def _let_in(self, *, freed: int = 0) -> None:
        """Starts those who wait, first come first served, as far as there is room.

        No block passes another: a block waits in its lane until the blocks before it are hashed, so those must
        have got their room earlier.
        """
        with self._lock:
            self._free += freed
            while self._waiting and self._waiting[0][1] <= self._free:
                run, size = self._waiting.popleft()
                self._free -= size
                self._pool.submit(run)


class InlineSlots:
    """One lane, in the caller's own thread: for deterministic runs."""

    room = 1

    def submit(self, task: Callable[[], T], size: int) -> Future[T]:  # noqa: ARG002 - the port's name
        """See `BlockSlots`."""
        future: Future[T] = Future()
        try:
            future.set_result(task())
        except Exception as error:  # noqa: BLE001 - raised by the future's `result`, as in a pool
            future.set_exception(error)
        return future
