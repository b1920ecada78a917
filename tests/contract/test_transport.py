"""The transport on the wire: framing, reuse, proxies, what it refuses to send."""

from __future__ import annotations

import gc
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import (
    AzureError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import HttpRequest as OldRequest
from azure.core.rest import HttpRequest

from bench.servers import make_certificate
from shared.adapters import wire
from shared.adapters.connections import proxy_for
from shared.adapters.transport import Transport
from tests.contract.scripted import Answer, Scripted
from tests.support.sockets import Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(4, read_bytes=1000, read_seconds=5) as made:
        yield made


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def raw(answer: bytes, *, then_closes: bool = True) -> Server:
    """A server that answers every request with these very bytes."""

    def talk(server: Server, connection: socket.socket) -> None:
        while connection.recv(65_536):
            connection.sendall(answer)
            if then_closes:
                return

    return Server(talk)


def get(transport: Transport, origin: str, **options: Any) -> Any:
    return transport.send(HttpRequest("GET", f"{origin}/x"), **options)


# --- how long a body is


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200\r\nContent-Length:5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_a_body_is_read_by_its_length_by_chunks_or_to_the_end(transport: Transport, answer: bytes) -> None:
    with raw(answer) as server:
        assert get(transport, server.origin).content == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA header without a colon\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_no_answer(transport: Transport, answer: bytes) -> None:
    with raw(answer) as server, pytest.raises(ServiceResponseError):
        get(transport, server.origin)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_a_body_that_breaks_off_is_never_taken_for_whole(transport: Transport, answer: bytes) -> None:
    with raw(answer) as server, pytest.raises(IncompleteReadError):
        get(transport, server.origin)


def test_a_chunk_ends_with_its_line_however_that_is_cut(transport: Transport) -> None:
    """A packet or a TLS record may end between any two bytes."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    def talk(_: Server, connection: socket.socket) -> None:
        connection.recv(65_536)
        for end in range(1, len(answer) + 1):
            connection.sendall(answer[end - 1 : end])
            time.sleep(0.002)

    with Server(talk) as server:
        assert get(transport, server.origin).content == b"abcde"


def test_a_body_is_streamed_in_pieces_of_one_size(transport: Transport) -> None:
    with Scripted(lambda _: Answer(200, b"x" * 2500)) as server:
        pieces = list(get(transport, server.origin, stream=True).iter_raw())
    assert [len(piece) for piece in pieces] == [1000, 1000, 500]


# --- connections


def test_a_connection_is_used_again(transport: Transport) -> None:
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", then_closes=False) as server:
        for _ in range(20):
            get(transport, server.origin)
        assert server.visits == 1
        transport.close()


def test_one_that_the_server_closed_is_not(transport: Transport) -> None:
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx") as server:
        for _ in range(5):
            assert get(transport, server.origin).content == b"x"
            time.sleep(0.05)  # its end has come by then
        assert server.visits == 5


def test_nor_one_that_brought_more_than_its_answer(transport: Transport) -> None:
    """It would be read as the answer to the next request."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with raw(answer, then_closes=False) as server:
        assert [get(transport, server.origin).content for _ in range(3)] == [b"x"] * 3
        assert server.visits == 3
        transport.close()


def test_one_whose_body_was_not_read_is_closed(transport: Transport) -> None:
    with Scripted(lambda _: Answer(200, b"x" * 5000)) as server:
        for _ in range(20):
            get(transport, server.origin, stream=True).close()
        before = descriptors()
        for _ in range(20):
            answer = get(transport, server.origin, stream=True)
            next(answer.iter_raw())
            del answer
        gc.collect()
        assert descriptors() <= before + 2


def test_many_requests_leave_nothing_behind(transport: Transport) -> None:
    """No descriptor, no thread, no connection beside the one."""
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000, then_closes=False) as server:
        get(transport, server.origin)
        before, threads = descriptors(), threading.active_count()
        for _ in range(3000):
            get(transport, server.origin)
        assert (descriptors(), threading.active_count(), server.visits) == (before, threads, 1)
        transport.close()


