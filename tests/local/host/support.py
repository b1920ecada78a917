"""Shared by the tests of the host: plain HTTP, and queues of Azurite."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.storage.queue import QueueClient, TextBase64DecodePolicy, TextBase64EncodePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def call(
    origin: str, path: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request with path and headers sent unchanged."""
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=20)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def notify(origin: str, function: str, events: Any, *, kind: str = "Notification") -> Answer:
    """A delivery as Event Grid makes it."""
    return call(
        origin,
        f"/runtime/webhooks/EventGrid?functionName={function}",
        method="POST",
        body=json.dumps(events).encode(),
        headers={"aeg-event-type": kind, "content-type": "application/json"},
    )


def base64_queue(connection_string: str, name: str) -> QueueClient:
    """A queue whose messages are base64, as the queue trigger wants them by default."""
    return QueueClient.from_connection_string(
        connection_string,
        name,
        message_encode_policy=TextBase64EncodePolicy(),
        message_decode_policy=TextBase64DecodePolicy(),
    )
