"""Writes the events that could not be delivered into their dead-letter container, as the service lays them out.

Blob name: `{SUBSCRIPTION IN UPPER CASE}/{year}/{month}/{day}/{hour}/{guid}.json`, UTC, not zero-padded; content:
an array of one or more events, each with why and when it was given up (documented, with an example).
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings

from local.eventgrid.pace import Agenda, nap
from local.eventgrid.records import Entry, Records, State
from local.eventgrid.schedule import DEAD_LETTER_PATIENCE
from local.eventgrid.schema import CLOUD_EVENTS, encoded, schema_of

if TYPE_CHECKING:
    from local.clock import Clock
    from local.eventgrid.subscription import DeadLetter

# Not documented: how often a container that cannot be reached is tried.
_TRY_AGAIN = timedelta(minutes=5)
_STORAGE_SECONDS = 10


class Undertaker:
    """Writes what `take` brings once it is due; `run` works until it is cancelled."""

    def __init__(self, name: str, dead_letter: DeadLetter, *, clock: Clock, records: Records) -> None:
        self.wake = asyncio.Event()
        self._name = name
        self._dead_letter = dead_letter
        self._clock = clock
        self._records = records
        self._agenda = Agenda()
        self._is_writing = False
        self._failing_since: datetime | None = None

    def take(self, entry: Entry) -> None:
        """Takes an entry in state dead-lettering; called in the loop's thread, under `Records.changed`."""
        self._agenda.add(entry)
        self.wake.set()

    async def run(self) -> None:
        """Writes one blob with all that is due, again and again."""
        while True:
            self.wake.clear()
            if entries := self._take_due():
                await self._write(entries)
            await nap(self.wake, self._clock, until=self.next_due())

    def next_due(self) -> datetime | None:
        """When (clock time) there is something to write next; None: nothing waits."""
        with self._records.changed:
            first = self._agenda.first()
            return first.due if first else None

    def is_busy(self) -> bool:
        """Whether a blob is being written or due now."""
        with self._records.changed:
            due = self.next_due()
            return self._is_writing or (due is not None and due <= self._clock.now())

    def _take_due(self) -> list[Entry]:
        with self._records.changed:
            now = self._clock.now()
            entries: list[Entry] = []
            while (first := self._agenda.first()) is not None and first.due <= now:
                entries.append(self._agenda.pop())
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
            # Documented: without its destination a dead letter is dropped.
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
        with self._records.changed:
            for entry in entries:
                entry.blob = blob
                self._records.finish(entry, state, reason=reason)
            self._is_writing = False

    def _put_off(self, entries: list[Entry], now: datetime) -> None:
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= DEAD_LETTER_PATIENCE:
            self._close(entries, State.DROPPED, reason="DeadLetterDestinationUnavailable")
            return
        with self._records.changed:
            for entry in entries:
                entry.due = now + _TRY_AGAIN
                self._agenda.add(entry)
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
        # A CloudEvent's attribute names have no capitals.
        extra = {name.lower(): value for name, value in extra.items()}
    return {**entry.event, **extra}


def _as_time(moment: datetime) -> str:
    """As the service writes it: 7 digits of fraction."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
