"""What is in front of the app in Azure, as far as the page sees it: a key or a sign-in's cookie is asked for.

The local host checks no keys, as func does not. This proxy passes everything on unchanged to the real host. Where
neither is there, it answers 401 without a body, as the Functions host does. `is_down` cuts every connection.
"""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a-key-that-works/+=="
COOKIE = "AppServiceAuthSession"
_OPEN = ("/api/ui", "/api/health")
_DROPPED = {"connection", "transfer-encoding", "content-length", "host", "date", "server"}


@dataclass(frozen=True)
class Seen:
    """A request that came: what is asked for, and with which headers (names in lower case)."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class Gate:
    """The proxy's switches, and what it has seen."""

    host_url: str
    url: str = ""
    is_down: bool = False
    seen: list[Seen] = field(default_factory=list)

    def lets_in(self, path: str, headers: dict[str, str]) -> bool:
        """Whether the Functions host would answer this."""
        signed_in = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        return path.startswith(_OPEN) or headers.get("x-functions-key") == KEY or signed_in is not None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        gate = self.server.gate
        headers = {name.lower(): value for name, value in self.headers.items()}
        gate.seen.append(Seen(self.command, self.path, headers))
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if gate.is_down:
            self.close_connection = True
        elif not gate.lets_in(self.path.partition("?")[0], headers):
            self._answer(401, {}, b"")
        else:
            self._ask(gate, {name: value for name, value in headers.items() if name not in _DROPPED}, body)

    def _ask(self, gate: Gate, headers: dict[str, str], body: bytes) -> None:
        connection = http.client.HTTPConnection(urlsplit(gate.host_url).netloc, timeout=30)
        try:
            connection.request(self.command, self.path, body=body or None, headers=headers)
            given = connection.getresponse()
            self._answer(given.status, dict(given.getheaders()), given.read())
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _DROPPED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests read `seen`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, gate: Gate) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gate = gate
        gate.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Nothing: a browser that goes away in the middle is no fault."""


@contextmanager
def gate_before(host_url: str) -> Iterator[Gate]:
    """Such a proxy on a free port."""
    gate = Gate(host_url)
    with _Server(gate) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield gate
        server.shutdown()
        thread.join()
