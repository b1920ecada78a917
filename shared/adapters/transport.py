"""The HTTP transport below every SDK client: one thin layer on sockets, bounded in time (docs/adr/0018-transport.md).

The SDKs stay in the path everywhere, with their signing, checks, host allow-list and retries: this only moves the
request that their pipelines made. No redirect is followed, no body is asked for or taken compressed, TLS is always
verified. On a laptop `LocalOriginTransport` takes what is meant for ACS to an emulator on loopback.
"""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode, urlsplit

from azure.core.exceptions import (
    DecodeError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import HttpResponse, HttpTransport
from azure.core.rest import HttpRequest as RestRequest

# Private, and the only implementation of the response that the SDKs' pipelines work with; azure-core is pinned.
from azure.core.rest._http_response_impl import HttpResponseImpl

from shared.adapters.buffers import Buffers
from shared.adapters.connections import Origin, Pool, proxy_for, proxy_headers, seconds_to_send
from shared.adapters.http1 import BodyCutError
from shared.domain.locations import is_media_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shared.adapters.connections import Connection
    from shared.adapters.http1 import Head

_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_LARGE = 1024 * 1024
_LEGAL_TARGET = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]+")
_MOST_ORIGINS = 256


class Answer:
    """One answer on its connection, which goes back to the pool when the body was read, and is closed otherwise."""

    def __init__(self, pool: Pool, buffers: Buffers, connection: Connection, head: Head) -> None:
        self.head = head
        self._pool = pool
        self._connection: Connection | None = connection
        self._body = connection.pieces(head, buffers.take)
        if head.length == 0:
            self._end()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if self.head.keeps_alive:
                self._pool.give_back(connection)
            else:
                connection.close()

    def pieces(self) -> Iterator[bytes]:
        """The body. What breaks it off comes out as azure-core's errors."""
        try:
            while self._connection is not None:
                piece = next(self._body, None)
                if piece is None:
                    self._end()
                    return
                yield piece
        except TimeoutError as error:
            raise ServiceResponseTimeoutError(error, error=error) from error
        except BodyCutError as error:
            raise IncompleteReadError(error, error=error) from error
        except OSError as error:
            raise ServiceResponseError(error, error=error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Closes the connection unless the body was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Streamed:
    """What azure-core calls to stream a body. Nothing is decompressed: nothing compressed was asked for.

    An object, because the storage SDK notes the blob's properties on it.
    """

    def __init__(self, pipeline: Any, response: Any, *, decompress: bool = True) -> None:
        del pipeline, decompress
        answer: Answer = response.internal_response
        self.request, self.response = response.request, response
        self.content_length = answer.head.length or 0
        self._pieces = answer.pieces()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)


class _Response(HttpResponse):
    """Of an `azure.core.pipeline.transport.HttpRequest`."""

    def __init__(self, request: Any, answer: Answer, block_size: int) -> None:
        super().__init__(request, answer, block_size)
        self.status_code, self.reason, self.headers = answer.head.status, answer.head.reason, answer.head.headers
        self.content_type = answer.head.headers.get("Content-Type")
        self._data: bytes | None = None

    def body(self) -> bytes:
        """The whole body, read at the first call."""
        if self._data is None:
            self._data = b"".join(self.internal_response.pieces())
        return self._data

    def stream_download(self, pipeline: Any, **kwargs: Any) -> Iterator[bytes]:
        """The body in pieces."""
        return _Streamed(pipeline, self, **kwargs)


def _rest_response(request: Any, answer: Answer, block_size: int) -> Any:
    headers = answer.head.headers
    return HttpResponseImpl(
        request=request,
        internal_response=answer,
        block_size=block_size,
        status_code=answer.head.status,
        reason=answer.head.reason,
        headers=headers,
        content_type=headers.get("Content-Type"),
        stream_download_generator=_Streamed,
    )


