"""As little HTTP as a server can speak, so that a measurement is of its client: heads, bodies dropped or sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LARGE = 1 << 20
_PIECE = 256 * 1024


class GoneError(Exception):
    """The client closed its connection."""


@dataclass(frozen=True)
class Request:
    """One request's head. Header names in lower case; `path` unquoted, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        """Bytes of its body."""
        return int(self.headers.get("content-length") or 0)


class Connection:
    """One client's connection, plain or TLS."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._scratch = bytearray(_PIECE)
        self._free_at = 0.0

    def request(self) -> Request:
        """The next request's head. GoneError at the end."""
        while b"\r\n\r\n" not in self._held:
            more = self._sock.recv(65536)
            if not more:
                raise GoneError
            self._held += more
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "100-continue" in headers.get("expect", "").lower():
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), headers)

    def body(self, request: Request) -> bytes:
        """The whole body, kept."""
        if "chunked" in request.headers.get("transfer-encoding", ""):
            return self._chunked()
        pieces, left = [self._held[: request.length]], request.length - len(self._held)
        self._held = self._held[request.length :]
        while left > 0:
            piece = self._sock.recv(min(left, _LARGE))
            if not piece:
                raise GoneError
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _chunked(self) -> bytes:
        data = b""
        while True:
            while b"\r\n" not in self._held:
                self._more()
            size, _, self._held = self._held.partition(b"\r\n")
            wanted = int(size.split(b";")[0], 16) + 2
            while len(self._held) < wanted:
                self._more()
            data += self._held[: wanted - 2]
            self._held = self._held[wanted:]
            if wanted == 2:
                return data

    def _more(self) -> None:
        more = self._sock.recv(_LARGE)
        if not more:
            raise GoneError
        self._held += more

    def drop(self, request: Request) -> None:
        """The whole body, thrown away: by the kernel itself where it is not encrypted."""
        left = request.length - len(self._held)
        if left < 0:
            self._held = self._held[request.length :]
            return
        self._held = b""
        while left:
            if self._is_tls:
                count = self._sock.recv_into(self._scratch, min(left, _PIECE))
            else:
                # MSG_TRUNC: TCP counts the bytes and copies none.
                count = self._sock.recv_into(self._scratch, min(left, _PIECE), socket.MSG_TRUNC)
            if not count:
                raise GoneError
            left -= count

    def answer(self, status: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """A whole answer; `headers` may say another Content-Length (of a body that follows)."""
        lines = {"Content-Length": str(len(body)), **(headers or {})}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._sock.sendall(f"HTTP/1.1 {status}\r\n{text}\r\n".encode("latin-1") + body)

    def send_file(self, file: BinaryIO, view: memoryview, start: int, length: int, *, rate: int = 0) -> None:
        """`length` bytes from `start` of `file`, whose bytes `view` shows; at most `rate` bytes a second, if any."""
        end = start + length
        while start < end:
            count = min(end - start, _PIECE if self._is_tls or rate else length)
            if rate:
                # A connection that idled has no credit for it.
                self._free_at = max(self._free_at, time.monotonic()) + count / rate
                time.sleep(max(0.0, self._free_at - time.monotonic()))
            if self._is_tls:
                self._sock.sendall(view[start : start + count])
            else:
                self._sock.sendfile(file, start, count)
            start += count


def listening(*, backlog: int = 512) -> socket.socket:
    """A socket on a free loopback port; every process forked after this may accept from it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    return sock


def serve(sock: socket.socket, handle: Callable[[Connection, Request], None], tls: ssl.SSLContext | None) -> None:
    """Accepts for ever, a thread a connection. `handle` reads the body and answers."""

    def run(client: socket.socket) -> None:
        with contextlib.suppress(OSError, GoneError), contextlib.ExitStack() as stack:
            stack.enter_context(client)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                client = stack.enter_context(tls.wrap_socket(client, server_side=True))
            connection = Connection(client)
            while True:
                handle(connection, connection.request())

    while True:
        client, _ = sock.accept()
        threading.Thread(target=run, args=(client,), daemon=True).start()
