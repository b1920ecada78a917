"""Writes events that could not be delivered into the dead-letter container, in the service's layout.

Blob name: `{SUBSCRIPTION IN UPPER CASE}/{year}/{month}/{day}/{hour}/{guid}.json`, UTC, not zero-padded; content:
an array of events, each with the reason and times of the failure (documented, with an example).
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings

from local.eventgrid.delivery_log import DeliveryLog, Entry, State
from local.eventgrid.schedule import DEAD_LETTER_PATIENCE
from local.eventgrid.schema import CLOUD_EVENTS, encoded, schema_of
from local.eventgrid.timer_queue import TimerQueue, wait_until

if TYPE_CHECKING:
    from local.clock import Clock
    from local.eventgrid.subscription import DeadLetter

# How often an unreachable container is retried is not documented.
_RETRY_AFTER = timedelta(minutes=5)
_STORAGE_SECONDS = 10


class DeadLetterWriter:
    """Writes the entries given to `take` once they are due; `run` works until it is cancelled."""

    def __init__(self, name: str, dead_letter: DeadLetter, *, clock: Clock, log: DeliveryLog) -> None:
        self.wake = asyncio.Event()
        self._name = name
        self._dead_letter = dead_letter
        self._clock = clock
        self._log = log
        self._queue = TimerQueue()
        self._is_writing = False
        self._failing_since: datetime | None = None

    def take(self, entry: Entry) -> None:
        """Accepts an entry in state dead-lettering. Call it on the loop's thread, holding `DeliveryLog.changed`."""
        self._queue.add(entry)
        self.wake.set()

    async def run(self) -> None:
        """Writes all due entries into one blob, again and again."""
        while True:
            self.wake.clear()
            if entries := self._take_due():
                await self._write(entries)
            await wait_until(self.wake, self._clock, until=self.next_due())

    def next_due(self) -> datetime | None:
        """When (clock time) the next entry is due; None: there is none."""
        with self._log.changed:
            first = self._queue.first()
            return first.due if first else None

    def is_busy(self) -> bool:
        """Whether a blob is being written or due now."""
        with self._log.changed:
            due = self.next_due()
            return self._is_writing or (due is not None and due <= self._clock.now())

    def _take_due(self) -> list[Entry]:
        with self._log.changed:
            now = self._clock.now()
            entries: list[Entry] = []
            while (first := self._queue.first()) is not None and first.due <= now:
                entries.append(self._queue.pop())
            self._is_writing = bool(entries)
            return entries

    async def _write(self, entries: list[Entry]) -> None:
        now = self._clock.now()
        moment = now.astimezone(UTC)
        folder = f"{self._name.upper()}/{moment.year}/{moment.month}/{moment.day}/{moment.hour}"
        blob = f"{folder}/{uuid.uuid4()}.json"
        try:
            await asyncio.to_thread(self._upload, blob, encoded([_as_dead_letter(e) for e in entries]))
        except ResourceNotFoundError:
            # Documented: a dead letter whose container does not exist is dropped.
            self._close(entries, State.DROPPED, reason="DeadLetterDestinationNotFound")
        except AzureError:
            self._put_off(entries, now)
        else:
            self._failing_since = None
            self._close(entries, State.DEAD_LETTERED, blob=blob)
        self.wake.set()

    def _upload(self, name: str, content: bytes) -> None:
        with BlobClient.from_connection_string(
            self._dead_letter.connection_string,
            self._dead_letter.container,
            name,
            retry_total=0,
            connection_timeout=_STORAGE_SECONDS,
            read_timeout=_STORAGE_SECONDS,
        ) as client:
            client.upload_blob(content, content_settings=ContentSettings(content_type="application/json"))

    def _close(self, entries: list[Entry], state: State, *, reason: str | None = None, blob: str | None = None) -> None:
        with self._log.changed:
            for entry in entries:
                entry.blob = blob
                self._log.finish(entry, state, reason=reason)
            self._is_writing = False

    def _put_off(self, entries: list[Entry], now: datetime) -> None:
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= DEAD_LETTER_PATIENCE:
            self._close(entries, State.DROPPED, reason="DeadLetterDestinationUnavailable")
            return
        with self._log.changed:
            for entry in entries:
                entry.due = now + _RETRY_AFTER
                self._queue.add(entry)
            self._is_writing = False


def _as_dead_letter(entry: Entry) -> dict[str, Any]:
    last = entry.attempts[-1] if entry.attempts else None
    extra: dict[str, Any] = {
        "deadLetterReason": entry.reason,
        "deliveryAttempts": len(entry.attempts),
        "lastDeliveryOutcome": last.outcome if last else None,
        "publishTime": _as_time(entry.publish_time),
        "lastDeliveryAttemptTime": _as_time(last.at) if last else None,
    }
    if schema_of(entry.event) == CLOUD_EVENTS:
        # Attribute names of a CloudEvent are lower-case.
        extra = {name.lower(): value for name, value in extra.items()}
    return {**entry.event, **extra}


def _as_time(moment: datetime) -> str:
    """The time in the service's form, with 7 digits of fraction."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
