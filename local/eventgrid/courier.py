"""The courier of one subscription: tries, tries again by the schedule, gives up.

State of an entry, and who moves it:

    pending ─ answered 200-204 ─────────────────────────────► delivered        (courier)
            ─ refused for good, tries or time used up ┬─────► dropped          (courier)
                                                      └─► dead-lettering ┬──► dead-lettered  (undertaker)
                                                                         └──► dropped        (undertaker)
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from local.eventgrid.pace import Agenda, nap
from local.eventgrid.records import Attempt, Entry, Records, State
from local.eventgrid.schedule import DEAD_LETTER_DELAY, Outcome, probation, retry_delay

if TYPE_CHECKING:
    import random
    from datetime import datetime

    from local.clock import Clock
    from local.eventgrid.schema import Event
    from local.eventgrid.subscription import Subscription
    from local.eventgrid.undertaker import Undertaker
    from local.eventgrid.webhook import Answer, Webhook

_KIB = 1024


class Courier:
    """Delivers what `offer` brings; `run` works until it is cancelled."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        clock: Clock,
        records: Records,
        webhook: Webhook,
        undertaker: Undertaker | None,
        rng: random.Random,
    ) -> None:
        self.subscription = subscription
        self.wake = asyncio.Event()
        self._clock = clock
        self._records = records
        self._webhook = webhook
        self._undertaker = undertaker
        self._rng = rng
        self._agenda = Agenda()
        self._under_way = 0
        self._failures = 0
        self._rounds = 0
        self._resting_until: datetime | None = None
        self._is_gone = False

    def offer(self, event: Event) -> list[Entry]:
        """Takes an event, in the subscription's envelope, for delivery; two deliveries if it is to be doubled."""
        copies = 2 if self._rng.random() < self.subscription.duplicate_probability else 1
        entries = []
        with self._records.changed:
            now = self._clock.now()
            for _ in range(copies):
                due = now + self.subscription.reorder_window * self._rng.random()
                entry = Entry(self.subscription.name, event, publish_time=now, due=due)
                self._records.add(entry)
                self._agenda.add(entry)
                entries.append(entry)
        return entries

    async def run(self) -> None:
        """Delivers what is due, as much at once as the subscription allows."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.wake.clear()
                while batch := self._take():
                    tasks.create_task(self._deliver(batch))
                await nap(self.wake, self._clock, until=self.next_due())

    def next_due(self) -> datetime | None:
        """When (clock time) this courier has something to do next; None: nothing is waiting."""
        with self._records.changed:
            first = self._agenda.first()
            if first is None:
                return None
            return max(first.due, self._resting_until or first.due)

    def is_busy(self) -> bool:
        """Whether a delivery is under way or due now."""
        with self._records.changed:
            due = self.next_due()
            return self._under_way > 0 or (due is not None and due <= self._clock.now())

    def abandon(self) -> None:
        """Drops all that is waiting: the subscription is gone."""
        with self._records.changed:
            self._is_gone = True
            for entry in self._agenda.clear():
                self._records.finish(entry, State.DROPPED, reason="SubscriptionDeleted")

    def _take(self) -> list[Entry]:
        """The next request's entries, now counted as under way; empty if nothing is due or may go out."""
        with self._records.changed:
            now = self._clock.now()
            # An endpoint that was failing gets one request at a time until it answers well (inference).
            at_most = 1 if self._rounds else self.subscription.concurrency
            if self._under_way >= at_most or (self._resting_until or now) > now:
                return []
            batch: list[Entry] = []
            room = self.subscription.batch_kilobytes * _KIB
            while (entry := self._agenda.first()) is not None and entry.due <= now:
                if len(batch) == self.subscription.batch_size or (batch and entry.size > room):
                    break
                self._agenda.pop()
                # Time to live is looked at when a try is due, and only then (documented).
                if now - entry.publish_time >= self.subscription.ttl:
                    self._give_up(entry, "TimeToLiveExceeded")
                    continue
                batch.append(entry)
                room -= entry.size
            self._under_way += bool(batch)
            return batch

    async def _deliver(self, batch: list[Entry]) -> None:
        at, began = self._clock.now(), time.monotonic()
        try:
            answer = await self._webhook.notify(
                self.subscription,
                events=[entry.event for entry in batch],
                delivery_id=batch[0].id,
                earlier_tries=len(batch[0].attempts),
            )
        except asyncio.CancelledError:
            with self._records.changed:
                self._under_way -= 1
                for entry in batch:
                    self._agenda.add(entry)
                if self._is_gone:
                    self.abandon()
            raise
        attempt = Attempt(at, answer.outcome, answer.status, round(time.monotonic() - began, 6))
        with self._records.changed:
            self._under_way -= 1
            self._judge_endpoint(answer.outcome)
            # One draw for all: a batch that failed stays together (inference).
            chance, now = self._rng.random(), self._clock.now()
            for entry in batch:
                entry.attempts.append(attempt)
                self._settle(entry, answer, chance=chance, now=now)
        self.wake.set()

    def _settle(self, entry: Entry, answer: Answer, *, chance: float, now: datetime) -> None:
        """Decides what becomes of an entry after a try. A batch succeeds or fails as a whole (documented)."""
        if answer.outcome is Outcome.DELIVERED:
            self._records.finish(entry, State.DELIVERED)
            return
        tries, kind = len(entry.attempts), self.subscription.endpoint_type
        delay = retry_delay(tries, status=answer.status, endpoint_type=kind, chance=chance)
        if delay is None:
            self._give_up(entry, "UndeliverableDueToClientError")
        elif tries >= self.subscription.max_attempts:
            self._give_up(entry, "MaxDeliveryAttemptsExceeded")
        else:
            entry.due = now + delay
            self._agenda.add(entry)

    def _give_up(self, entry: Entry, reason: str) -> None:
        if self._undertaker is None:
            self._records.finish(entry, State.DROPPED, reason=reason)
            return
        entry.state, entry.reason = State.DEAD_LETTERING, reason
        entry.due = self._clock.now() + DEAD_LETTER_DELAY
        self._undertaker.take(entry)

    def _judge_endpoint(self, outcome: Outcome) -> None:
        """Delays everything to an endpoint that keeps failing; one success ends it."""
        if outcome is Outcome.DELIVERED:
            self._failures = self._rounds = 0
            self._resting_until = None
            return
        self._failures += 1
        now = self._clock.now()
        is_resting = self._resting_until is not None and self._resting_until > now
        delay_after = self.subscription.delay_after
        if delay_after and self._failures >= delay_after and not is_resting:
            rest = probation(self._rounds, outcome=outcome, limit=self.subscription.delay_limit)
            self._resting_until = now + rest
            self._rounds += 1
