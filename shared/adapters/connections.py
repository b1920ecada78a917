"""Connections that are bounded in time, pooled, for the transport.

What libraries call timeouts bounds less than it seems: the one for reading counts from the last byte that came, so a
server that sends one now and then holds a connection for hours. Here connecting, sending and reading have a time each
(docs/adr/0011-what-one-request-may-cost.md).
"""

from __future__ import annotations

import base64
import ipaddress
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import uuid4

from azure.core.exceptions import ServiceResponseTimeoutError

from shared.adapters.http1 import Head, Reader, pieces, read_head
from shared.adapters.wire import Plain, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shared.adapters.wire import Stream

# A piece of an answer may keep us waiting so many times as long as a silence may.
_SILENCES = 3
_LEAST_SECONDS = 20
_MOST_SECONDS = 120
_SLOWEST = 128 * 1024  # bytes a second, of one connection
# A connection that was idle for longer may have been dropped on the way, by a side that does not say so.
_LONGEST_IDLE = 60.0
_TOGETHER = 64 * 1024


def seconds_to_send(size: int) -> float:
    """How long `size` bytes may take to be sent; and then, as much of them is still on its way, to be answered."""
    return min(_MOST_SECONDS, _LEAST_SECONDS + size / _SLOWEST)


@dataclass(frozen=True)
class Origin:
    """Where a connection goes. `proxy`: the URL of the proxy on the way, if any."""

    scheme: str
    host: str
    port: int
    proxy: str | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether the proxy reads the requests: those of plain HTTP."""
        return self.proxy is not None and self.scheme == "http"


class ConnectError(OSError):
    """There is no connection, and nothing was sent."""


class Connection:
    """One connection, for one exchange at a time."""

    def __init__(self, origin: Origin, *, seconds: float) -> None:
        """Connects within `seconds`; TLS, and the way through a proxy, have as long again each."""
        self.origin = origin
        self.idle_since = 0.0
        self._silence = self._waited = self._most = 0.0
        self._piece = self._left = 0
        self._stream: Stream | None = None
        try:
            self._connect(seconds)
        except BaseException:
            self.close()
            raise

    def _connect(self, seconds: float) -> None:
        origin = self.origin
        if origin.proxy is None:
            self._stream = Plain(origin.host, origin.port, until=time.monotonic() + seconds)
        else:
            proxy = urlsplit(origin.proxy)
            if proxy.scheme not in ("http", "https") or not proxy.hostname:
                raise ConnectError("a proxy is reached by http:// or https:// only")
            port = proxy.port or (443 if proxy.scheme == "https" else 80)
            self._stream = Plain(proxy.hostname, port, until=time.monotonic() + seconds)
            if proxy.scheme == "https":
                self._stream = Tls(self._stream, host=proxy.hostname, until=time.monotonic() + seconds)
            if not origin.is_forwarded:
                self._tunnel(seconds)
        if origin.scheme == "https":
            self._stream = Tls(self._stream, host=origin.host, until=time.monotonic() + seconds)
        self._reader = Reader(self._receive)

    def _tunnel(self, seconds: float) -> None:
        target = f"[{self.origin.host}]" if ":" in self.origin.host else self.origin.host
        lines = [f"CONNECT {target}:{self.origin.port} HTTP/1.1", f"Host: {target}:{self.origin.port}"]
        lines += [f"{name}: {value}" for name, value in proxy_headers(self.origin.proxy or "")]
        self._reader = Reader(self._receive)
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"), (), seconds=seconds)
        head = self.head("HEAD", silence=seconds, piece=1)
        if head.status != 200 or not self._reader.is_empty:
            raise ConnectError(f"the proxy answered {head.status}")

    def send(self, head: bytes, body: Iterable[bytes | memoryview], *, seconds: float) -> None:
        """Sends a request within `seconds`, of which `body` may be several pieces. TimeoutError, else OSError."""
        stream, until = self._open(), time.monotonic() + seconds
        held = head
        try:
            for piece in body:
                if held and len(held) + len(piece) <= _TOGETHER:
                    held += piece
                    continue
                if held:
                    stream.sendall(held, until=until)
                    held = b""
                stream.sendall(piece, until=until)
            if held:
                stream.sendall(held, until=until)
        except TimeoutError as error:
            raise TimeoutError("timed out: not taken in time") from error
        except BrokenPipeError:
            return  # a server that refuses a body says why before it closes: that is what to read now

    def head(self, method: str, *, silence: float, piece: int) -> Head:
        """The answer's head. Each wait may last `silence` seconds, all for `piece` bytes three times as long."""
        self._silence, self._most, self._piece = silence, silence * _SILENCES, piece
        self._waited, self._left = 0.0, piece
        return read_head(self._reader, method=method)

    def pieces(self, head: Head, take: Callable[[int], bytearray | memoryview]) -> Iterator[bytes]:
        """The body, in pieces of the size that `head` was given, in memory from `take`."""
        return pieces(self._reader, head, size=self._piece, take=take)

    def _receive(self, view: memoryview) -> int:
        if self._left <= 0:
            self._left, self._waited = self._piece, 0.0
        if self._waited > self._most:
            raise TimeoutError("timed out: it drips")
        asked_at = time.monotonic()
        count = self._open().recv_into(view, seconds=self._silence)
        self._waited += time.monotonic() - asked_at
        self._left -= count
        return count

    def _open(self) -> Stream:
        if self._stream is None:
            raise OSError("the connection is closed")
        return self._stream

    def is_usable(self) -> bool:
        """Whether another exchange may follow: nothing has come that was not asked for, not even the end."""
        with suppress(OSError):
            return self._reader.is_empty and self._open().is_quiet()
        return False

    def close(self) -> None:
        """Ends it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def __del__(self) -> None:
        # An answer that was neither read to its end nor closed.
        self.close()


class Pool:
    """Idle connections, up to `most`, the one used last first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def take(self, origin: Origin, *, seconds: float) -> Connection:
        """An idle connection to `origin` that still works, else a new one: OSError, TimeoutError."""
        while (found := self._taken(origin)) is not None:
            if time.monotonic() - found.idle_since < _LONGEST_IDLE and found.is_usable():
                return found
            found.close()
        return Connection(origin, seconds=seconds)

    def _taken(self, origin: Origin) -> Connection | None:
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place].origin == origin:
                    return self._idle.pop(place)
        return None

    def give_back(self, connection: Connection) -> None:
        """For the next exchange; the one that was idle longest is closed where there are too many."""
        connection.idle_since = time.monotonic()
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                connection, surplus = (self._idle.pop(0), True) if len(self._idle) > self._most else (connection, False)
            else:
                surplus = True
        if surplus:
            connection.close()

    def close(self) -> None:
        """Closes all that are idle, and from now on all that are given back."""
        with self._lock:
            idle, self._idle, self._is_closed = self._idle, [], True
        for connection in idle:
            connection.close()


