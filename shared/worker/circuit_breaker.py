"""A destination that does not answer is not asked again by every attempt.

A container behind a closed network costs each try half a minute of waiting before the bytes go to the fallback (three
connections of five seconds, and the SDK's pauses), one that accepts connections and says nothing three quarters of a
minute (two requests of twenty seconds); ten thousand tries would spend the window on it. So a process remembers for a
minute that a container did not answer, and goes to the fallback straight away. Refusals (403, 404) are quick, and
always asked for anew.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import Blame, StorageNetworkDenied, StorageThrottled, StorageUnavailable

if TYPE_CHECKING:
    from shared.domain.errors import RecorderError
    from shared.domain.locations import ContainerUrl
    from shared.ports import Clock

_REMEMBERED = timedelta(minutes=1)
_SLOW = (StorageUnavailable, StorageThrottled, StorageNetworkDenied)


class CircuitBreaker:
    """Which containers did not answer lately. One for the process; safe for many threads."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._closed: dict[tuple[str, str], datetime] = {}

    def check(self, container: ContainerUrl) -> None:
        """StorageUnavailable while the container is remembered as not answering."""
        with self._lock:
            until = self._closed.get((container.account_url, container.container))
        if until is not None and self._clock.now() < until:
            raise StorageUnavailable("it did not answer a moment ago", blame=Blame.DESTINATION)

    def note(self, container: ContainerUrl, error: RecorderError) -> None:
        """Remembers the container if `error` is of the kind that costs time."""
        if isinstance(error, _SLOW):
            with self._lock:
                self._closed[container.account_url, container.container] = self._clock.now() + _REMEMBERED
