"""Port `Container`: blocks, the one commit, reading, and what is missing."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobServiceClient

from shared.adapters.blob import BlobContainer
from shared.domain.errors import (
    Blame,
    BlobExists,
    BlobMissing,
    BlocksMissing,
    ContainerMissing,
    StorageError,
)
from shared.ports import Block
from shared.transfer import ranges
from tests.contract.scripted import Answer, Asked, Detoured, Identity, Scripted
from tests.contract.sides import container
from tests.contract.test_copies import copied
from tests.local.host.support import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Container
    from tests.contract.sides import RealSide, Side

MIB = 1024 * 1024
HOUR = timedelta(hours=1)
NAMES = ["0-audiomp3.mp3", "team a/20261122/x#y?z=1&w%41/ä+ß 'q'.mp3", "=leading/dots...x", "a" * 900]


def blocks_of(*parts: bytes) -> list[tuple[Block, bytes]]:
    """The parts as blocks with the product's own ids."""
    start, found = 0, []
    for part in parts:
        found.append((Block(ranges.block_id(start, part, tag="0" * 10), len(part)), part))
        start += len(part)
    return found


def write(place: Container, name: str, *parts: bytes, sha256: str | None = None) -> list[Block]:
    """A blob of blocks."""
    blocks = blocks_of(*parts)
    for block, part in blocks:
        place.stage(name, block.id, part)
    made = [block for block, _ in blocks]
    place.commit(name, made, sha256=sha256, content_type="audio/mpeg")
    return made


@pytest.mark.parametrize("name", NAMES)
def test_staged_blocks_become_a_blob_by_one_commit(side: Side, name: str) -> None:
    """What is staged is nobody's blob; the commit makes it whole, and says what it made."""
    place = container(side)
    blocks = blocks_of(b"a" * 1000, b"b" * 1000, b"c" * 10)
    for block, part in blocks:
        place.stage(name, block.id, part)
    assert place.stat(name) is None
    assert place.glance(name) is None
    assert place.find("") == []
    assert sorted(place.staged(name), key=lambda block: block.id) == [block for block, _ in blocks]
    made = place.commit(name, [block for block, _ in blocks], sha256="5" * 64, content_type="audio/mpeg")
    assert made == place.stat(name)
    assert (made.name, made.size, made.sha256) == (name, 2010, "5" * 64)
    assert place.committed(name) == [block for block, _ in blocks]
    assert place.staged(name) == []
    assert place.read(name) == b"a" * 1000 + b"b" * 1000 + b"c" * 10


def test_blocks_staged_out_of_order_are_committed_in_the_order_given(side: Side) -> None:
    place = container(side)
    blocks = blocks_of(b"one", b"two", b"three")
    for block, part in reversed(blocks):
        place.stage("x", block.id, part)
    place.commit("x", [block for block, _ in blocks], sha256=None, content_type="audio/mpeg")
    assert place.read("x") == b"onetwothree"


def test_a_block_staged_again_replaces_itself(side: Side) -> None:
    place = container(side)
    [(block, part)] = blocks_of(b"right")
    place.stage("x", block.id, b"wrong!")
    place.stage("x", block.id, part)
    assert place.staged("x") == [block]
    place.commit("x", [block], sha256=None, content_type="audio/mpeg")
    assert place.read("x") == b"right"


def test_a_second_commit_changes_nothing(side: Side) -> None:
    """Two workers on one chunk: one commit wins, the other sees it done."""
    place = container(side)
    write(place, "x", b"first")
    with pytest.raises(BlobExists) as caught:
        write(place, "x", b"other")
    assert caught.value.blame is Blame.DESTINATION
    assert place.read("x") == b"first"


def test_blocks_are_gone_after_the_commit_that_left_them_out(side: Side) -> None:
    place = container(side)
    for block, part in (kept := blocks_of(b"kept", b"left out")):
        place.stage("x", block.id, part)
    place.commit("x", [kept[0][0]], sha256=None, content_type="audio/mpeg")
    assert place.staged("x") == []
    assert place.read("x") == b"kept"


def test_a_block_that_was_never_staged_cannot_be_committed(side: Side) -> None:
    place = container(side)
    first, second = blocks_of(b"here", b"not here")
    place.stage("x", first[0].id, first[1])
    with pytest.raises(BlocksMissing):
        place.commit("x", [first[0], second[0]], sha256=None, content_type="audio/mpeg")
    assert place.stat("x") is None
    assert place.staged("x") == [first[0]]


def test_nothing_staged_is_an_empty_list(side: Side) -> None:
    """Also beside a blob that was written in one go."""
    place = container(side)
    assert place.staged("x") == []
    place.put("x", b"small", content_type="text/plain", overwrite=False)
    assert place.staged("x") == []


def test_a_small_blob_is_written_once_unless_told_to_overwrite(side: Side) -> None:
    place = container(side)
    first = place.put("x", b"one", content_type="application/json", overwrite=False, sha256="1" * 64)
    assert first == place.stat("x")
    assert place.glance("x") == (first, b"one")
    assert (first.size, first.sha256) == (3, "1" * 64)
    with pytest.raises(BlobExists):
        place.put("x", b"two", content_type="application/json", overwrite=False)
    assert place.read("x") == b"one"
    place.put("x", b"three", content_type="application/json", overwrite=True)
    second = place.stat("x")
    assert second is not None
    assert (second.size, second.sha256) == (5, None)
    assert second.etag != first.etag