def test_what_is_closed_sends_no_more(transport: Transport) -> None:
    transport.close()
    with pytest.raises(ValueError, match="closed"):
        get(transport, "http://127.0.0.1:1")


# --- what is sent


def test_nothing_compressed_is_asked_for_and_no_redirect_is_followed(transport: Transport) -> None:
    with Scripted(lambda _: Answer(302, b"", {"Location": "/elsewhere"})) as server:
        assert get(transport, server.origin).status_code == 302
    [asked] = server.asked
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("kind", [OldRequest, HttpRequest])
def test_both_kinds_of_request_are_sent_and_answered(transport: Transport, kind: Any) -> None:
    with Scripted(lambda asked: Answer(201, asked.body, {"X-Name": "v"})) as server:
        request = kind("PUT", f"{server.origin}/a%20b/ä?c=d")
        request.set_bytes_body(b"body")
        answer = transport.send(request)
        assert (answer.status_code, answer.body(), answer.headers["x-name"]) == (201, b"body", "v")
    assert server.asked[0].target == "/a%20b/%C3%A4?c=d"


def test_a_body_of_unknown_length_is_sent_in_chunks(transport: Transport) -> None:
    with raw(b"HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n") as server:
        assert (
            transport.send(HttpRequest("PUT", f"{server.origin}/x", content=iter([b"a", b"", b"bc"]))).status_code
            == 201
        )


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\r\nY": "a"}, {"X": "a\nb"}, {"X": "a\0b"}])
def test_a_header_cannot_smuggle_another(transport: Transport, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"), Scripted(lambda _: Answer()) as server:
        transport.send(HttpRequest("GET", f"{server.origin}/x", headers=headers))


@pytest.mark.parametrize("url", ["ftp://a/b", "file:///etc/passwd", "//a/b", "https:///b"])
def test_only_http_is_spoken(transport: Transport, url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        transport.send(HttpRequest("GET", url))


def test_a_refused_connection_is_a_request_that_was_not_sent(transport: Transport) -> None:
    with pytest.raises(ServiceRequestError):
        get(transport, "http://127.0.0.1:1")


# --- TLS


def tls_server(certificate: Path) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk(_: Server, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while wrapped.recv(65_536):
                wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)

    return Server(talk)


def test_tls_is_spoken_to_who_is_trusted_and_to_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    with tls_server(certificate) as server:
        origin = server.origin.replace("http:", "https:")
        with Transport(2, read_bytes=100_000) as stranger, pytest.raises(ServiceRequestError, match="CERTIFICATE"):
            get(stranger, origin, connection_verify=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with Transport(2, read_bytes=100_000) as friend:
            for _ in range(3):
                assert get(friend, origin).content == b"x" * 300_000
            assert server.visits == 2
            with pytest.raises(ServiceRequestError, match="mismatch"):
                get(friend, origin.replace("127.0.0.1", "127.1"))
    wire._context.cache_clear()


# --- proxies


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("eu-api.asm.skype.com", "http://127.0.0.1:3128"),
        ("inside.example", None),
        ("deep.inside.example", None),
        ("10.1.2.3", None),
        ("11.1.2.3", "http://127.0.0.1:3128"),
    ],
)
def test_the_environment_names_the_proxy(host: str, found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example,10.0.0.0/8")
    assert proxy_for("https", host, 443) == found


def test_https_goes_through_a_proxy_by_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees a host, a port and its password; and no request where it refuses."""
    seen: list[bytes] = []

    def talk(_: Server, connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

    with Server(talk) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.origin.replace("//", "//user:p%40ss@"))
        monkeypatch.setenv("NO_PROXY", "")
        with Transport(1, read_bytes=1000) as transport, pytest.raises(ServiceRequestError, match="407"):
            get(transport, "https://customer.blob.core.windows.net")
    assert seen[0].startswith(b"CONNECT customer.blob.core.windows.net:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in seen[0]


def test_a_proxy_of_another_kind_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "")
    with Transport(1, read_bytes=1000) as transport, pytest.raises(AzureError, match="proxy"):
        get(transport, "https://customer.blob.core.windows.net")
