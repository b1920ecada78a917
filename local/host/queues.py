"""The queue trigger: polls, hands messages to the function, renews, deletes, releases, poisons.

Semantics of the Storage queues extension: messages are taken for ten minutes and renewed half-way while the function
runs; up to `batchSize` at once, more when no more than `newBatchThreshold` are left; the pause between empty polls
grows from 100 ms to `maxPollingInterval`; after a failure the message is visible again after `visibilityTimeout`;
after `maxDequeueCount` tries it goes to `<queue>-poison`. The extension does not create the queue it listens on, so
this host does not either: it says so, and waits.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from local.host.convert import queue_value
from local.host.model import Function, Outcome

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage

    from local.host.config import QueueOptions
    from local.host.invoke import Invoker
    from local.host.logs import HostLog

LEASE = timedelta(minutes=10)
_FIRST_PAUSE = 0.1
_POISON = "-poison"
_LONGEST_NAME = 63
_LAST_POLL = 2.0


class QueueListener:
    """Listens on the queue of one function. `lease`: how long a message is taken for (the real host: ten minutes)."""

    def __init__(
        self,
        function: Function,
        *,
        connection_string: str,
        options: QueueOptions,
        invoker: Invoker,
        log: HostLog,
        lease: timedelta = LEASE,
    ) -> None:
        self._function = function
        self._connection = connection_string
        self._options = options
        self._invoker = invoker
        self._log = log
        self._lease = lease.total_seconds()
        self._name = str(function.trigger["queueName"]).lower()
        self._queue = self._client(self._name)
        self._tasks: set[asyncio.Task[None]] = set()
        self._poller: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._told_missing = False

    def _client(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self._connection, name, retry_total=2)

    def start(self) -> None:
        """Begins to poll, on the running loop."""
        self._poller = asyncio.create_task(self._poll())

    async def stop_polling(self) -> None:
        """Takes no more messages; what runs goes on.

        A poll under way is waited for, not cut off: the messages it may have taken would be lost for a whole lease.
        """
        self._stop.set()
        if self._poller is not None:
            await asyncio.wait({self._poller}, timeout=_LAST_POLL)
            self._poller.cancel()

    async def close(self) -> None:
        """Waits for the messages at hand to be settled and closes the connection."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._queue.close()

    async def _poll(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                found = await self._take()
            except ResourceNotFoundError:
                found = 0
                if not self._told_missing:
                    self._told_missing = True
                    self._log.warning(
                        f"{self._function.name}: queue '{self._name}' does not exist. The real host does not create it "
                        "either; waiting for it."
                    )
            except (AzureError, OSError) as error:
                found = 0
                self._log.warning(f"{self._function.name}: polling queue '{self._name}' failed: {error!r}")
            if found:
                pause = _FIRST_PAUSE
                await self._room()
            else:
                await _wait(self._stop, pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, self._options.max_polling_interval.total_seconds())

    async def _take(self) -> int:
        count = 0
        pages = self._queue.receive_messages(
            messages_per_page=self._options.batch_size,
            max_messages=self._options.batch_size,
            visibility_timeout=max(1, round(self._lease)),
        )
        async for message in pages:
            count += 1
            task = asyncio.create_task(self._give_back(message) if self._stop.is_set() else self._process(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return count

    async def _room(self) -> None:
        """Waits until so few messages are left that a new batch may be taken, or until the stop."""
        stop = asyncio.create_task(self._stop.wait())
        while len(self._tasks) > self._options.new_batch_threshold and not stop.done():
            await asyncio.wait({stop, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()

    async def _give_back(self, message: QueueMessage) -> None:
        with contextlib.suppress(AzureError, OSError):
            await self._update(message, 0)

    async def _process(self, message: QueueMessage) -> None:
        try:
            if (message.dequeue_count or 0) > self._options.max_dequeue_count:
                await self._to_poison(message)
                return
            outcome = await self._run(message)
            if outcome.succeeded:
                await self._delete(message)
            elif (message.dequeue_count or 0) >= self._options.max_dequeue_count:
                await self._to_poison(message)
            else:
                await self._release(message)
        except (AzureError, OSError) as error:
            self._log.error(f"{self._function.name}: settling message {message.id} failed: {error!r}")

    async def _run(self, message: QueueMessage) -> Outcome:
        try:
            body = self._decoded(message.content)
            value = queue_value(self._function, body, _metadata(message))
        except (ValueError, NotImplementedError) as error:
            self._log.error(f"{self._function.name}: message {message.id} cannot be decoded: {error}")
            return Outcome(error=error)
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, done))
        try:
            reason = f"New queue message detected on '{self._name}'."
            return await self._invoker.invoke(self._function, value, reason=reason)
        finally:
            done.set()
            await renewal  # never cut off: only the receipt of the last renewal can settle the message

    def _decoded(self, content: str) -> bytes:
        if not self._options.base64:
            return content.encode()
        try:
            return base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ValueError("the body is not base64 (host.json: messageEncoding)") from error

    async def _renew(self, message: QueueMessage, done: asyncio.Event) -> None:
        while not await _wait(done, self._lease / 2):
            try:
                await self._update(message, round(self._lease))
            except (AzureError, OSError) as error:
                self._log.warning(f"{self._function.name}: renewing message {message.id} failed: {error!r}")

    async def _update(self, message: QueueMessage, seconds: int) -> None:
        updated = await self._queue.update_message(message, visibility_timeout=seconds)
        # The new receipt is the only one that settles the message from now on.
        message.pop_receipt = updated.pop_receipt

    async def _release(self, message: QueueMessage) -> None:
        with contextlib.suppress(ResourceNotFoundError):
            await self._settle(self._update(message, round(self._options.visibility_timeout.total_seconds())))

    async def _delete(self, message: QueueMessage) -> None:
        with contextlib.suppress(ResourceNotFoundError):
            await self._settle(self._queue.delete_message(message))

    async def _settle(self, call: Any) -> None:
        try:
            await call
        except HttpResponseError as error:
            # Somebody else took the message over meanwhile: theirs to settle.
            if getattr(error, "error_code", "") != "PopReceiptMismatch":
                raise

    async def _to_poison(self, message: QueueMessage) -> None:
        if self._name.endswith(_POISON) or len(self._name + _POISON) > _LONGEST_NAME:
            return  # the real host leaves it invisible until its lease ends
        name = self._name + _POISON
        self._log.warning(
            f"Message has reached MaxDequeueCount of {self._options.max_dequeue_count}. "
            f"Moving message to queue '{name}'."
        )
        async with self._client(name) as poison:
            with contextlib.suppress(ResourceExistsError):
                await poison.create_queue()
            await poison.send_message(message.content)
        await self._delete(message)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` was set within `seconds`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _metadata(message: QueueMessage) -> dict[str, Any]:
    """The trigger metadata by the names that the real host gives it."""
    metadata: dict[str, Any] = {
        "Id": message.id,
        "PopReceipt": message.pop_receipt,
        "DequeueCount": message.dequeue_count,
    }
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return metadata | {name: moment.isoformat() for name, moment in times.items() if moment is not None}
