"""What a server can cost in time: sockets that take slowly, say nothing, or drip; real ones, at a quick pace."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import HttpRequest

from shared.adapters import connections, transport
from shared.adapters.acs import AcsMedia, acs_client
from shared.adapters.blob import BlobContainer, blob_service
from shared.adapters.connections import seconds_to_send
from shared.adapters.transport import pooled_transport
from shared.domain.errors import Blame, MediaUnavailable, StorageUnavailable
from shared.settings import Secret
from tests.support.fakes import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
MEDIA = "https://us-storage.asm.skype.com/x"
KEY = "a2V5" * 8
HEAD = b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-999/1000\r\nContent-Length: 1000\r\n\r\n"


class Server:
    """Every connection is `talk`ed to by a thread of its own; `visits` counts them, `is_over` ends the talks."""

    def __init__(self, talk: Callable[[Server, socket.socket], None]) -> None:
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        # So that little is on its way, and a sender notices who does not take.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self.origin = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
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


def silent(server: Server, connection: socket.socket) -> None:
    """Takes everything, says nothing."""
    connection.settimeout(0.05)
    while not server.is_over.is_set():
        with suppress(TimeoutError):
            if not connection.recv(MIB):
                return


def deaf(server: Server, _: socket.socket) -> None:
    """Takes nothing."""
    server.is_over.wait(20)


def dripping(words: bytes, *, at_once: int) -> Callable[[Server, socket.socket], None]:
    """Sends `words`: so many bytes at once, then one each twentieth of a second."""

    def talk(server: Server, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(words[:at_once])
        for byte in words[at_once:]:
            if server.is_over.wait(0.05):
                return
            connection.sendall(bytes([byte]))

    return talk


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fiftieth to a hundredth of the real times."""
    monkeypatch.setattr(transport, "_CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(transport, "_READ_SECONDS", 0.2)
    monkeypatch.setattr(connections, "_LEAST_SECONDS", 0.2)
    monkeypatch.setattr("shared.adapters.blob._QUICK_SECONDS", 0.2)
    monkeypatch.setattr("shared.adapters.acs._SMALL_FILE", {"read_timeout": 0.2})
    monkeypatch.setattr("shared.adapters.blob._Retry.get_backoff_time", lambda *_: 0, raising=False)


def media(server: Server) -> AcsMedia:
    where = settings(local_acs_origin=server.origin, acs_key=Secret(KEY), acs_media_auth="key")
    return AcsMedia(acs_client(where, None, for_media=True))


def container(server: Server) -> BlobContainer:
    address = f"AccountName=a;AccountKey={KEY};BlobEndpoint={server.origin}/a"
    service = blob_service(settings(), account_url=None, connection_string=address, credential=None)
    return BlobContainer(service, "recordings", blame=Blame.DESTINATION, creates=False)


def put(server: Server, size: int) -> int:
    request = HttpRequest("PUT", f"{server.origin}/x", headers={"Content-Length": str(size)})
    request.set_bytes_body(bytes(size))
    with pooled_transport(1, read_bytes=MIB, read_seconds=5) as sender:
        return int(sender.send(request).status_code)


# --- sending


def test_a_slow_link_has_the_time_that_a_block_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3 alone gives sending no more than connecting: here 0.2 seconds, in Azure 5 for 8 MiB."""
    monkeypatch.setattr(connections, "_LEAST_SECONDS", 20)

    def slow(_: Server, connection: socket.socket) -> None:
        left = 8 * MIB
        while left > 0:
            left -= len(connection.recv(MIB // 4))
            time.sleep(0.01)
        connection.sendall(b"HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n")

    with Server(slow) as server:
        begun_at = time.monotonic()
        assert put(server, 8 * MIB) == 201
        assert time.monotonic() - begun_at > 0.3


def test_but_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_SLOWEST", 64 * MIB)
    with Server(deaf) as server, pytest.raises(AzureError, match="timed out"):
        put(server, 16 * MIB)


def test_the_times_for_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [seconds_to_send(size * MIB) for size in (0, 2, 4, 8, 100)] == [20, 36, 52, 84, 120]


# --- a destination that says nothing

CALLS: dict[str, Callable[[BlobContainer], object]] = {
    "find": lambda place: place.find("20261122/"),
    "stat": lambda place: place.stat("x"),
    "read": lambda place: place.read("x", length=10),
    "stage": lambda place: place.stage("x", "0" * 33, b"data"),
    "put": lambda place: place.put("x", b"data", content_type="audio/mpeg", overwrite=False),
}


@pytest.mark.parametrize("talk", [silent, deaf], ids=["silent", "deaf"])
@pytest.mark.parametrize("name", CALLS)
def test_a_silent_destination_is_asked_twice_and_no_more(
    name: str, talk: Callable[[Server, socket.socket], None]
) -> None:
    """Nine times, of a minute each, it was, for one block: longer than an invocation may live."""
    with Server(talk) as server:
        begun_at = time.monotonic()
        with pytest.raises(StorageUnavailable):
            CALLS[name](container(server))
        assert time.monotonic() - begun_at < 6
        assert server.visits == 2


def test_a_block_that_a_silent_destination_does_not_take_is_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_SLOWEST", 64 * MIB)
    with Server(deaf) as server:
        with pytest.raises(StorageUnavailable):
            container(server).stage("x", "0" * 33, bytes(16 * MIB))
        assert server.visits == 2


def test_one_that_breaks_off_is_asked_three_times() -> None:
    """That comes back at once, and costs no time."""
    with Server(lambda _, connection: connection.close()) as server:
        with pytest.raises(StorageUnavailable):
            container(server).stat("x")
        assert server.visits == 3


# --- who drips


@pytest.mark.parametrize("at_once", [0, 5, len(HEAD), len(HEAD) + 10], ids=["status", "head", "body", "later"])
@pytest.mark.parametrize("asking", ["open", "read_all"])
def test_a_media_host_that_drips_is_given_up(at_once: int, asking: str) -> None:
    """Each byte comes in time, and the whole would take minutes (in Azure: weeks)."""
    with Server(dripping(HEAD + bytes(1000), at_once=at_once)) as server:
        begun_at = time.monotonic()
        with pytest.raises(MediaUnavailable, match="timed out"):
            asked(media(server), asking)
        assert 0.4 < time.monotonic() - begun_at < 10


def asked(host: AcsMedia, asking: str) -> bytes:
    if asking == "read_all":
        return host.read_all(MEDIA, limit=2000)
    with host.open(MEDIA, start=0, length=1000) as response:
        return b"".join(response.pieces)


def test_one_that_is_slow_and_steady_is_read_to_the_end() -> None:
    """The bound is for each piece, not for the whole: a body of many pieces takes its time."""
    body = b"x" * 40
    with Server(dripping(b"HTTP/1.1 200 x\r\nContent-Length: 40\r\n\r\n" + body, at_once=38)) as server:
        with pooled_transport(1, read_bytes=10, read_seconds=0.5) as reader:
            begun_at = time.monotonic()
            answer = reader.send(HttpRequest("GET", f"{server.origin}/x"), stream=True)
            assert b"".join(answer.stream_download(None)) == body
        assert time.monotonic() - begun_at > 3 * 0.5


def test_waiting_for_who_reads_is_not_counted() -> None:
    with (
        Server(dripping(b"HTTP/1.1 200 x\r\nContent-Length: 40\r\n\r\n" + bytes(40), at_once=78)) as server,
        pooled_transport(1, read_bytes=10, read_seconds=0.1) as reader,
    ):
        answer = reader.send(HttpRequest("GET", f"{server.origin}/x"), stream=True)
        pieces: Iterator[Any] = answer.stream_download(None)
        first = next(pieces)
        time.sleep(0.5)
        assert first + b"".join(pieces) == bytes(40)


def test_by_way_of_a_proxy_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(dripping(HEAD + bytes(1000), at_once=len(HEAD))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with (
            pooled_transport(1, read_bytes=MIB, read_seconds=0.2) as reader,
            pytest.raises(AzureError, match="timed out"),
        ):
            reader.send(HttpRequest("GET", "http://media.example/x"))
        assert proxy.visits == 1
