"""A web hook for the tests: a real HTTP server that keeps what it got and gives the responses that the test sets."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

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


@dataclass
class Receiver:
    """`answer`: the status of a notification, given its number (from 1) and the request."""

    answer: Callable[[int, Received], int] = lambda _number, _request: 200
    echo: Callable[[str], tuple[int, Any]] = lambda code: (200, {"validationResponse": code})
    allowed_origin: str | None = "eventgrid.azure.net"
    content_type: str | None = None
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    notifications: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?functionName=recorder"

    def respond(self, request: Received) -> tuple[int, dict[str, str], Any]:
        with self._lock:
            self.requests.append(request)
            if request.kind == "Notification":
                self.notifications.append(request)
            number = len(self.notifications)
        if request.kind == "SubscriptionValidation":
            status, body = self.echo(request.body[0]["data"]["validationCode"])
            return status, {}, body
        if request.method == "OPTIONS":
            return 200, {"WebHook-Allowed-Origin": self.allowed_origin} if self.allowed_origin else {}, None
        return self.answer(number, request), {}, None


class _Server(ThreadingHTTPServer):
    """One that can be gone: its open connections end with it."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: list[socket.socket] = []
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def end_connections(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(content) if content else None
            status, extra, answer = receiver.respond(Received(self.command, self.path, headers, body))
            data = json.dumps(answer).encode() if answer is not None else b""
            self.send_response(status)
            if receiver.content_type:
                self.send_header("Content-Type", receiver.content_type)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_OPTIONS = _serve  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    return Handler


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
