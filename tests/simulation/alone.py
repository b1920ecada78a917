"""One thread runs a whole world. What waits there for another waits for ever: it fails at once, and nothing hangs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.simulation.world import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def alone() -> Iterator[None]:
    """Within it a wait of this thread (of a condition, and so of an event, a semaphore, a queue, a future) raises
    Violation; other threads, of whoever runs the tests, wait as ever. No clock is asked.
    """
    me, original = threading.get_ident(), threading.Condition.wait

    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        if threading.get_ident() == me:
            raise Violation("waits for ever: for what nobody else is there to do")
        return original(self, timeout)

    threading.Condition.wait = wait  # type: ignore[method-assign]  # so that it holds for all there are
    try:
        yield
    finally:
        threading.Condition.wait = original  # type: ignore[method-assign]  # as it was