def test_an_empty_blob_can_be_written_and_read(side: Side) -> None:
    """An export of no bytes is looked at like any other."""
    place = container(side)
    place.put("x", b"", content_type="audio/mpeg", overwrite=False)
    facts = place.stat("x")
    assert facts is not None
    assert facts.size == 0
    assert place.glance("x") == (facts, b"")
    assert place.read("x") == b""
    assert place.read("x", length=1000) == b""


def test_a_checksum_can_be_noted_later(side: Side) -> None:
    place = container(side)
    place.put("x", b"data", content_type="audio/mpeg", overwrite=False)
    before = place.stat("x")
    place.note_sha256("x", "a" * 64)
    after = place.stat("x")
    assert before is not None
    assert after is not None
    assert (before.sha256, after.sha256, after.size) == (None, "a" * 64, 4)
    assert place.read("x") == b"data"


def test_find_tells_committed_blobs_below_a_prefix_by_name(side: Side) -> None:
    place = container(side)
    for name in ("b/2", "a/1", "b/1", "b", "c/1"):
        place.put(name, name.encode(), content_type="text/plain", overwrite=False, sha256=name[0] * 64)
    place.stage("b/staged", *_one_block())
    assert [facts.name for facts in place.find("b/")] == ["b/1", "b/2"]
    assert [facts.name for facts in place.find("")] == ["a/1", "b", "b/1", "b/2", "c/1"]
    assert place.find("d") == []
    assert place.find("b/")[0] == place.stat("b/1")


