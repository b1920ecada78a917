"""The queue trigger, with the semantics of the Storage queues extension.

A message is leased for ten minutes, and the lease is renewed half-way while the function runs. Up to `batchSize`
messages run at once, and a new batch is fetched when no more than `newBatchThreshold` are left. The pause between empty
polls grows from 100 ms to `maxPollingInterval`. After a failure the message is visible again after `visibilityTimeout`;
after `maxDequeueCount` attempts it goes to `<queue>-poison`, and one that is not base64 goes there at once. The queue
is not created: the listener warns, and waits for it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from local.host.convert import queue_value
from local.host.model import Function, Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from azure.storage.queue import QueueMessage

    from local.host.config import HostConfig
    from local.host.invoke import Invoker
    from local.host.logs import HostLog

LEASE = timedelta(minutes=10)
_FIRST_PAUSE = 0.1
_POISON = "-poison"
_LONGEST_NAME = 63
_LAST_POLL = 2.0
_TAKEN = {"PopReceiptMismatch", "MessageNotFound"}


class QueueListener:
    """Listens on the queue of one function. `lease`: of a message; ten minutes in the real host."""

    def __init__(
        self,
        function: Function,
        *,
        connection_string: str,
        config: HostConfig,
        invoker: Invoker,
        log: HostLog,
        lease: timedelta = LEASE,
    ) -> None:
        self._function = function
        self._connection = connection_string
        self._config = config
        self._invoker = invoker
        self._log = log
        self._lease = lease.total_seconds()
        self._name = str(function.trigger["queueName"]).lower()
        self._queue = self._client(self._name)
        self._tasks: set[asyncio.Task[None]] = set()
        self._poller: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._has_warned = False

    def _client(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self._connection, name, retry_total=2)

    def start(self) -> None:
        """Starts to poll, on the running loop."""
        self._poller = asyncio.create_task(self._poll())

    async def stop_polling(self) -> None:
        """Fetches no more messages; running functions go on.

        A poll in progress is awaited: the messages that it leased would be invisible for a whole lease.
        """
        self._stop.set()
        if self._poller is not None:
            await asyncio.wait({self._poller}, timeout=_LAST_POLL)
            self._poller.cancel()

    async def close(self) -> None:
        """Waits until the leased messages are settled, and closes the connection."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._queue.close()

    async def _poll(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            found = 0
            try:
                found = await self._fetch()
            except ResourceNotFoundError:
                if not self._has_warned:
                    self._has_warned = True
                    self._warn(f"queue '{self._name}' does not exist, and the real host does not create it: waiting")
            except (AzureError, OSError) as error:
                self._warn(f"polling queue '{self._name}' failed: {error!r}")
            if found:
                pause = _FIRST_PAUSE
                await self._wait_for_room()
            else:
                await _wait(self._stop, pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, self._config.max_polling_interval.total_seconds())

    async def _fetch(self) -> int:
        count = 0
        pages = self._queue.receive_messages(
            messages_per_page=self._config.batch_size,
            max_messages=self._config.batch_size,
            visibility_timeout=max(1, round(self._lease)),
        )
        async for message in pages:
            count += 1
            work = self._update(message, 0) if self._stop.is_set() else self._process(message)
            task = asyncio.create_task(self._settle(message, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return count

    async def _wait_for_room(self) -> None:
        """Waits until a new batch may be fetched, or until the stop."""
        stop = asyncio.create_task(self._stop.wait())
        while len(self._tasks) > self._config.new_batch_threshold and not stop.done():
            await asyncio.wait({stop, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()

    async def _settle(self, message: QueueMessage, work: Awaitable[None]) -> None:
        """Awaits the work on a message. That another worker has the message by now is not an error."""
        try:
            await work
        except (AzureError, OSError) as error:
            if getattr(error, "error_code", "") not in _TAKEN:
                self._log.error(f"{self._function.name}: settling message {message.id} failed: {error!r}")

    async def _process(self, message: QueueMessage) -> None:
        attempt, most = message.dequeue_count or 0, self._config.max_dequeue_count
        exhausted = f"Message has reached MaxDequeueCount of {most}."
        if attempt > most:
            await self._to_poison(message, exhausted)
            return
        try:
            body = base64.b64decode(message.content, validate=True)
        except binascii.Error:
            await self._to_poison(message, f"Message {message.id} is not base64 (host.json: messageEncoding).")
            return
        outcome = await self._run(message, body)
        if outcome.succeeded:
            await self._queue.delete_message(message)
        elif attempt >= most:
            await self._to_poison(message, exhausted)
        else:
            await self._update(message, round(self._config.visibility_timeout.total_seconds()))

    async def _run(self, message: QueueMessage, body: bytes) -> Outcome:
        try:
            value = queue_value(body, _metadata(message))
        except (ValueError, NotImplementedError) as error:
            self._log.error(f"{self._function.name}: message {message.id} does not fit the parameter: {error}")
            return Outcome(error=error)
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, done))
        try:
            reason = f"New queue message detected on '{self._name}'."
            return await self._invoker.invoke(self._function, value, reason=reason)
        finally:
            done.set()
            await renewal  # never cancelled: only the receipt of the last renewal can settle the message

    async def _renew(self, message: QueueMessage, done: asyncio.Event) -> None:
        while not await _wait(done, self._lease / 2):
            try:
                await self._update(message, round(self._lease))
            except (AzureError, OSError) as error:
                self._warn(f"renewing message {message.id} failed: {error!r}")

    async def _update(self, message: QueueMessage, seconds: int) -> None:
        updated = await self._queue.update_message(message, visibility_timeout=seconds)
        # From now on only the new receipt can settle the message.
        message.pop_receipt = updated.pop_receipt

    async def _to_poison(self, message: QueueMessage, why: str) -> None:
        if self._name.endswith(_POISON) or len(self._name + _POISON) > _LONGEST_NAME:
            return  # the real host leaves it invisible until its lease ends
        name = self._name + _POISON
        self._log.warning(f"{why} Moving message to queue '{name}'.")
        async with self._client(name) as poison:
            with contextlib.suppress(ResourceExistsError):
                await poison.create_queue()
            await poison.send_message(message.content)
        await self._queue.delete_message(message)

    def _warn(self, text: str) -> None:
        self._log.warning(f"{self._function.name}: {text}")


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` was set within `seconds`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _metadata(message: QueueMessage) -> dict[str, Any]:
    """The trigger metadata, by the real host's names."""
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
