"""Event Grid in this process: a thread of its own with a topic, subscriptions, deliveries and a control plane."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import aiohttp

from local.clock import Clock
from local.eventgrid.courier import Courier
from local.eventgrid.records import Delivery, Records
from local.eventgrid.schema import Event, accepted, delivered_as, type_of
from local.eventgrid.server import serve
from local.eventgrid.undertaker import Undertaker
from local.eventgrid.webhook import HandshakeError, Webhook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from local.eventgrid.subscription import Subscription

TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Communication/communicationServices/local"
)
"""The topic that an event gets if its publisher names none."""

_LOG = logging.getLogger(__name__)
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
# On top of a subscription's own bounds, for the thread to answer.
_GRACE_SECONDS = 60.0


class EventGrid:
    """Delivers published events to the subscriptions' endpoints, by the service's rules, in `clock` time.

    Everything is in memory: what was not delivered at `stop` is gone. `seed`: of all that is left to chance.
    `port`: of the topic endpoint and the control plane; 0: a free one. `topic_key`: what a publisher over HTTP
    must prove to know; None: no proof asked. `history`: finished deliveries that are remembered.

        with EventGrid(clock=clock) as grid:
            grid.subscribe(Subscription("recordings", url))
            grid.publish(event)
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        port: int = 0,
        topic_key: str | None = None,
        history: int = 100_000,
    ) -> None:
        self.clock = clock or Clock()
        self.topic_key = topic_key
        self._port = port
        self._rng = random.Random(seed)
        self._records = Records(history=history)
        self._couriers: dict[str, Courier] = {}
        self._undertakers: dict[str, Undertaker] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._handshakes: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._webhook: Webhook | None = None
        self._is_up = threading.Event()
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts the thread and returns once the port answers; raises what kept it from starting."""
        if self._thread is not None:
            raise RuntimeError("this Event Grid is running already")
        self._is_up.clear()
        self._thread = threading.Thread(target=self._run, name="eventgrid", daemon=True)
        self._thread.start()
        is_up = self._is_up.wait(_START_SECONDS)
        failure = self._failure
        if failure is not None or not is_up:
            self.stop()
            raise RuntimeError("Event Grid did not start") from failure
        return self

    def stop(self) -> None:
        """Ends the deliveries, the subscriptions and the thread; nothing happens if it does not run."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None:
            # The loop may have ended already, by a failure.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_STOP_SECONDS)

    @property
    def origin(self) -> str:
        """Where it answers: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def topic_url(self) -> str:
        """The topic endpoint: what `EventGridPublisherClient` takes."""
        return f"{self.origin}/api/events"

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Those whose handshake succeeded."""
        with self._records.changed:
            return tuple(courier.subscription for courier in self._couriers.values())

    def subscribe(self, subscription: Subscription) -> None:
        """Does the handshake, then delivers to it what is published from now on; replaces one of the same name.

        Blocks for `handshake_wait` seconds at most; raises `HandshakeError` if the endpoint did not agree.
        """
        wait = subscription.handshake_wait + subscription.timeout + _GRACE_SECONDS
        future = asyncio.run_coroutine_threadsafe(self.subscribe_async(subscription), self._running_loop())
        try:
            future.result(wait)
        except CancelledError as error:
            raise HandshakeError(f"subscription {subscription.name}: Event Grid was stopped") from error

    async def subscribe_async(self, subscription: Subscription) -> None:
        """The same, for this object's own event loop only."""
        if self._webhook is None:
            raise RuntimeError("this Event Grid is not running")
        handshake = asyncio.create_task(self._webhook.handshake(subscription, origin=self.origin))
        self._handshakes.add(handshake)
        try:
            await handshake
        finally:
            self._handshakes.discard(handshake)
        self.unsubscribe_here(subscription.name)
        undertaker = None
        if subscription.dead_letter is not None:
            undertaker = Undertaker(
                subscription.name, subscription.dead_letter, clock=self.clock, records=self._records
            )
        courier = Courier(
            subscription,
            clock=self.clock,
            records=self._records,
            webhook=self._webhook,
            undertaker=undertaker,
            rng=random.Random(self._rng.random()),
        )
        workers = [courier.run()] + ([undertaker.run()] if undertaker else [])
        with self._records.changed:
            self._couriers[subscription.name] = courier
            if undertaker is not None:
                self._undertakers[subscription.name] = undertaker
            tasks = self._tasks[subscription.name] = [asyncio.create_task(work) for work in workers]
        for task in tasks:
            task.add_done_callback(_tell_if_failed)

    def unsubscribe(self, name: str) -> bool:
        """Removes a subscription and drops what waits for it; False if there is none of this name."""

        async def remove() -> bool:
            return self.unsubscribe_here(name)

        return asyncio.run_coroutine_threadsafe(remove(), self._running_loop()).result(_GRACE_SECONDS)

    def unsubscribe_here(self, name: str) -> bool:
        """The same, in this object's own event loop only."""
        with self._records.changed:
            courier = self._couriers.pop(name, None)
            self._undertakers.pop(name, None)
            for task in self._tasks.pop(name, []):
                task.cancel()
            if courier is not None:
                courier.abandon()
                self._records.drop(name, reason="SubscriptionDeleted")  # dead letters that wait to be written too
        return courier is not None

    def publish(self, event: Event) -> None:
        """Accepts one event, from any thread, for every subscription that wants it; returns at once.

        Raises `EventError` if it is no event, or cannot be delivered in a subscription's schema.
        """
        self.publish_all([event])

    def publish_all(self, events: Sequence[Event]) -> None:
        """The same for several events: all are accepted, or none."""
        kept = [accepted(event, topic=TOPIC) for event in events]
        with self._records.changed:
            loop = self._running_loop()
            offers = [
                (courier, delivered_as(event, courier.subscription.schema))
                for event in kept
                for courier in self._couriers.values()
                if courier.subscription.wants(type_of(event))
            ]
            for courier, outgoing in offers:
                courier.offer(outgoing)
            for courier in {courier for courier, _ in offers}:
                loop.call_soon_threadsafe(courier.wake.set)

    def redeliver(self, identity: str) -> tuple[str, ...]:
        """Delivers once more, as a late duplicate: by delivery id, or by event id to all who got it.

        Returns the ids of the new deliveries; none if nothing of this id is known.
        """
        with self._records.changed:
            loop = self._running_loop()
            made: list[str] = []
            for entry in {e.subscription: e for e in self._records.find(identity)}.values():
                courier = self._couriers.get(entry.subscription)
                if courier is not None:
                    made += [new.id for new in courier.offer(entry.event)]
                    loop.call_soon_threadsafe(courier.wake.set)
            return tuple(made)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """All deliveries, in the order of publishing, as they stand now."""
        return self._records.snapshots()

    @property
    def pending(self) -> int:
        """How many deliveries are not finished."""
        return self._records.unfinished

    def next_due(self) -> datetime | None:
        """When (clock time) something is to be done next; None: nothing waits."""
        with self._records.changed:
            times = [worker.next_due() for worker in self._workers()]
        return min((moment for moment in times if moment is not None), default=None)

    def wait_idle(self, timeout: float) -> bool:
        """Waits until every delivery is finished, `timeout` real seconds at most; says whether it is so."""
        return self._records.wait_for(lambda: self._records.unfinished == 0, timeout=timeout)

    def wait_settled(self, timeout: float) -> bool:
        """Waits until nothing is left to do before the clock moves on; for stepped clocks.

        True if it came to that within `timeout` real seconds.
        """
        return self._records.wait_for(lambda: not any(worker.is_busy() for worker in self._workers()), timeout=timeout)

    def agree(self, code: str) -> bool:
        """A visit of a validation URL; see `Webhook.agree`."""
        return self._webhook is not None and self._webhook.agree(code)

    def _workers(self) -> list[Courier | Undertaker]:
        return [*self._couriers.values(), *self._undertakers.values()]

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._thread is None or self._loop is None:
            raise RuntimeError("this Event Grid is not running")
        return self._loop

    def _run(self) -> None:
        self._failure = None
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed to the starting thread, which raises it
            self._failure = error
        finally:
            self._is_up.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            self._webhook = Webhook(session, clock=self.clock, topic=TOPIC)
            async with serve(self, port=self._port) as port:
                self._port = port
                self._is_up.set()
                await self._stop.wait()
            tasks = [*self._handshakes, *(task for group in self._tasks.values() for task in group)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with self._records.changed:
            self._couriers.clear()
            self._undertakers.clear()
            self._tasks.clear()
            self._records.drop(reason="Stopped")


def _tell_if_failed(task: asyncio.Task[None]) -> None:
    """A worker ends by being cancelled; any other end is a fault of this program and must be seen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("a worker of Event Grid ended", exc_info=error)
