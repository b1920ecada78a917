"""The queue of tries on Azure Storage queues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from shared.adapters.translate import storage_errors
from shared.errors import BlobExists, ContainerMissing
from shared.messages import decode_message, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from azure.core.credentials import TokenCredential

    from shared.ports import RescueMessage
    from shared.settings import StorageAccount

T = TypeVar("T")
QUEUE = "recording-rescues"
_QUICK: dict[str, Any] = {"timeout": 10, "read_timeout": 10}


def queue_service(account: StorageAccount, credential: TokenCredential | None) -> QueueServiceClient:
    """The SDK's client for the app's own account."""
    options: dict[str, Any] = {"retry_total": 2, "initial_backoff": 1, "increment_base": 2}
    if account.connection_string:
        return QueueServiceClient.from_connection_string(account.connection_string.reveal(), **options)
    return QueueServiceClient(account.queue_url or "", credential=credential, **options)


class StorageRescueQueue:
    """Port `RescueQueue` on the SDK. Makes the queue when it is missing."""

    def __init__(self, service: QueueServiceClient, *, keep_rejected: Callable[[str, bytes], None]) -> None:
        # The Functions host expects base64 (host.json leaves messageEncoding at its default).
        self._client = service.get_queue_client(QUEUE, message_encode_policy=TextBase64EncodePolicy())
        self._poison = service.get_queue_client(f"{QUEUE}-poison")
        self._keep_rejected = keep_rejected

    def send(self, message: RescueMessage, *, delay: timedelta) -> None:
        """See the port. The message lives until it is taken: the default of seven days could outlast nothing here."""
        text = encode_message(message).decode()
        seconds = max(0, round(delay.total_seconds()))
        self._made(lambda: self._client.send_message(text, visibility_timeout=seconds, time_to_live=-1, **_QUICK))

    def _made(self, action: Callable[[], T]) -> T:
        try:
            with storage_errors():
                return action()
        except ContainerMissing:
            try:
                with storage_errors():
                    self._client.create_queue()
            except BlobExists:
                pass  # another worker made it
        with storage_errors():
            return action()

    def drain_poison(self, *, limit: int) -> list[RescueMessage]:
        """See the port."""
        found: list[RescueMessage] = []
        try:
            with storage_errors():
                for item in self._poison.receive_messages(messages_per_page=32, max_messages=limit, **_QUICK):
                    message = decode_message(item.content)
                    if message:
                        found.append(message)
                    else:
                        kept = json.dumps({"reason": "poison", "message": str(item.content)[:60_000]})
                        self._keep_rejected(f"poison/{item.id}.json", kept.encode())
                    self._poison.delete_message(item.id, item.pop_receipt, **_QUICK)
        except ContainerMissing:
            return []
        return found
