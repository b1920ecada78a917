"""What became of every delivery: written by the couriers, read by anybody, from any thread."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from local.eventgrid.schema import Event, encoded, type_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from local.eventgrid.schedule import Outcome

_LOOK_AGAIN = 0.005


class State(StrEnum):
    """Where a delivery stands; the last three are final."""

    PENDING = "pending"
    DEAD_LETTERING = "dead-lettering"
    DELIVERED = "delivered"
    DEAD_LETTERED = "dead-lettered"
    DROPPED = "dropped"


FINAL = frozenset({State.DELIVERED, State.DEAD_LETTERED, State.DROPPED})


@dataclass(frozen=True)
class Attempt:
    """One try: when it began (clock time), how it ended, the HTTP status if any, and its real seconds."""

    at: datetime
    outcome: Outcome
    status: int | None
    seconds: float


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one subscription, as it stood when it was looked at.

    `next_try`: when something happens to it next (clock time), unless final. `reason`: why it was given up.
    `blob`: the dead-letter blob that holds it.
    """

    id: str
    subscription: str
    event: Event
    state: State
    publish_time: datetime
    next_try: datetime | None
    attempts: tuple[Attempt, ...]
    reason: str | None
    blob: str | None

    @property
    def event_id(self) -> str:
        """The event's own id: the same in all its deliveries."""
        identity: str = self.event["id"]
        return identity

    def as_json(self) -> dict[str, Any]:
        """For the control plane; the event itself is left out."""
        return {
            "id": self.id,
            "subscription": self.subscription,
            "eventId": self.event_id,
            "eventType": type_of(self.event),
            "state": self.state,
            "publishTime": self.publish_time.isoformat(),
            "nextTry": self.next_try.isoformat() if self.next_try else None,
            "attempts": [
                {"at": a.at.isoformat(), "outcome": a.outcome, "status": a.status, "seconds": a.seconds}
                for a in self.attempts
            ],
            "reason": self.reason,
            "blob": self.blob,
        }


@dataclass(eq=False, slots=True)
class Entry:
    """A delivery while it is worked on; changed under `Records.changed` only. `event` has its final envelope."""

    subscription: str
    event: Event
    publish_time: datetime
    due: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: State = State.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    reason: str | None = None
    blob: str | None = None
    size: int = 0

    def __post_init__(self) -> None:
        self.size = len(encoded(self.event))

    def snapshot(self) -> Delivery:
        """The entry as others may keep it."""
        return Delivery(
            id=self.id,
            subscription=self.subscription,
            event=self.event,
            state=self.state,
            publish_time=self.publish_time,
            next_try=None if self.state in FINAL else self.due,
            attempts=tuple(self.attempts),
            reason=self.reason,
            blob=self.blob,
        )


class Records:
    """All entries, oldest first; of the finished ones the newest `history` are kept.

    `changed` guards the entries and is notified whenever one is finished.
    """

    def __init__(self, *, history: int) -> None:
        self.changed = threading.Condition()
        self._history = history
        self._unfinished: OrderedDict[str, Entry] = OrderedDict()
        self._finished: OrderedDict[str, Entry] = OrderedDict()

    def add(self, entry: Entry) -> None:
        """Takes a new entry in."""
        with self.changed:
            self._unfinished[entry.id] = entry

    def finish(self, entry: Entry, state: State, *, reason: str | None = None) -> None:
        """Gives `entry` its final state."""
        with self.changed:
            entry.state = state
            entry.reason = reason or entry.reason
            if self._unfinished.pop(entry.id, None) is not None:
                self._finished[entry.id] = entry
                if len(self._finished) > self._history:
                    self._finished.popitem(last=False)
            self.changed.notify_all()

    def drop(self, subscription: str | None = None, *, reason: str) -> None:
        """Ends all that has no final state yet, or what of it is for this subscription."""
        with self.changed:
            for entry in list(self._unfinished.values()):
                if subscription in {None, entry.subscription}:
                    self.finish(entry, State.DROPPED, reason=reason)

    def find(self, identity: str) -> list[Entry]:
        """The entries with this delivery id, else those whose event has this id."""
        with self.changed:
            entry = self._unfinished.get(identity) or self._finished.get(identity)
            if entry is not None:
                return [entry]
            return [e for e in self._all() if e.event["id"] == identity]

    def snapshots(self) -> tuple[Delivery, ...]:
        """All deliveries in the order of their publishing."""
        with self.changed:
            found = [entry.snapshot() for entry in self._all()]
        return tuple(sorted(found, key=lambda delivery: delivery.publish_time))

    @property
    def unfinished(self) -> int:
        """How many deliveries have no final state yet."""
        with self.changed:
            return len(self._unfinished)

    def wait_for(self, is_reached: Callable[[], bool], *, timeout: float) -> bool:
        """Waits up to `timeout` real seconds until `is_reached`; says whether it is.

        Looks again often, since a clock that moves on makes no noise.
        """
        give_up = time.monotonic() + timeout
        with self.changed:
            while not is_reached():
                if time.monotonic() >= give_up:
                    return False
                self.changed.wait(_LOOK_AGAIN)
        return True

    def _all(self) -> list[Entry]:
        return [*self._finished.values(), *self._unfinished.values()]
