"""A server on the loopback that says to each connection what a test wants: for what no HTTP server would do."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Server:
    """Every connection is `talk`ed to by a thread of its own; `visits` counts them, `is_over` ends the talks."""

    def __init__(self, talk: Callable[[Server, socket.socket], None]) -> None:
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        # So that little is on its way, and a sender notices who does not take.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self.port = self._socket.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.visits = 0
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=self._serve)]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            self._threads.append(threading.Thread(target=self._serve_one, args=(connection,)))
            self._threads[-1].start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._talk(self, connection)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)


def saying(answer: bytes) -> Callable[[Server, socket.socket], None]:
    """Answers each request with the same bytes."""

    def talk(_: Server, connection: socket.socket) -> None:
        connection.settimeout(5)
        asked = b""
        while b"\r\n\r\n" not in asked and (more := connection.recv(65_536)):
            asked += more
        connection.sendall(answer)

    return talk


def hanging_up(_: Server, connection: socket.socket) -> None:
    """Says nothing."""
    connection.close()
