"""Port `Media`: each answer of a real host, redirects, bodies without a length, compression."""

from __future__ import annotations

import gzip
import ssl
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from tests.contract.media_host import ASKING, READING, SIZE, deleted_at, document, lie, read
from tests.contract.scripted import Answer, Asked, Scripted
from tests.contract.sides import RealSide

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from local.azurite import Azurite
    from tests.contract.sides import Side


REFUSALS: dict[str, tuple[dict[str, Any], type[e.MediaError]]] = {
    "401": ({"kind": "401"}, e.MediaUnauthorized),
    "403": ({"kind": "status", "status": 403}, e.MediaUnauthorized),
    "404": ({"kind": "status", "status": 404}, e.MediaNotFound),
    "410": ({"kind": "status", "status": 410}, e.MediaNotFound),
    "400 page": ({"kind": "html400"}, e.MediaBadRequest),
    "408": ({"kind": "status", "status": 408}, e.MediaUnavailable),
    "429": ({"kind": "status", "status": 429}, e.MediaThrottled),
    "500": ({"kind": "status", "status": 500}, e.MediaUnavailable),
    "503": ({"kind": "status", "status": 503}, e.MediaUnavailable),
    "no answer": ({"kind": "drop"}, e.MediaUnavailable),
    "redirect away": ({"kind": "redirect", "url": "https://attacker.example/x"}, e.MediaRedirected),
    "redirect to http": ({"kind": "redirect", "url": "http://us-storage.asm.skype.com/x"}, e.MediaRedirected),
    "redirect nowhere": ({"kind": "status", "status": 302}, e.MediaRedirected),
}


@pytest.mark.parametrize("asking", READING)
@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_of_the_host_has_its_error(real: RealSide, asking: str, name: str) -> None:
    """And each request is asked once: the next try is the queue's to time."""
    fault, kind = REFUSALS[name]
    held = real.media(1000)
    made = real.acs.add_fault(operation="media", document_id=document(held), **fault)
    with pytest.raises(e.MediaError) as caught:
        ASKING[asking](real.ports.media, held.location)
    assert type(caught.value) is kind
    [listed] = [one for one in real.acs.faults.listing() if one["faultId"] == made.fault_id]
    assert listed["struck"] == 1


@pytest.mark.parametrize("name", [name for name in REFUSALS if name not in ("404", "410")])
def test_each_refusal_of_a_deletion_has_its_error(real: RealSide, name: str) -> None:
    fault, kind = REFUSALS[name]
    held = real.media(1000)
    real.acs.add_fault(operation="delete", document_id=document(held), **fault)
    with pytest.raises(e.MediaError) as caught:
        real.ports.media.delete(deleted_at(held.location))
    assert type(caught.value) is kind


def test_what_is_deleted_is_gone(side: Side) -> None:
    held = side.media(1000)
    side.ports.media.delete(deleted_at(held.location))
    with pytest.raises(e.MediaNotFound):
        read(side, held, 0, 10)


def test_the_trace_id_of_a_refusal_is_kept(real: RealSide) -> None:
    """Microsoft's support asks for it."""
    held = real.media(1000)
    real.acs.add_fault(operation="media", document_id=document(held), kind="401")
    with pytest.raises(e.MediaUnauthorized) as caught:
        read(real, held, 0, 10)
    assert caught.value.trace_id is not None
    assert len(caught.value.trace_id) == 36


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_told_in_either_form(real: RealSide, status: int) -> None:
    held = real.media(1000)
    date = format_datetime(real.acs.clock.now() + timedelta(seconds=100), usegmt=True)
    for value in ("17", date, "soon"):
        real.acs.add_fault(
            operation="media", document_id=document(held), kind="status", status=status, retry_after=value
        )
        with pytest.raises(e.MediaError) as caught:
            read(real, held, 0, 10)
        real.acs.clear_faults()
        seconds = caught.value.retry_after.total_seconds() if caught.value.retry_after else None
        if value == "17":
            assert seconds == 17
        elif value == date:
            assert seconds is not None
            assert 80 < seconds <= 100
        else:
            assert seconds is None


