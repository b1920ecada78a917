"""A queue as Azure's: at least once, invisible until due, counted, poisoned after five deliveries."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.adapters.queue import QUEUES
from shared.domain.errors import StorageInvalid
from shared.ports import Backlog, Lane, QueueDepth
from shared.worker.message import decode_message, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Clock, WorkItem

MAX_DEQUEUE = 5
MOST_PEEKED = 32
_ORDER = (Lane.URGENT, Lane.NORMAL, Lane.BACKGROUND)


@dataclass
class Delivery:
    """A message in the queue, or taken by a receiver. `due`: when it is (again) visible."""

    id: int
    body: bytes
    due: datetime
    dequeue_count: int = 0
    lane: Lane = Lane.NORMAL

    @property
    def item(self) -> WorkItem:
        found = decode_message(self.body)
        if found is None:
            raise ValueError("not a work item")
        return found


class FakeQueue:
    """Port `WorkQueue`, and what the host does with a queue: `receive`, `finish`, `fail`."""

    def __init__(self, clock: Clock, *, keep_rejected: Callable[[str, bytes], None]) -> None:
        self._clock = clock
        self._keep_rejected = keep_rejected
        self._ids = itertools.count(1)
        self.waiting: list[Delivery] = []
        self.poison: list[bytes] = []

    def send(self, item: WorkItem, *, delay: timedelta, lane: Lane = Lane.NORMAL) -> None:
        if not timedelta(0) <= delay <= timedelta(days=7):
            raise StorageInvalid(f"a delay of {delay}")
        whole = timedelta(seconds=math.ceil(delay.total_seconds()))
        due = self._clock.now() + whole
        self.waiting.append(Delivery(next(self._ids), encode_message(item), due, lane=lane))

    def backlog(self, lane: Lane) -> Backlog:
        here = [one for one in self.waiting if one.lane is lane]
        visible = [one for one in here if one.due <= self._clock.now()]
        oldest = min((one.item.due_at or one.due for one in visible), default=None)
        return Backlog(len(here), oldest, len(visible) >= MOST_PEEKED)

    def depths(self) -> list[QueueDepth]:
        return [
            QueueDepth(
                QUEUES[lane], sum(one.lane is lane for one in self.waiting), len(self.poison) * (lane is Lane.NORMAL)
            )
            for lane in Lane
        ]

    def next_due(self) -> datetime | None:
        """When the next message can be received."""
        return min((delivery.due for delivery in self.waiting), default=None)

    def receive(self, *, lease: timedelta = timedelta(minutes=10), lane: Lane | None = None) -> Delivery | None:
        """The message that is visible longest, urgent ones first, hidden for `lease`; None where none is visible.

        `lane`: of that queue only. One that was received too often (its workers died each time) goes to the poison
        queue, as the host has it.
        """
        now = self._clock.now()
        while visible := [one for one in self.waiting if one.due <= now and lane in (None, one.lane)]:
            delivery = min(visible, key=lambda one: (_ORDER.index(one.lane), one.due, one.id))
            delivery.dequeue_count += 1
            delivery.due = now + lease
            if delivery.dequeue_count <= MAX_DEQUEUE:
                return delivery
            self.fail(delivery)
        return None

    def finish(self, delivery: Delivery) -> None:
        """Its function returned: the message is deleted."""
        if delivery in self.waiting:
            self.waiting.remove(delivery)

    def fail(self, delivery: Delivery) -> None:
        """Its function raised: visible again at once, or poisoned."""
        if delivery.dequeue_count >= MAX_DEQUEUE:
            self.finish(delivery)
            self.poison.append(delivery.body)
        else:
            delivery.due = self._clock.now()

    def drain_poison(self, *, limit: int) -> list[WorkItem]:
        taken, self.poison = self.poison[:limit], self.poison[limit:]
        messages = []
        for body in taken:
            message = decode_message(body)
            if message:
                messages.append(message)
            else:
                self._keep_rejected(f"poison/{next(self._ids)}.json", body)
        return messages
