"""The queues of tries on Azure Storage queues."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.storage.queue import ExponentialRetry, QueueServiceClient, TextBase64EncodePolicy

from shared.adapters.connections import LateOnce
from shared.adapters.translate import storage_errors
from shared.adapters.transport import pooled_transport
from shared.domain.errors import BlobExists, ContainerMissing
from shared.domain.redaction import scrub
from shared.worker.message import decode_message, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from azure.core.credentials import TokenCredential

    from shared.ports import RescueMessage
    from shared.settings import StorageAccount

QUEUE = "recording-rescues"
URGENT_QUEUE = "recording-rescues-urgent"
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


class StorageRescueQueue:
    """Port `RescueQueue` on the SDK. Makes a queue when it is missing."""

    def __init__(self, service: QueueServiceClient, *, keep_rejected: Callable[[str, bytes], None]) -> None:
        # The Functions host expects base64 (host.json leaves messageEncoding at its default).
        policy = TextBase64EncodePolicy()
        self._clients = {
            is_urgent: service.get_queue_client(name, message_encode_policy=policy)
            for is_urgent, name in ((False, QUEUE), (True, URGENT_QUEUE))
        }
        self._poison = [service.get_queue_client(f"{name}-poison") for name in (QUEUE, URGENT_QUEUE)]
        self._keep_rejected = keep_rejected

    def send(self, message: RescueMessage, *, delay: timedelta, is_urgent: bool = False) -> None:
        """See the port. Messages never expire: the default of seven days is as long as the longest delay."""
        client = self._clients[is_urgent]
        text = encode_message(message).decode()
        seconds = max(0, round(delay.total_seconds()))
        try:
            with storage_errors():
                client.send_message(text, visibility_timeout=seconds, time_to_live=-1, **_QUICK)
        except ContainerMissing:
            with suppress(BlobExists), storage_errors():  # another worker makes it at the same moment
                client.create_queue()
            with storage_errors():
                client.send_message(text, visibility_timeout=seconds, time_to_live=-1, **_QUICK)

    def length(self) -> int:
        """See the port."""
        found = 0
        for client in self._clients.values():
            with suppress(ContainerMissing), storage_errors():
                found += client.get_queue_properties(**_QUICK).approximate_message_count or 0
        return found

    def drain_poison(self, *, limit: int) -> list[RescueMessage]:
        """See the port."""
        found: list[RescueMessage] = []
        left = limit
        for poison in self._poison:
            if left <= 0:
                break
            page = min(left, _MOST_AT_ONCE)
            with suppress(ContainerMissing), storage_errors():
                for item in poison.receive_messages(messages_per_page=page, max_messages=left, **_QUICK):
                    left -= 1
                    message = decode_message(item.content)
                    if message:
                        found.append(message)
                    else:
                        kept = json.dumps({"reason": "poison", "message": scrub(str(item.content)[:60_000])})
                        self._keep_rejected(f"poison/{item.id}.json", kept.encode())
                    poison.delete_message(item.id, item.pop_receipt, **_QUICK)
        return found