@pytest.mark.parametrize("form", ["absolute", "relative"])
@pytest.mark.parametrize("asking", ["open", "read_all"])
def test_a_redirect_to_another_media_host_is_followed(real: RealSide, form: str, asking: str) -> None:
    """Each request signed anew; the range asked for again."""
    held, other = real.media(1000), real.media(2000)
    url = other.location if form == "absolute" else other.location.partition(".com")[2]
    real.acs.add_fault(operation="media", document_id=document(held), kind="redirect", url=url)
    if asking == "open":
        assert read(real, held, 100, 10)[5] == other.data[100:110]
    else:
        assert real.ports.media.read_all(held.location, limit=2000) == other.data


def test_redirects_end(real: RealSide) -> None:
    held = real.media(1000)
    made = real.acs.add_fault(operation="media", document_id=document(held), kind="redirect", url=held.location)
    with pytest.raises(e.MediaRedirected):
        read(real, held, 0, 10)
    [listed] = [one for one in real.acs.faults.listing() if one["faultId"] == made.fault_id]
    assert listed["struck"] == 4


def test_three_redirects_are_followed(real: RealSide) -> None:
    held = real.media(1000)
    real.acs.add_fault(operation="media", document_id=document(held), kind="redirect", url=held.location, count=3)
    assert read(real, held, 100, 10)[5] == held.data[100:110]


def test_a_body_that_breaks_off_leaves_the_connections_usable(real: RealSide) -> None:
    """Twenty times: more than the pool of connections holds."""
    held = real.media(SIZE)
    real.acs.add_fault(operation="media", document_id=document(held), kind="cut", bytes=1000, count=20)
    for _ in range(20):
        with pytest.raises((e.MediaTruncated, e.MediaUnavailable)):
            read(real, held, 0, SIZE)
    assert read(real, held, 0, SIZE)[5] == held.data


def test_a_length_that_is_no_number_is_no_length(azurite: Azurite, acs: AcsEmulator) -> None:
    """A chunked answer: what it holds is known when it ends."""

    def answer(_: Asked) -> Answer:
        return Answer(200, b"4\r\nID3!\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked", "Content-Type": "audio/mpeg"})

    with Scripted(answer, with_length=False) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        with side.ports.media.open("https://us-storage.asm.skype.com/x", start=0, length=4) as got:
            assert (got.content_length, got.content_range, got.etag) == (None, None, None)
            assert b"".join(got.pieces) == b"ID3!"
        side.close()
    [asked] = server.asked
    assert asked.headers["range"] == "bytes=0-3"
    assert asked.headers["host"] == "us-storage.asm.skype.com"
    assert asked.headers["authorization"].startswith("HMAC-SHA256 ")


CHUNKED = {"Transfer-Encoding": "chunked"}
CLOSING = {"Connection": "close"}
ENDS: dict[str, tuple[bytes, dict[str, str], bool]] = {
    "length": (b"ID3!", {"Content-Length": "4"}, True),
    "chunks": (b"4\r\nID3!\r\n0\r\n\r\n", CHUNKED, True),
    "connection": (b"ID3!", CLOSING, False),
}


@pytest.mark.parametrize(("body", "headers", "is_delimited"), ENDS.values(), ids=ENDS)
def test_an_answer_says_whether_its_body_has_an_end_of_its_own(
    azurite: Azurite, acs: AcsEmulator, body: bytes, headers: dict[str, str], is_delimited: object
) -> None:
    """One that ends with its connection may have broken off: nothing tells."""
    with Scripted(lambda _: Answer(200, body, {"Content-Type": "audio/mpeg"} | headers), with_length=False) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        with side.ports.media.open("https://us-storage.asm.skype.com/x", start=0, length=4) as got:
            assert got.is_delimited is is_delimited
            assert b"".join(got.pieces) == b"ID3!"
        side.close()


@pytest.mark.parametrize("body", [b"4\r\nID3!\r\n", b"4\r\nID3!\r\n400\r\nmore"])
def test_a_chunked_body_without_its_last_chunk_broke_off(azurite: Azurite, acs: AcsEmulator, body: bytes) -> None:
    """So its end is a proof that the body is whole."""
    with Scripted(lambda _: Answer(200, body, CHUNKED | CLOSING), with_length=False) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        with (
            side.ports.media.open("https://us-storage.asm.skype.com/x", start=0, length=4) as got,
            pytest.raises((e.MediaUnavailable, e.MediaTruncated)),
        ):
            b"".join(got.pieces)
        side.close()


