"""Time, chance, queue messages, and alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from shared.domain.journal import PendingAlert
    from shared.domain.recording import Recording


class Clock(Protocol):
    """The present, aware, UTC; and a short pause (seconds) within a try. Long waits are queue delays."""

    def now(self) -> datetime:
        """The present moment."""
        ...

    def pause(self, seconds: float) -> None:
        """Returns after `seconds`."""
        ...


class Random(Protocol):
    """Uniform in [0, 1)."""

    def random(self) -> float:
        """The next number."""
        ...


# The parts of a recording that a message can be about, beside its chunks.
RECORDING_PART = "recording"
OUTBOX_PART = "outbox"
AUDIT_PART = "audit"


class Lane(StrEnum):
    """The queue a message goes by: what nothing waits for must not be in front of a rescue."""

    NORMAL = "normal"
    URGENT = "urgent"
    BACKGROUND = "background"


@dataclass(frozen=True)
class WorkItem:
    """Something may be due. `part`: a chunk's key, `recording`, `outbox` or `audit`; `generation`: the plan's.

    `trace`: the W3C `traceparent` of what led to it; `due_at`: not before then. Both say nothing about what to do.
    """

    recording_key: str
    part: str
    generation: int = 0
    trace: str | None = field(default=None, compare=False)
    due_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Backlog:
    """What waits in a queue. `length`: messages, those for later among them; `oldest_due`: since when the oldest of
    the visible ones is due; `is_full`: so many are visible that more would only wait behind them.
    """

    length: int = 0
    oldest_due: datetime | None = None
    is_full: bool = False


@dataclass(frozen=True)
class QueueDepth:
    """About how many messages a queue (None: there is none) and its poison queue hold, those of later included."""

    name: str
    waiting: int | None
    poisoned: int


class WorkQueue(Protocol):
    """The attempts to come. Errors: StorageError."""

    def send(self, item: WorkItem, *, delay: timedelta, lane: Lane = Lane.NORMAL) -> None:
        """At least once, not before `delay` (0 to 7 days)."""
        ...

    def backlog(self, lane: Lane) -> Backlog:
        """What waits; nothing where there is no such queue."""
        ...

    def depths(self) -> list[QueueDepth]:
        """One for each lane."""
        ...

    def drain_poison(self, *, limit: int) -> list[WorkItem]:
        """Takes up to `limit` messages out of the poison queues; unreadable ones are kept in the ledger's rejects."""
        ...


class Notifier(Protocol):
    """Carries what an outbox holds to an Event Grid topic. AlertNotSent where it could not."""

    def publish(self, *, recording: Recording, alerts: Sequence[PendingAlert]) -> None:
        """Publishes them; each event's id is the same whenever the same entry is published again."""
        ...
