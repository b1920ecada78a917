"""Delivers the events of one subscription: attempts, retries by the schedule, gives up.

An entry is pending until a response of 200 to 204 (delivered), or until its attempts or its time are used up, or the
response is not one to retry (dropped).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from local.eventgrid.delivery_log import Attempt, DeliveryLog, Entry, State
from local.eventgrid.schedule import Outcome, probation, retry_delay
from local.eventgrid.timer_queue import TimerQueue, wait_until

if TYPE_CHECKING:
    import random
    from datetime import datetime

    from local.clock import Clock
    from local.eventgrid.schema import Event
    from local.eventgrid.subscription import Subscription
    from local.eventgrid.webhook import Response, Webhook


class DeliveryWorker:
    """Delivers the events given to `offer`; `run` works until it is cancelled."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        clock: Clock,
        log: DeliveryLog,
        webhook: Webhook,
        rng: random.Random,
    ) -> None:
        self.subscription = subscription
        self.wake = asyncio.Event()
        self._clock = clock
        self._log = log
        self._webhook = webhook
        self._rng = rng
        self._queue = TimerQueue()
        self._in_progress = 0
        self._failures = 0
        self._rounds = 0
        self._probation_until: datetime | None = None
        self._is_gone = False

    def offer(self, event: Event) -> list[Entry]:
        """Accepts an event in the subscription's envelope. Returns its delivery, or two if it is duplicated."""
        copies = 2 if self._rng.random() < self.subscription.duplicate_probability else 1
        entries = []
        with self._log.changed:
            now = self._clock.now()
            for _ in range(copies):
                due = now + self.subscription.reorder_window * self._rng.random()
                entry = Entry(self.subscription.name, event, publish_time=now, due=due)
                self._log.add(entry)
                self._queue.add(entry)
                entries.append(entry)
        return entries

    async def run(self) -> None:
        """Delivers what is due, with as many requests at once as the subscription allows."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.wake.clear()
                while entry := self._take():
                    tasks.create_task(self._deliver(entry))
                await wait_until(self.wake, self._clock, until=self.next_due())

    def next_due(self) -> datetime | None:
        """When (clock time) the next delivery is due; None: there is none."""
        with self._log.changed:
            first = self._queue.first()
            if first is None:
                return None
            return max(first.due, self._probation_until or first.due)

    def is_busy(self) -> bool:
        """Whether a delivery is in progress or due now."""
        with self._log.changed:
            due = self.next_due()
            return self._in_progress > 0 or (due is not None and due <= self._clock.now())

    def abandon(self) -> None:
        """Drops all waiting entries: the subscription was deleted."""
        with self._log.changed:
            self._is_gone = True
            for entry in self._queue.clear():
                self._log.finish(entry, State.DROPPED, reason="SubscriptionDeleted")

    def _take(self) -> Entry | None:
        """The next entry, counted as in progress from now on; None if none is due or may be sent."""
        with self._log.changed:
            now = self._clock.now()
            # A failing endpoint gets one request at a time until one succeeds (inference).
            at_most = 1 if self._rounds else self.subscription.concurrency
            if self._in_progress >= at_most or (self._probation_until or now) > now:
                return None
            while (entry := self._queue.first()) is not None and entry.due <= now:
                self._queue.pop()
                # The time to live is checked only when an attempt is due (documented).
                if now - entry.publish_time < self.subscription.ttl:
                    self._in_progress += 1
                    return entry
                self._log.finish(entry, State.DROPPED, reason="TimeToLiveExceeded")
            return None

    async def _deliver(self, entry: Entry) -> None:
        at, began = self._clock.now(), time.monotonic()
        try:
            response = await self._webhook.notify(
                self.subscription, event=entry.event, delivery_id=entry.id, earlier_attempts=len(entry.attempts)
            )
        except asyncio.CancelledError:
            with self._log.changed:
                self._in_progress -= 1
                self._queue.add(entry)
                if self._is_gone:
                    self.abandon()
            raise
        with self._log.changed:
            self._in_progress -= 1
            self._update_probation(response.outcome)
            seconds = round(time.monotonic() - began, 6)
            entry.attempts.append(Attempt(at, response.outcome, response.status, seconds))
            self._settle(entry, response)
        self.wake.set()

    def _settle(self, entry: Entry, response: Response) -> None:
        """Sets the state of an entry after an attempt."""
        if response.outcome is Outcome.DELIVERED:
            self._log.finish(entry, State.DELIVERED)
            return
        attempts = len(entry.attempts)
        delay = retry_delay(attempts, status=response.status, chance=self._rng.random())
        if delay is None:
            self._log.finish(entry, State.DROPPED, reason="UndeliverableDueToClientError")
        elif attempts >= self.subscription.max_attempts:
            self._log.finish(entry, State.DROPPED, reason="MaxDeliveryAttemptsExceeded")
        else:
            entry.due = self._clock.now() + delay
            self._queue.add(entry)

    def _update_probation(self, outcome: Outcome) -> None:
        """Delays all deliveries to an endpoint that keeps failing; one success ends the delay."""
        if outcome is Outcome.DELIVERED:
            self._failures = self._rounds = 0
            self._probation_until = None
            return
        self._failures += 1
        now = self._clock.now()
        is_on_probation = self._probation_until is not None and self._probation_until > now
        delay_after = self.subscription.delay_after
        if delay_after and self._failures >= delay_after and not is_on_probation:
            pause = probation(self._rounds, outcome=outcome)
            self._probation_until = now + pause
            self._rounds += 1
