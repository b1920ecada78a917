"""Byte streams that are bounded in time: a socket, and TLS over any other stream.

TLS is decrypted from memory, `_PIECE` bytes a system call: `ssl.SSLSocket` makes two calls for each record of 16 KiB,
which is a tenth more CPU (docs/adr/0018-transport.md).
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Protocol

_PIECE = 128 * 1024


class Stream(Protocol):
    """Both ways. Every method raises TimeoutError when its time is over, else OSError."""

    def recv_into(self, view: memoryview, *, seconds: float) -> int:
        """What has come, else what comes within `seconds`; 0 at the end of the stream."""
        ...

    def sendall(self, data: bytes | memoryview, *, until: float) -> None:
        """Sends all of it before the moment `until` (of `time.monotonic`)."""
        ...

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read, not even the end: so it is with a connection that can be used again."""
        ...

    def close(self) -> None:
        """Closes the socket below."""
        ...


def left(until: float) -> float:
    """Seconds until a moment of `time.monotonic`. TimeoutError when it is over."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


class Plain:
    """A socket."""

    def __init__(self, host: str, port: int, *, until: float) -> None:
        """Connects to the first of the host's addresses that answers."""
        self._sock = _connected(host, port, until=until)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seconds = -1.0
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)

    def _bound(self, seconds: float) -> None:
        # Each change is a system call.
        if seconds != self._seconds:
            self._sock.settimeout(seconds)
            self._seconds = seconds

    def recv_into(self, view: memoryview, *, seconds: float) -> int:
        """See `Stream`."""
        self._bound(seconds)
        return self._sock.recv_into(view)

    def sendall(self, data: bytes | memoryview, *, until: float) -> None:
        """See `Stream`: the socket's own time-out bounds all of a `sendall`."""
        self._bound(left(until))
        self._sock.sendall(data)

    def is_quiet(self) -> bool:
        """See `Stream`."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """See `Stream`."""
        self._sock.close()


def _connected(host: str, port: int, *, until: float) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left(until))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError(f"no address for {host}")


class Tls:
    """TLS over another stream; certificate and host name are verified."""

    # One for all connections that a thread reads from, rather than one a connection.
    _scratch = threading.local()

    def __init__(self, below: Stream, *, host: str, until: float) -> None:
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = _context(_authorities()).wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(until)
                self._feed(left(until))
            except ssl.SSLError:
                self._flush(until)  # the alert that says why
                raise
            else:
                self._flush(until)
                return

    def _feed(self, seconds: float) -> None:
        try:
            scratch: memoryview = self._scratch.view
        except AttributeError:
            scratch = self._scratch.view = memoryview(bytearray(_PIECE))
        count = self._below.recv_into(scratch, seconds=seconds)
        if count:
            self._incoming.write(scratch[:count])
        else:
            self._incoming.write_eof()

    def _flush(self, until: float) -> None:
        if self._outgoing.pending:
            self._below.sendall(self._outgoing.read(), until=until)

    def recv_into(self, view: memoryview, *, seconds: float) -> int:
        """See `Stream`. ssl.SSLError for an end that the other side did not announce: bytes may be missing."""
        while True:
            try:
                return self._tls.read(len(view), view)  # type: ignore[return-value]  # a count, with a buffer
            except ssl.SSLWantReadError:
                self._flush(time.monotonic() + seconds)
                self._feed(seconds)
            except ssl.SSLZeroReturnError:
                return 0

    def sendall(self, data: bytes | memoryview, *, until: float) -> None:
        """See `Stream`."""
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self._tls.write(view[start : start + _PIECE])
            self._flush(until)

    def is_quiet(self) -> bool:
        """See `Stream`."""
        return not self._tls.pending() and not self._incoming.pending and self._below.is_quiet()

    def close(self) -> None:
        """See `Stream`."""
        self._below.close()


def _authorities() -> str:
    """The bundle of certificate authorities: the environment's, else certifi's."""
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if named:
        return named
    import certifi  # noqa: PLC0415 - not needed where the environment names a bundle

    return certifi.where()


@lru_cache(maxsize=4)
def _context(authorities: str) -> ssl.SSLContext:
    """One for the process: reading a bundle takes 10 ms. OSError where it is not there."""
    path = Path(authorities)
    context = ssl.create_default_context(
        cafile=None if path.is_dir() else authorities, capath=authorities if path.is_dir() else None
    )
    context.set_alpn_protocols(["http/1.1"])
    return context