class Transport(HttpTransport[Any, Any]):
    """Keeps up to `connections` idle connections, reads bodies in pieces of `read_bytes`; for many threads.

    Large pieces lie in up to `keep_bytes` of memory that is used again once nothing shows them any more.

    Proxies and certificate authorities come from the environment, which is asked once for each host.
    """

    def __init__(
        self, connections: int, *, read_bytes: int, read_seconds: float | None = None, keep_bytes: int = 0
    ) -> None:
        self._pool = Pool(connections)
        self._buffers = Buffers(keep_bytes)
        self._read_bytes = read_bytes
        self._read_seconds = _READ_SECONDS if read_seconds is None else read_seconds
        self._connect_seconds = _CONNECT_SECONDS
        self._origins: dict[tuple[str, str], Origin] = {}
        self._is_closed = False
        self._at_end = weakref.finalize(self, self._pool.close)

    def open(self) -> None:
        """Connections are opened by requests."""

    def close(self) -> None:
        """Closes every idle connection, and those in use when their answer is read. Nothing can be sent any more."""
        self._is_closed = True
        self._at_end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Any, **kwargs: Any) -> Any:
        """The answer, its body not read yet if `stream`. `connection_timeout`, `read_timeout`: seconds.

        ServiceRequestError where nothing was sent, ServiceResponseError where no answer came, both with Timeout where
        it took too long; ValueError for a request that cannot be written down.
        """
        if self._is_closed:
            raise ValueError("the transport is closed")
        origin, target, host = self._way(request.url)
        body, size = _body(request)
        head = _request_head(request, origin, target, host=host, size=size)
        answer = Answer(
            self._pool,
            self._buffers,
            *self._exchange(origin, request.method, head=head, body=body, size=size or 0, given=kwargs),
        )
        if not isinstance(request, RestRequest):
            legacy = _Response(request, answer, self._read_bytes)
            if not kwargs.get("stream"):
                legacy.body()
            return legacy
        response = _rest_response(request, answer, self._read_bytes)
        if not kwargs.get("stream"):
            response.read()
            if response.content and answer.head.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise DecodeError("the answer is encoded, and that was not asked for", response=response)
        return response

    def _exchange(
        self,
        origin: Origin,
        method: str,
        *,
        head: bytes,
        body: Iterable[bytes | memoryview],
        size: int,
        given: dict[str, Any],
    ) -> tuple[Connection, Head]:
        try:
            connection = self._pool.take(origin, seconds=given.get("connection_timeout") or self._connect_seconds)
        except TimeoutError as error:
            raise ServiceRequestTimeoutError(error, error=error) from error
        except (OSError, UnicodeError) as error:
            raise ServiceRequestError(error, error=error) from error
        try:
            connection.send(head, body, seconds=seconds_to_send(size))
            silence = given.get("read_timeout") or self._read_seconds
            return connection, connection.head(method, silence=silence, piece=self._read_bytes)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise ServiceResponseTimeoutError(error, error=error) from error
            if isinstance(error, OSError):
                raise ServiceResponseError(error, error=error) from error
            raise

    def _way(self, url: str) -> tuple[Origin, str, str]:
        """Where to connect, what to ask for there, and the Host that is meant."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http:// or https:// URL")
        usual = 443 if parts.scheme == "https" else 80
        key = (parts.scheme, parts.netloc)
        origin = self._origins.get(key)
        if origin is None:
            port = parts.port or usual
            origin = Origin(parts.scheme, parts.hostname, port, proxy_for(parts.scheme, parts.hostname, port))
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            self._origins[key] = origin
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _LEGAL_TARGET.fullmatch(target):
            target = quote(target, safe="!#$%&'()*+,/:;=?@[]~")
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        return origin, target, host if origin.port == usual else f"{host}:{origin.port}"


def _body(request: Any) -> tuple[Iterable[bytes | memoryview], int | None]:
    """The body in pieces, and its size; None for a size that is not known."""
    if request.files:
        raise ValueError("forms with files are not sent by any client of this app")
    data = request.data
    if data is None:
        return (), 0
    if isinstance(data, dict):
        data = urlencode(data, doseq=True)
    if isinstance(data, str):
        data = data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        view = memoryview(data).cast("B")
        return (view,), len(view)
    length = request.headers.get("Content-Length")
    pieces = iter(lambda: data.read(_LARGE), b"") if hasattr(data, "read") else iter(data)
    return (pieces, int(length)) if length is not None else (_chunked(pieces), None)


def _chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _request_head(request: Any, origin: Origin, target: str, *, host: str, size: int | None) -> bytes:
    given = {name.lower(): (name, str(value)) for name, value in request.headers.items()}
    _, said_host = given.pop("host", ("", host))
    lines = [("Host", said_host)]
    given.pop("content-length", None)
    given.pop("transfer-encoding", None)
    given.setdefault("accept", ("Accept", "*/*"))
    given["accept-encoding"] = ("Accept-Encoding", "identity")
    if size is None:
        lines.append(("Transfer-Encoding", "chunked"))
    elif size or request.method not in ("GET", "HEAD"):
        lines.append(("Content-Length", str(size)))
    if isinstance(request.data, dict):
        given.setdefault("content-type", ("Content-Type", "application/x-www-form-urlencoded"))
    lines += given.values()
    if origin.is_forwarded:
        target = f"http://{host}{target}"
        lines += proxy_headers(origin.proxy or "")
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text or " " in target:
        raise ValueError("a header that cannot be sent")
    return f"{request.method} {target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


def pooled_transport(
    connections: int, *, read_bytes: int, read_seconds: float | None = None, keep_bytes: int = 0
) -> Transport:
    """A transport as the arguments say (`Transport`); a silence may last `read_seconds`."""
    return Transport(connections, read_bytes=read_bytes, read_seconds=read_seconds, keep_bytes=keep_bytes)


class LocalOriginTransport(Transport):
    """Sends what is meant for ACS and its media hosts to a local emulator, with the original Host header."""

    def __init__(
        self, origin: str, *, acs_endpoint: str, connections: int, read_bytes: int, keep_bytes: int = 0
    ) -> None:
        super().__init__(connections, read_bytes=read_bytes, keep_bytes=keep_bytes)
        self._local_origin = origin
        self._acs_host = urlsplit(acs_endpoint).netloc

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Sends it to the emulator. ValueError for a host that is not ACS's."""
        url = request.url
        parts = urlsplit(url)
        if parts.netloc != self._acs_host and not is_media_location(url):
            raise ValueError(f"{parts.hostname} is not a host of ACS")
        request.headers["Host"] = parts.netloc
        request.url = self._local_origin + url.partition(parts.netloc)[2]
        try:
            return super().send(request, **kwargs)
        finally:
            request.url = url
