"""The queues of attempts, on Azure Storage queues."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from azure.storage.queue import ExponentialRetry, QueueServiceClient, TextBase64EncodePolicy

from shared.adapters.connections import LateOnce
from shared.adapters.translate import storage_errors
from shared.adapters.transport import pooled_transport
from shared.domain.errors import BlobExists, ContainerMissing
from shared.domain.redaction import scrub
from shared.ports import Backlog, Lane, QueueDepth
from shared.worker.message import decode_message, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from azure.core.credentials import TokenCredential
    from azure.storage.queue import QueueClient, QueueMessage

    from shared.ports import WorkItem
    from shared.settings import StorageAccount

QUEUES = {
    Lane.NORMAL: "recording-rescues",
    Lane.URGENT: "recording-rescues-urgent",
    Lane.BACKGROUND: "recording-background",
}
_QUICK: dict[str, Any] = {"timeout": 10, "read_timeout": 10}
_CONNECTIONS = 16
_MOST_AT_ONCE = 32  # messages in one answer of Get Messages (service documentation)


class _Retry(LateOnce, ExponentialRetry):
    """The SDK's own, for what comes back quickly."""


def queue_service(account: StorageAccount, credential: TokenCredential | None) -> QueueServiceClient:
    """The SDK's client for the app's own account."""
    options: dict[str, Any] = {
        "transport": pooled_transport(_CONNECTIONS, read_bytes=65_536),
        "retry_policy": _Retry(retry_total=2, initial_backoff=1, increment_base=2),
    }
    if account.connection_string:
        return QueueServiceClient.from_connection_string(account.connection_string.reveal(), **options)
    return QueueServiceClient(account.queue_url or "", credential=credential, **options)


def _due_at(message: QueueMessage) -> datetime:
    """Since when it is due; a message of an older version says only when it was sent."""
    item = decode_message(message.content)
    return item.due_at if item and item.due_at else message.inserted_on or datetime.max.replace(tzinfo=UTC)


class StorageWorkQueue:
    """Port `WorkQueue` on the SDK. Makes a queue when it is missing."""

    def __init__(self, service: QueueServiceClient, *, keep_rejected: Callable[[str, bytes], None]) -> None:
        # The Functions host expects base64 (host.json leaves messageEncoding at its default).
        policy = TextBase64EncodePolicy()
        self._clients = {
            lane: service.get_queue_client(name, message_encode_policy=policy) for lane, name in QUEUES.items()
        }
        self._poison = [service.get_queue_client(f"{name}-poison") for name in QUEUES.values()]
        self._keep_rejected = keep_rejected

    def send(self, item: WorkItem, *, delay: timedelta, lane: Lane = Lane.NORMAL) -> None:
        """See the port. Messages never expire: the default of seven days is as long as the longest delay."""
        client = self._clients[lane]
        text = encode_message(item).decode()
        # Never earlier than was asked for: what comes too early finds nothing due.
        seconds = max(0, math.ceil(delay.total_seconds()))
        try:
            with storage_errors():
                client.send_message(text, visibility_timeout=seconds, time_to_live=-1, **_QUICK)
        except ContainerMissing:
            with suppress(BlobExists), storage_errors():  # another worker makes it at the same moment
                client.create_queue()
            with storage_errors():
                client.send_message(text, visibility_timeout=seconds, time_to_live=-1, **_QUICK)

    def backlog(self, lane: Lane) -> Backlog:
        """See the port. It is full if as many messages as one peek shows are visible, and no worker took them yet; the
        count of the queue would not tell: it holds those that are to come later, too.
        """
        client = self._clients[lane]
        with suppress(ContainerMissing), storage_errors():
            length = client.get_queue_properties(**_QUICK).approximate_message_count
            visible = client.peek_messages(max_messages=_MOST_AT_ONCE, **_QUICK)
            return Backlog(length or 0, min(map(_due_at, visible), default=None), len(visible) >= _MOST_AT_ONCE)
        return Backlog()

    def depths(self) -> list[QueueDepth]:
        """See the port."""
        return [
            QueueDepth(name, self._count(self._clients[lane]), self._count(poison) or 0)
            for (lane, name), poison in zip(QUEUES.items(), self._poison, strict=True)
        ]

    @staticmethod
    def _count(client: QueueClient) -> int | None:
        with suppress(ContainerMissing), storage_errors():
            return int(client.get_queue_properties(**_QUICK).approximate_message_count or 0)
        return None

    def drain_poison(self, *, limit: int) -> list[WorkItem]:
        """See the port."""
        found: list[WorkItem] = []
        left = limit
        for poison in self._poison:
            if left <= 0:
                break
            page = min(left, _MOST_AT_ONCE)
            with suppress(ContainerMissing), storage_errors():
                for message in poison.receive_messages(messages_per_page=page, max_messages=left, **_QUICK):
                    left -= 1
                    item = decode_message(message.content)
                    if item:
                        found.append(item)
                    else:
                        kept = json.dumps({"reason": "poison", "message": scrub(str(message.content)[:60_000])})
                        self._keep_rejected(f"poison/{message.id}.json", kept.encode())
                    poison.delete_message(message.id, message.pop_receipt, **_QUICK)
        return found