def proxy_for(scheme: str, host: str, port: int) -> str | None:
    """The proxy that the environment names for this host: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY."""
    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    if not found or proxy_bypass(host) or proxy_bypass(f"{host}:{port}") or _is_in_networks(host, proxies.get("no")):
        return None
    return found if "://" in found else f"http://{found}"


def _is_in_networks(host: str, excepted: str | None) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        for each in (excepted or "").split(","):
            with suppress(ValueError):
                if address in ipaddress.ip_network(each.strip(), strict=False):
                    return True
    return False


def proxy_headers(proxy: str) -> list[tuple[str, str]]:
    """Proxy-Authorization, where the proxy's URL has a user."""
    parts = urlsplit(proxy)
    if not parts.username:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [("Proxy-Authorization", "Basic " + base64.b64encode(pair.encode()).decode())]


class LateOnce:
    """For a storage SDK's retry policy: a request that got no answer in time is sent once more, and that is all.

    Once, because a connection from the pool may have died without a word. No more, because a server that is silent
    twice is silent, and the time is needed for the fallback.
    """

    def configure_retries(self, request: Any) -> dict[str, Any]:
        """The SDK's, with a request id that costs a quarter of its own, which asks for the clock and a lock."""
        request.context.options.setdefault("client_request_id", str(uuid4()))
        return cast("dict[str, Any]", cast("Any", super()).configure_retries(request))

    def increment(self, settings: dict[str, Any], request: Any, response: Any = None, error: Any = None) -> bool:
        """Whether to send it again, asked after each failure."""
        if response is not None and response.headers.get("x-ms-error-code") == "FeatureNotSupported":
            return False  # no other answer will come
        if _is_late(error) and any(_is_late(past.error) for past in settings["history"]):
            return False
        return bool(cast("Any", super()).increment(settings, request=request, response=response, error=error))


def _is_late(error: Any) -> bool:
    return isinstance(error, ServiceResponseTimeoutError)
