"""A topic: its subscriptions, and what becomes of every event published to it.

It has no HTTP server and no thread: it works on the event loop on which `running` was entered. `add`
and `remove` are for that loop; everything else may be called from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import random
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from local.clock import Clock
from local.eventgrid.delivery_log import Delivery, DeliveryLog
from local.eventgrid.delivery_worker import DeliveryWorker
from local.eventgrid.schema import Event, accepted, delivered_as, type_of
from local.eventgrid.webhook import HandshakeError, Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from local.eventgrid.subscription import Subscription

TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Communication/communicationServices/local"
)
"""The `topic` of an event whose publisher names none."""

_LOG = logging.getLogger(__name__)
# On top of a subscription's own bounds, for the loop to answer another thread.
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class _Subscribed:
    """A subscription at work."""

    worker: DeliveryWorker
    task: asyncio.Task[None]


class Topic:
    """Delivers published events to the subscriptions' endpoints, by the service's rules, in `clock` time.

    Everything is in memory: what was not delivered when `running` ends is gone. `seed` decides everything random.
    """

    def __init__(self, *, clock: Clock | None = None, seed: int = 0) -> None:
        self.clock = clock or Clock()
        self._rng = random.Random(seed)
        self._log = DeliveryLog()
        self._subscribed: dict[str, _Subscribed] = {}
        self._handshakes: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._webhook: Webhook | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Works on this event loop while the block runs; at its end all subscriptions are gone."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            self._webhook = Webhook(session, clock=self.clock, topic=TOPIC)
            self._loop = asyncio.get_running_loop()
            try:
                yield
            finally:
                tasks = [*self._handshakes, *(each.task for each in self._subscribed.values())]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                with self._log.changed:
                    self._loop = None
                    self._subscribed.clear()
                    self._log.drop(reason="Stopped")

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Those whose handshake succeeded."""
        with self._log.changed:
            return tuple(each.worker.subscription for each in self._subscribed.values())

    def subscribe(self, subscription: Subscription) -> None:
        """Does the handshake, then delivers what is published from now on; replaces a subscription of the same name.

        Blocks for `handshake_wait` seconds at most. HandshakeError if the endpoint did not agree.
        """
        loop = self._running_loop()
        future = asyncio.run_coroutine_threadsafe(self.add(subscription), loop)
        try:
            future.result(subscription.handshake_wait + subscription.timeout + _GRACE_SECONDS)
        except CancelledError as error:
            raise HandshakeError(f"subscription {subscription.name}: Event Grid was stopped") from error

    async def add(self, subscription: Subscription) -> None:
        """`subscribe` for the topic's own event loop."""
        if self._webhook is None:
            raise RuntimeError("this Event Grid is not running")
        handshake = asyncio.create_task(self._webhook.handshake(subscription))
        self._handshakes.add(handshake)
        try:
            await handshake
        finally:
            self._handshakes.discard(handshake)
        await self.remove(subscription.name)
        worker = DeliveryWorker(
            subscription,
            clock=self.clock,
            log=self._log,
            webhook=self._webhook,
            rng=random.Random(self._rng.random()),
        )
        with self._log.changed:
            task = asyncio.create_task(worker.run())
            self._subscribed[subscription.name] = _Subscribed(worker, task)
        task.add_done_callback(_log_failure)

    def unsubscribe(self, name: str) -> bool:
        """Removes a subscription and drops its unfinished deliveries; False if there is none of this name."""
        loop = self._running_loop()
        return asyncio.run_coroutine_threadsafe(self.remove(name), loop).result(_GRACE_SECONDS)

    async def remove(self, name: str) -> bool:
        """`unsubscribe` for the topic's own event loop."""
        with self._log.changed:
            gone = self._subscribed.pop(name, None)
            if gone is None:
                return False
            gone.task.cancel()
            gone.worker.abandon()
            return True

    def publish(self, event: Event) -> None:
        """Accepts one event for every subscription that wants it; returns at once.

        EventError if it is not an event, or cannot be delivered in a subscription's schema.
        """
        self.publish_all([event])

    def publish_all(self, events: Sequence[Event]) -> None:
        """`publish` for several events: all are accepted, or none."""
        kept = [accepted(event, topic=TOPIC) for event in events]
        with self._log.changed:
            loop = self._running_loop()
            workers = [each.worker for each in self._subscribed.values()]
            offers = [
                (worker, delivered_as(event, worker.subscription.schema))
                for event in kept
                for worker in workers
                if worker.subscription.wants(type_of(event))
            ]
            for worker, outgoing in offers:
                worker.offer(outgoing)
            for worker in {worker for worker, _ in offers}:
                loop.call_soon_threadsafe(worker.wake.set)

    def redeliver(self, identity: str) -> tuple[str, ...]:
        """Delivers again, as a late duplicate: by delivery id, or by event id to every subscription that had it.

        Returns the ids of the new deliveries; none if the id is unknown.
        """
        with self._log.changed:
            loop = self._running_loop()
            made: list[str] = []
            for entry in {e.subscription: e for e in self._log.find(identity)}.values():
                subscribed = self._subscribed.get(entry.subscription)
                if subscribed is not None:
                    made += [new.id for new in subscribed.worker.offer(entry.event)]
                    loop.call_soon_threadsafe(subscribed.worker.wake.set)
            return tuple(made)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """All deliveries as they are now, in the order of publishing."""
        return self._log.snapshots()

    @property
    def pending(self) -> int:
        """How many deliveries are not finished."""
        return self._log.unfinished

    def next_due(self) -> datetime | None:
        """When (clock time) the next delivery is due; None: there is none."""
        with self._log.changed:
            times = [each.worker.next_due() for each in self._subscribed.values()]
        return min((moment for moment in times if moment is not None), default=None)

    def wait_idle(self, timeout: float) -> bool:
        """Waits `timeout` real seconds at most until every delivery is finished; returns whether that is so."""
        return self._log.wait_for(lambda: self._log.unfinished == 0, timeout=timeout)

    def wait_settled(self, timeout: float) -> bool:
        """Waits until there is nothing to do before the clock moves on (for stepped clocks).

        Returns whether that was reached within `timeout` real seconds.
        """
        return self._log.wait_for(
            lambda: not any(each.worker.is_busy() for each in self._subscribed.values()), timeout=timeout
        )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("this Event Grid is not running")
        return self._loop


def _log_failure(task: asyncio.Task[None]) -> None:
    """Workers end by cancellation; any other end is a bug of this program."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("a worker of Event Grid ended", exc_info=error)