@pytest.mark.parametrize("name", [None, "whole"])
def test_acs_says_how_long_a_file_is(side: Side, name: str | None) -> None:
    held = side.media(SIZE)
    if name:
        lie(side, held, name)
    assert side.ports.media.total(held.location) == SIZE


def test_a_page_says_nothing_of_a_files_length(side: Side) -> None:
    held = side.media(SIZE)
    lie(side, held, "page")
    with pytest.raises(e.MediaIsAPage):
        side.ports.media.total(held.location)


def test_a_file_that_acs_does_not_have_has_no_length(side: Side) -> None:
    held = side.media(0)
    with pytest.raises(e.MediaWrongRange):
        side.ports.media.total(held.location)
    with pytest.raises(e.MediaNotFound):
        side.ports.media.total(held.location.replace(document(held), "0-eus-d1-unknown"))


@pytest.mark.parametrize("asking", ["open", "read_all"])
def test_a_tls_fault_in_the_middle_of_a_body_is_a_connection_that_broke(
    real: RealSide, asking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What OpenSSL says of a damaged record, where the socket is read."""
    held = real.media(SIZE)

    def damaged(*_: object) -> None:
        raise ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] decryption failed or bad record mac")

    with monkeypatch.context() as patched:
        patched.setattr("shared.adapters.http1.Reader.fill", damaged)
        with pytest.raises(e.MediaUnavailable):
            read(real, held, 0, SIZE) if asking == "open" else real.ports.media.read_all(held.location, limit=SIZE)
    assert read(real, held, 0, SIZE)[5] == held.data


# --- compressed on the way

METADATA = b'{"resourceId": "r", "callId": "c"}' * 50


def compressing(asked: Asked) -> Answer:
    """A host, or a proxy before it, that compresses whatever it may."""
    first, _, last = asked.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
    body = METADATA[int(first) : int(last) + 1 if last else None]
    content_range = {"Content-Range": f"bytes {first}-{int(first) + len(body) - 1}/{len(METADATA)}"} if last else {}
    if "gzip" in asked.headers.get("accept-encoding", ""):
        return Answer(206 if last else 200, gzip.compress(body), {"Content-Encoding": "gzip"} | content_range)
    return Answer(206 if last else 200, body, content_range)


def test_bytes_come_as_they_are_from_a_host_that_compresses_where_it_may(azurite: Azurite, acs: AcsEmulator) -> None:
    """They are read undecoded: compressed ones would be taken for damaged media until the window is over."""
    with Scripted(compressing) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        assert side.ports.media.read_all("https://us-storage.asm.skype.com/x", limit=10_000) == METADATA
        with side.ports.media.open("https://us-storage.asm.skype.com/x", start=5, length=100) as got:
            assert b"".join(got.pieces) == METADATA[5:105]
        side.close()
    assert {asked.headers["accept-encoding"] for asked in server.asked} == {"identity"}


@pytest.mark.parametrize("asking", ["open", "read_all"])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "something"])
def test_what_is_compressed_all_the_same_is_not_taken(
    azurite: Azurite, acs: AcsEmulator, asking: str, coding: str
) -> None:
    def stubborn(_: Asked) -> Answer:
        return Answer(206, gzip.compress(METADATA), {"Content-Encoding": coding, "Content-Type": "audio/mpeg"})

    with Scripted(stubborn) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        with pytest.raises(e.MediaDistrusted, match="encoded") as caught:
            ASKING[asking](side.ports.media, "https://us-storage.asm.skype.com/x")
        side.close()
    assert type(caught.value) is e.MediaDistrusted


@pytest.mark.parametrize("coding", ["identity", " Identity ", ""])
def test_an_encoding_that_changes_nothing_is_taken(azurite: Azurite, acs: AcsEmulator, coding: str) -> None:
    with Scripted(lambda _: Answer(200, METADATA, {"Content-Encoding": coding})) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        assert side.ports.media.read_all("https://us-storage.asm.skype.com/x", limit=10_000) == METADATA
        side.close()
