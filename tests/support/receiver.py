"""A web hook for the tests: a real HTTP server that keeps what it got and gives the responses that the test sets."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.contract.scripted import Answer, Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Received:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def kind(self) -> str:
        return self.headers.get("aeg-event-type", "")

    @property
    def ids(self) -> list[str]:
        events = self.body if isinstance(self.body, list) else [self.body]
        return [event["id"] for event in events]


class Receiver(Scripted):
    """`answer`: the status of a notification, given its number (from 1) and the request."""

    def __init__(self, *, port: int = 0) -> None:
        self.answer: Callable[[int, Received], int] = lambda _number, _request: 200
        self.echo: Callable[[str], tuple[int, Any]] = lambda code: (200, {"validationResponse": code})
        self.allowed_origin = "eventgrid.azure.net"
        self.content_type: str | None = None
        self.requests: list[Received] = []
        self.notifications: list[Received] = []
        self._lock = threading.Lock()
        super().__init__(self._respond, port=port)

    @property
    def url(self) -> str:
        return f"{self.origin}/hook?functionName=recorder"

    def _respond(self, asked: Asked) -> Answer:
        request = Received(asked.method, asked.target, asked.headers, json.loads(asked.body) if asked.body else None)
        with self._lock:
            self.requests.append(request)
            if request.kind == "Notification":
                self.notifications.append(request)
            number = len(self.notifications)
        if request.method == "OPTIONS":
            return Answer(200, headers={"WebHook-Allowed-Origin": self.allowed_origin})
        if request.kind != "SubscriptionValidation":
            return Answer(self.answer(number, request))
        status, body = self.echo(request.body[0]["data"]["validationCode"])
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        return Answer(status, json.dumps(body).encode(), headers)


def event(number: int = 1, *, kind: str = "Microsoft.Communication.RecordingFileStatusUpdated") -> dict[str, Any]:
    """An event in the Event Grid schema."""
    return {
        "id": f"event-{number}",
        "topic": "/subscriptions/s/providers/Microsoft.Communication/communicationServices/c",
        "subject": "/recording/call/c/recordingId/r",
        "data": {"recordingStorageInfo": {"recordingChunks": []}, "note": "Grüße"},
        "eventType": kind,
        "eventTime": "2026-11-22T10:00:00.1234567Z",
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }
