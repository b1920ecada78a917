"""The real SDK against the emulator, which sends it elsewhere: to a server that only counts its visitors."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from azure.communication.callautomation import CallAutomationClient
from azure.core.pipeline.transport import HttpRequest

from local.acs import AcsConfig, AcsEmulator, ChunkPlan, EndPlan
from local.acs.transport import EmulatorTransport
from shared.adapters.acs import AcsMedia, acs_client
from shared.adapters.transport import LocalOriginTransport
from shared.domain.errors import MediaError, MediaLocationRefused, MediaRedirected
from shared.settings import Settings, load_settings
from shared.transfer import ranges
from tests.security.test_forged_events import OFF_THE_LIST
from tests.support.sockets import Server, hanging_up, saying

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 5000


@pytest.fixture
def trap() -> Iterator[Server]:
    """A port that counts the connections made to it."""
    with Server(hanging_up) as running:
        yield running


@pytest.fixture(scope="module")
def acs() -> Iterator[AcsEmulator]:
    with AcsEmulator(AcsConfig(seed=5)) as running:
        yield running


@pytest.fixture(scope="module")
def url(acs: AcsEmulator) -> str:
    """Where a recording's media is."""
    call = acs.create_call()
    with closing(
        CallAutomationClient.from_connection_string(acs.connection_string, transport=EmulatorTransport(acs.origin))
    ) as client:
        client.start_recording(server_call_id=call.server_call_id)
    ended = acs.end_call(call.call_id, plan=EndPlan(chunks=(ChunkPlan(size=SIZE),)))
    acs.wait_idle()
    return str(acs.truth(ended[0].recording_id)["chunks"][0]["contentLocation"])


@pytest.fixture(scope="module")
def settings(acs: AcsEmulator) -> Settings:
    return load_settings(
        {
            "AzureWebJobsStorage": "AccountName=a;AccountKey=a2V5",
            "ACS_CONNECTION_STRING": acs.connection_string,
            "RECORDING_CONTAINER_URL": "https://a.blob.core.windows.net/recordings",
            "LOCAL_ACS_ORIGIN": acs.origin,
        }
    )


@pytest.fixture(scope="module")
def media(acs: AcsEmulator, settings: Settings) -> Iterator[AcsMedia]:
    """The adapter, by a transport that would follow anywhere: only the adapter's own check stands in the way."""
    with closing(acs_client(settings, None, for_media=True, transport=EmulatorTransport(acs.origin))) as client:
        yield AcsMedia(client)


@pytest.fixture(autouse=True)
def _no_faults_left(acs: AcsEmulator) -> Iterator[None]:
    yield
    acs.clear_faults()


def _first_byte(media: AcsMedia, location: str) -> bytes:
    with media.open(location, start=0, length=1) as response:
        return b"".join(response.pieces)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/steal",
        "https://127.0.0.1:{port}/steal",
        "//127.0.0.1:{port}/steal",
        "https://us-storage.asm.skype.com@127.0.0.1:{port}/steal",
        "https://127.0.0.1:{port}#.asm.skype.com/steal",
        "https://127.0.0.1:{port}?.asm.skype.com/steal",
        "http://localhost:{port}/steal",
        "http://us-storage.asm.skype.com/plain",
        "https://us-storage.asm.skype.com:{port}/port",
        "https://evil.blob.core.windows.net/c/b",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/x",
    ],
)
def test_a_redirect_off_the_list_is_not_followed(
    acs: AcsEmulator, media: AcsMedia, url: str, trap: Server, target: str
) -> None:
    acs.add_fault(kind="redirect", operation="any", url=target.format(port=trap.port))
    with pytest.raises(MediaRedirected):
        _first_byte(media, url)
    with pytest.raises(MediaRedirected):
        media.read_all(url, limit=100)
    with pytest.raises(MediaRedirected):
        media.delete(url.partition("/content/")[0])
    assert trap.visits == 0


@pytest.mark.parametrize("location", OFF_THE_LIST.values(), ids=OFF_THE_LIST.keys())
def test_the_adapter_itself_asks_nobody_off_the_list(media: AcsMedia, location: str) -> None:
    """A second lock behind the first: no event's location comes this far (`test_forged_events`)."""
    with pytest.raises(MediaLocationRefused):
        media.delete(location)
    with pytest.raises(MediaLocationRefused):
        _first_byte(media, location)
    with pytest.raises(MediaLocationRefused):
        media.read_all(location, limit=10)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "evil.example", "us-storage.asm.skype.com.evil.example"])
def test_the_local_transport_sends_nothing_that_is_not_for_acs(acs: AcsEmulator, host: str) -> None:
    with (
        LocalOriginTransport(
            acs.origin, acs_endpoint="https://local.communication.azure.com", connections=1, read_bytes=1024
        ) as transport,
        pytest.raises(ValueError, match="not a host of ACS"),
    ):
        transport.send(HttpRequest("GET", f"https://{host}/x"))


@pytest.mark.parametrize("status", [206, 200, 503, 429])
@pytest.mark.parametrize(
    "header",
    [
        "Content-Range: bytes 0-0/" + "9" * 5000,
        "Content-Range: bytes \u00b2-\u00b2/\u00b2",
        "Content-Length: \u00b2",
        "Content-Length: " + "9" * 5000,
        "Content-Length: -1",
        "Retry-After: \u00b2",
        "Retry-After: " + "9" * 5000,
        "Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Content-Type: text/\x85html; charset=\xff",
        "ETag: " + "x" * 8000,
    ],
)
def test_headers_that_nobody_can_read_are_a_failed_try_and_nothing_worse(
    settings: Settings, url: str, status: int, header: str
) -> None:
    answer = f"HTTP/1.1 {status} x\r\nConnection: close\r\n{header}\r\n\r\nx".encode("latin-1")
    with (
        Server(saying(answer)) as canned,
        closing(acs_client(settings, None, for_media=True, transport=EmulatorTransport(canned.origin))) as client,
    ):
        media = AcsMedia(client)
        # All but MediaError would come out of this as a failure of the test.
        with suppress(MediaError), media.open(url, start=0, length=1) as response:
            head = ranges.accept(response, ranges.Span(0, 1), total=None, etag=None)
            assert head.total is None or head.total < 10**18
            b"".join(response.pieces)