def test_find_says_where_it_goes_on(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one answer does not tell of is there all the same: nobody may take it for missing."""
    monkeypatch.setattr("shared.adapters.blob._FIND_LIMIT", 2)
    monkeypatch.setattr("tests.support.fakes.storage.FakeContainer.find_limit", 2)
    place = container(side)
    for name in ("a/1", "a/2", "a/3", "a/4", "b"):
        place.put(name, b"", content_type="text/plain", overwrite=False)
    first = place.find("a/")
    assert [facts.name for facts in first] == ["a/1", "a/2"]
    assert first.cursor is not None
    second = place.find("a/", cursor=first.cursor)
    assert [facts.name for facts in second] == ["a/3", "a/4"]
    # A cursor may turn out to lead to nothing more.
    assert second.cursor is None or (place.find("a/", cursor=second.cursor), None) == ([], None)
    assert place.find("b").cursor is None
    assert place.find("c") == []
    assert place.find("c").cursor is None


def _one_block() -> tuple[str, bytes]:
    [(block, part)] = blocks_of(b"staged")
    return block.id, part


@pytest.mark.parametrize(("start", "length", "expected"), [(0, 4, b"0123"), (6, 4, b"6789"), (8, 100, b"89")])
def test_a_range_of_a_blob_can_be_read(side: Side, start: int, length: int, expected: bytes) -> None:
    place = container(side)
    place.put("x", b"0123456789", content_type="text/plain", overwrite=False)
    assert place.read("x", start=start, length=length) == expected
    assert place.read("x", start=start) == b"0123456789"[start:]


def test_a_range_behind_the_end_is_empty(side: Side) -> None:
    place = container(side)
    place.put("x", b"0123", content_type="text/plain", overwrite=False)
    assert place.read("x", start=4, length=10) == b""


def test_a_large_blob_comes_in_pieces(side: Side) -> None:
    place = container(side)
    data = hashlib.sha256(b"seed").digest() * (9 * MIB // 32)
    write(place, "x", data[: 5 * MIB], data[5 * MIB :])
    pieces = list(place.pieces("x"))
    assert b"".join(pieces) == data
    assert len(pieces) > 1
    assert max(len(piece) for piece in pieces) <= 8 * MIB
    facts, head = place.glance("x") or (None, b"")
    assert facts == place.stat("x")
    assert data.startswith(head)
    assert 65_536 <= len(head) < len(data)


def test_a_deleted_blob_is_gone_and_can_be_deleted_again(side: Side) -> None:
    place = container(side)
    place.put("x", b"data", content_type="text/plain", overwrite=False)
    place.delete("x")
    place.delete("x")
    assert place.stat("x") is None
    write(place, "x", b"again")
    assert place.read("x") == b"again"


def test_a_probe_leaves_nothing_that_anybody_sees(side: Side) -> None:
    place = container(side)
    place.probe()
    place.probe()
    assert place.find("") == []


MISSING: dict[str, Callable[[Container], object]] = {
    "read": lambda place: place.read("x"),
    "read a range": lambda place: place.read("x", start=1, length=1),
    "pieces": lambda place: list(place.pieces("x")),
    "note_sha256": lambda place: place.note_sha256("x", "a" * 64),
}
ALL: dict[str, Callable[[Container], object]] = MISSING | {
    "committed": lambda place: place.committed("x"),
    "stat": lambda place: place.stat("x"),
    "glance": lambda place: place.glance("x"),
    "find": lambda place: place.find(""),
    "staged": lambda place: place.staged("x"),
    "stage": lambda place: place.stage("x", *_one_block()),
    "commit": lambda place: place.commit("x", [Block("0" * 33, 1)], sha256=None, content_type="audio/mpeg"),
    "put": lambda place: place.put("x", b"data", content_type="text/plain", overwrite=False),
    "overwrite": lambda place: place.put("x", b"data", content_type="text/plain", overwrite=True),
    "delete": lambda place: place.delete("x"),
    "probe": lambda place: place.probe(),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_blob_that_is_missing_is_told(side: Side, name: str) -> None:
    """Also where blocks are staged and nothing is committed."""
    place = container(side)
    with pytest.raises(BlobMissing):
        MISSING[name](place)
    place.stage("x", *_one_block())
    with pytest.raises(BlobMissing) as caught:
        MISSING[name](place)
    assert caught.value.blame is Blame.DESTINATION


def test_a_blob_that_is_not_made_has_no_blocks(side: Side) -> None:
    place = container(side)
    with pytest.raises(BlobMissing):
        place.committed("x")
    place.stage("x", *_one_block())
    assert place.committed("x") == []


@pytest.mark.parametrize("name", ALL)
def test_a_container_that_is_missing_is_told(side: Side, name: str) -> None:
    """Whether it never was or was deleted under our hands; it is the customer's to mend."""
    never = side.ports.containers.destination(side.missing)
    with pytest.raises(ContainerMissing) as caught:
        ALL[name](never)
    assert caught.value.blame is Blame.DESTINATION
    place = container(side)
    place.put("x", b"data", content_type="text/plain", overwrite=False)
    side.drop(side.place)
    with pytest.raises(ContainerMissing):
        ALL[name](place)


# --- what only a server shows


def test_a_reading_url_opens_one_blob_and_no_other(real: RealSide) -> None:
    """By the account's key: a signature for reading this blob alone."""
    place = container(real)
    for name in ("a b/ü#1.mp3", "other"):
        place.put(name, name.encode(), content_type="text/plain", overwrite=False)
    assert isinstance(place, BlobContainer)
    url = urlsplit(place.read_url("a b/ü#1.mp3"))
    other = urlsplit(place.read_url("other"))._replace(query=url.query)
    assert "sig=" in url.query
    answers = [call(f"http://{one.netloc}", f"{one.path}?{one.query}") for one in (url, other)]
    assert [answer.status for answer in answers] == [200, 403]
    assert answers[0].body == "a b/ü#1.mp3".encode()


def test_a_blob_of_another_kind_is_left_as_it_stands(real: RealSide) -> None:
    """An append blob under the recording's name."""
    place = container(real)
    blob = real.blobs.get_blob_client(real.place.container, "x")
    blob.create_append_blob()
    blob.append_block(b"log")
    with pytest.raises(StorageError):
        write(place, "x", b"data")
    assert place.read("x") == b"log"


def test_blobs_say_what_they_are(real: RealSide) -> None:
    """The content type goes with a blob however it was written, and with its copy."""
    place, fallback = container(real), real.ports.containers.fallback()
    place.put("put.json", b"{}", content_type="application/json", overwrite=False)
    write(place, "blocks.mp3", b"ID3")
    for name, size in (("small.mp3", 100), ("large.mp3", 250_000)):
        facts = fallback.put(name, bytes(size), content_type="audio/mpeg", overwrite=False)
        copied(fallback, facts, place, name)
    found = {
        blob.name: blob.content_settings.content_type
        for blob in real.blobs.get_container_client(real.place.container).list_blobs()
    }
    assert found.pop("put.json") == "application/json"
    assert set(found.values()) == {"audio/mpeg"}


BLOB = (
    "<Blob><Name>20261122/a</Name><Properties><Etag>0x1</Etag><Content-Length>3</Content-Length>"
    "<BlobType>BlockBlob</BlobType></Properties><Metadata><sha256>ab</sha256></Metadata></Blob>"
)
LISTED = ("<Blobs /><NextMarker>2</NextMarker>", f"<Blobs>{BLOB}</Blobs><NextMarker />")


def test_an_empty_answer_of_the_service_is_not_the_end() -> None:
    """It may answer with fewer blobs than it was asked for, or none, and a place to go on."""
    empty, full = (f'<?xml version="1.0"?><EnumerationResults>{part}</EnumerationResults>' for part in LISTED)

    def listing(asked: Asked) -> Answer:
        body = full if "marker=2" in asked.target else empty
        return Answer(200, body.encode(), {"Content-Type": "application/xml"})

    with Scripted(listing) as server:
        service = BlobServiceClient(
            "https://customer.blob.core.windows.net", credential=Identity(), transport=Detoured(server.origin)
        )
        place = BlobContainer(service, "recordings", blame=Blame.DESTINATION, creates=False)
        found = place.find("2026")
    assert [(facts.name, facts.size, facts.sha256) for facts in found] == [("20261122/a", 3, "ab")]
    assert found.cursor is None
