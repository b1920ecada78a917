"""When something was last seen: empty blobs of the ledger, `seen/{what}`, with the time in their metadata.

For `GET /doctor` alone: a sighting that could not be written is logged, and nothing else depends on it.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.codec import format_time, parse_time
from shared.domain.errors import StorageError
from shared.logs import describe, log

if TYPE_CHECKING:
    from shared.ports import Clock, Ledger

SWEEP, RECORDING_EVENT, OTHER_EVENT = "sweep", "recording-event", "other-event"
_PREFIX = "seen/"
# One write a minute and process at most: events come in thousands.
_APART = timedelta(minutes=1)


class Sightings:
    """One for the process; safe for many threads."""

    def __init__(self, *, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[str, datetime] = {}

    def saw(self, what: str) -> None:
        """Notes that `what` is seen now."""
        now = self._clock.now()
        with self._lock:
            known = self._noted.get(what)
            if known is not None and now - known < _APART:
                return
            self._noted[what] = now
        try:
            self._ledger.put_entry(f"{_PREFIX}{what}", {"at": format_time(now)})
        except StorageError as error:
            log("ledger.failed", level=logging.WARNING, error=describe(error))

    def last(self) -> dict[str, datetime]:
        """When each was last seen, to the minute. StorageError."""
        found: dict[str, datetime] = {}
        for entry in self._ledger.entries(_PREFIX)[0]:
            try:
                found[entry.name.removeprefix(_PREFIX)] = parse_time(entry.metadata.get("at", ""))
            except ValueError:
                continue  # not written by this app
        return found
