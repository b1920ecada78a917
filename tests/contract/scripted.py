"""A server on the loopback that answers as a test says, and a transport that takes an SDK there."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken

from shared.adapters.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What it gets."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Scripted:
    """Answers each request by `answer`; None hangs up. `asked` has what came, header names in lower case.

    A body goes out with its length, unless `with_length` is False. Open connections end with the server.
    """

    def __init__(self, answer: Callable[[Asked], Answer | None], *, with_length: bool = True, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", port), _handler(answer, self.asked, with_length=with_length))
        self.port = self._server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.end_connections()
        self._thread.join(10)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
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

    def handle_error(self, *_: object) -> None:
        """Nothing: a client that goes away in the middle is no fault."""


def _handler(
    answer: Callable[[Asked], Answer | None], asked: list[Asked], *, with_length: bool
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came = Asked(self.command, self.path, headers, body)
            asked.append(came)
            if (given := answer(came)) is None:
                self.close_connection = True
                return
            self.send_response(given.status)
            length = {"Content-Length": str(len(given.body))} if with_length else {}
            for name, value in (length | given.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(given.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    return Handler


class Detoured(Transport):
    """Takes every request to `origin`, whatever host the SDK means: so https and tokens stay in the SDK's path."""

    def __init__(self, origin: str) -> None:
        super().__init__(4, read_bytes=65_536)
        self._detour = origin

    def send(self, request: Any, **kwargs: Any) -> Any:
        meant = request.url
        request.url = self._detour + meant.partition(urlsplit(meant).netloc)[2]
        try:
            return super().send(request, **kwargs)
        finally:
            request.url = meant


class Identity:
    """A token credential that is always at hand."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("token-of-the-identity", 4_102_444_800)
