"""The state of every delivery: written by the delivery workers, readable from any thread."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from local.eventgrid.schedule import Outcome
    from local.eventgrid.schema import Event

_POLL_SECONDS = 0.005
_HISTORY = 100_000


class State(StrEnum):
    """State of a delivery; the last two are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Attempt:
    """One attempt: its start (clock time), outcome, HTTP status (None: no response) and duration in real seconds."""

    at: datetime
    outcome: Outcome
    status: int | None
    seconds: float


@dataclass(frozen=True)
class Delivery:
    """Snapshot of the delivery of one event to one subscription.

    `next_attempt`: when it is due next (clock time); None once final. `reason`: why it was given up.
    """

    id: str
    subscription: str
    event: Event
    state: State
    publish_time: datetime
    next_attempt: datetime | None
    attempts: tuple[Attempt, ...]
    reason: str | None

    @property
    def event_id(self) -> str:
        """The event's own id: the same in all its deliveries."""
        identity: str = self.event["id"]
        return identity


@dataclass(eq=False, slots=True)
class Entry:
    """A delivery in progress, guarded by `DeliveryLog.changed`. `event` is in the subscription's envelope."""

    subscription: str
    event: Event
    publish_time: datetime
    due: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: State = State.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    reason: str | None = None

    def snapshot(self) -> Delivery:
        """An immutable copy of the present state."""
        return Delivery(
            id=self.id,
            subscription=self.subscription,
            event=self.event,
            state=self.state,
            publish_time=self.publish_time,
            next_attempt=self.due if self.state is State.PENDING else None,
            attempts=tuple(self.attempts),
            reason=self.reason,
        )


class DeliveryLog:
    """All entries, oldest first. Of the finished ones the newest 100,000 are kept.

    `changed` guards the entries and is notified when one finishes.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._unfinished: OrderedDict[str, Entry] = OrderedDict()
        self._finished: OrderedDict[str, Entry] = OrderedDict()

    def add(self, entry: Entry) -> None:
        """Adds a new entry."""
        with self.changed:
            self._unfinished[entry.id] = entry

    def finish(self, entry: Entry, state: State, *, reason: str | None = None) -> None:
        """Sets the final state of `entry`."""
        with self.changed:
            entry.state = state
            entry.reason = reason or entry.reason
            if self._unfinished.pop(entry.id, None) is not None:
                self._finished[entry.id] = entry
                if len(self._finished) > _HISTORY:
                    self._finished.popitem(last=False)
            self.changed.notify_all()

    def drop(self, subscription: str | None = None, *, reason: str) -> None:
        """Drops all unfinished entries, or those of one subscription."""
        with self.changed:
            for entry in list(self._unfinished.values()):
                if subscription in {None, entry.subscription}:
                    self.finish(entry, State.DROPPED, reason=reason)

    def find(self, identity: str) -> list[Entry]:
        """The entry with this delivery id, else all entries whose event has this id."""
        with self.changed:
            entry = self._unfinished.get(identity) or self._finished.get(identity)
            if entry is not None:
                return [entry]
            return [e for e in self._all() if e.event["id"] == identity]

    def snapshots(self) -> tuple[Delivery, ...]:
        """All deliveries, in the order of publishing."""
        with self.changed:
            found = [entry.snapshot() for entry in self._all()]
        return tuple(sorted(found, key=lambda delivery: delivery.publish_time))

    @property
    def unfinished(self) -> int:
        """How many deliveries have no final state."""
        with self.changed:
            return len(self._unfinished)

    def wait_for(self, is_reached: Callable[[], bool], *, timeout: float) -> bool:
        """Waits until `is_reached`, `timeout` real seconds at most; returns whether it is.

        Polls, because an advancing clock sends no notification.
        """
        give_up = time.monotonic() + timeout
        with self.changed:
            while not is_reached():
                if time.monotonic() >= give_up:
                    return False
                self.changed.wait(_POLL_SECONDS)
        return True

    def _all(self) -> list[Entry]:
        return [*self._finished.values(), *self._unfinished.values()]
