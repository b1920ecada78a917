"""Connections that are bounded in time, for the SDKs' transports.

What the libraries call timeouts bounds less than it seems. The one for reading counts from the last byte that came: a
server that sends one now and then holds a connection for hours. And all that is sent is under the one for connecting
(urllib3's way), so a block that a slow link needs longer for is never taken. Here connecting, sending and reading have
a time each.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, cast

from azure.core.exceptions import ServiceResponseTimeoutError
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ReadTimeoutError

if TYPE_CHECKING:
    import socket

# A piece of an answer may keep us waiting so many times as long as a silence may.
_SILENCES = 3
_LEAST_SECONDS = 20
_MOST_SECONDS = 120
_SLOWEST = 128 * 1024  # bytes a second, of one connection


def seconds_to_send(size: int) -> float:
    """How long `size` bytes may take to be sent; and then, as much of them is still on its way, to be answered."""
    return min(_MOST_SECONDS, _LEAST_SECONDS + size / _SLOWEST)


class _Paced(io.RawIOBase):
    """What comes from a socket; TimeoutError when a piece of it kept us waiting for more than `seconds`."""

    def __init__(self, raw: io.RawIOBase, *, seconds: float, piece: int) -> None:
        self._raw = raw
        self._seconds = seconds
        self._piece = piece
        self._waited = 0.0
        self._left = piece

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """What has come, at once; else it waits, as long as the socket's own timeout lets it."""
        if self._left <= 0:
            self._left, self._waited = self._piece, 0.0
        if self._waited > self._seconds:
            raise TimeoutError("timed out: it drips")
        asked_at = time.monotonic()
        count = cast("int | None", self._raw.readinto(buffer))
        self._waited += time.monotonic() - asked_at
        self._left -= count or 0
        return count

    def close(self) -> None:
        """The socket's file below, too: a socket stays open for as long as it has any."""
        self._raw.close()
        super().close()


class _Source:
    """As much of a socket as `http.client` needs of it to read an answer."""

    def __init__(self, sock: socket.socket, *, piece: int) -> None:
        self._sock = sock
        self._piece = piece

    def makefile(self, *_: Any) -> io.BufferedReader:
        """For reading bytes."""
        silence = self._sock.gettimeout()
        raw: Any = self._sock.makefile("rb", buffering=0)
        seconds = float("inf") if silence is None else silence * _SILENCES
        return io.BufferedReader(_Paced(raw, seconds=seconds, piece=self._piece))


class _Bounded(HTTPConnection):
    """Sending has a time of its own, and each `piece` (bytes) of an answer too."""

    piece: int

    def response_class(self, sock: Any, *given: Any, **named: Any) -> HTTPResponse:  # type: ignore[override]  # a class there
        """Where `http.client` reads the answer from."""
        return HTTPResponse(cast("Any", _Source(sock, piece=self.piece)), *given, **named)

    def send(self, data: Any) -> None:
        """The request's head, or its body."""
        if self.sock is None and self.auto_open:
            self.connect()
        if self.sock is not None:
            self.sock.settimeout(seconds_to_send(len(data) if isinstance(data, bytes) else 0))
        try:
            super().send(data)
        except TimeoutError as error:
            # The libraries would take it for a connection that broke, which may be tried more often (`LateOnce`).
            raise ReadTimeoutError(cast("Any", None), cast("Any", None), "timed out: not taken in time") from error


class _BoundedTls(_Bounded, HTTPSConnection):
    """The same over TLS."""


class BoundedAdapter(HTTPAdapter):
    """Pools of such connections, to hosts and to proxies alike; `piece` is how many bytes are read at once."""

    def __init__(self, connections: int, *, piece: int) -> None:
        plain, tls = (type(kind.__name__, (kind,), {"piece": piece}) for kind in (_Bounded, _BoundedTls))
        self._pools = {
            "http": type("_Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("_TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }
        super().__init__(pool_connections=8, pool_maxsize=connections)

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        """As requests does, with our connections."""
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *given: Any, **named: Any) -> Any:
        """As requests does, with our connections."""
        manager = super().proxy_manager_for(*given, **named)
        manager.pool_classes_by_scheme = self._pools
        return manager


class LateOnce:
    """For a storage SDK's retry policy: a request that got no answer in time is sent once more, and that is all.

    Once, because a connection from the pool may have died without a word. No more, because a server that is silent
    twice is silent, and the time is needed for the fallback.
    """

    def increment(self, settings: dict[str, Any], request: Any, response: Any = None, error: Any = None) -> bool:
        """Whether to send it again, asked after each failure."""
        if _is_late(error) and any(_is_late(past.error) for past in settings["history"]):
            return False
        return bool(cast("Any", super()).increment(settings, request=request, response=response, error=error))


def _is_late(error: Any) -> bool:
    return isinstance(error, ServiceResponseTimeoutError)
