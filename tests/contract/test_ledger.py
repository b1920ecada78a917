"""Port `Ledger`: documents by ETag, markers in order, notes and kept events; its containers are made when missing."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.domain import naming
from shared.domain.errors import Blame, BlobExists, PreconditionFailed, StorageCorrupted, StorageError
from shared.domain.recording import Chunk, ChunkState, LastError, Manifest, Recording
from tests.contract.sides import FakeSide, RealSide
from tests.support.fakes import NOON

if TYPE_CHECKING:
    from tests.contract.sides import Side

KEY = "0123456789abcdef" * 2


def recording(key: str = KEY) -> Recording:
    """One with every kind of field filled."""
    error = LastError("media_throttled", Blame.ACS, "slow down", NOON, "trace")
    chunk = Chunk("f" * 16, "0-eus-ü", 0, ChunkState.PENDING, size=2**40, last_error=error, next_try_at=NOON)
    return Recording(
        key=key,
        container_url="https://customer.blob.core.windows.net/recordings",
        created_at=NOON,
        deadline=NOON + timedelta(hours=24),
        duration=timedelta(milliseconds=1234),
        events=("one", "two"),
        chunks=(chunk,),
        manifest=Manifest("written", 1, NOON, "a/manifest.json"),
    )


def test_what_is_saved_is_loaded(side: Side) -> None:
    """As it was, with the ETag that saving gave."""
    ledger = side.ports.ledger
    assert ledger.load(KEY) is None
    etag = ledger.save(recording(), etag=None)
    assert ledger.load(KEY) == (recording(), etag)
    assert ledger.load("0" * 32) is None


def test_a_change_needs_the_newest_etag(side: Side) -> None:
    ledger = side.ports.ledger
    first = ledger.save(recording(), etag=None)
    second = ledger.save(recording().with_note("one"), etag=first)
    assert second != first
    with pytest.raises(PreconditionFailed):
        ledger.save(recording().with_note("stale"), etag=first)
    assert ledger.load(KEY) == (recording().with_note("one"), second)


def test_a_new_recording_is_new_once(side: Side) -> None:
    ledger = side.ports.ledger
    etag = ledger.save(recording(), etag=None)
    with pytest.raises(PreconditionFailed):
        ledger.save(recording().with_note("second"), etag=None)
    assert ledger.load(KEY) == (recording(), etag)


def test_a_change_to_what_is_not_there_is_refused(side: Side) -> None:
    ledger = side.ports.ledger
    etag = ledger.save(recording(), etag=None)
    with pytest.raises(PreconditionFailed):
        ledger.save(recording("9" * 32), etag=etag)
    assert ledger.load("9" * 32) is None


def test_markers_come_by_deadline_page_by_page(side: Side) -> None:
    """Nearest deadline first, none twice, none left out; the last page has no cursor."""
    ledger = side.ports.ledger
    names = [naming.marker(deadline=NOON + timedelta(minutes=n), key=f"{9 - n:032x}") for n in range(7)]
    for name in reversed(names):
        ledger.put_marker(name)
    first, cursor = ledger.markers(limit=3)
    second, cursor = ledger.markers(limit=3, cursor=cursor)
    third, cursor = ledger.markers(limit=3, cursor=cursor)
    assert (first, second, third, cursor) == (names[:3], names[3:6], names[6:], None)


def test_markers_are_put_and_deleted_as_often_as_one_likes(side: Side) -> None:
    """Also before there is any container."""
    ledger = side.ports.ledger
    name = naming.marker(deadline=NOON, key=KEY)
    ledger.delete_marker(name)
    ledger.put_marker(name)
    ledger.put_marker(name)
    assert ledger.markers(limit=10) == ([name], None)
    ledger.delete_marker(name)
    ledger.delete_marker(name)
    assert ledger.markers(limit=10) == ([], None)


def test_an_empty_ledger_has_no_markers(side: Side) -> None:
    """Nor has one with documents and notes only."""
    ledger = side.ports.ledger
    assert ledger.markers(limit=10) == ([], None)
    ledger.save(recording(), etag=None)
    ledger.put_note("calls/one.json", b"{}")
    assert ledger.markers(limit=10) == ([], None)


def test_a_note_is_kept_and_written_over(side: Side) -> None:
    ledger = side.ports.ledger
    assert ledger.get_note("starts/one.json") is None
    ledger.put_note("starts/one.json", b"1")
    ledger.put_note("starts/one.json", b"2")
    assert ledger.get_note("starts/one.json") == b"2"
    assert ledger.get_note("starts/two.json") is None


def test_a_note_that_is_to_be_new_is_written_once(side: Side) -> None:
    """How one of two starts with the same Idempotency-Key learns that it is the second."""
    ledger = side.ports.ledger
    ledger.put_note("starts/one.json", b"first", is_new_only=True)
    with pytest.raises(BlobExists):
        ledger.put_note("starts/one.json", b"second", is_new_only=True)
    assert ledger.get_note("starts/one.json") == b"first"


def test_an_event_that_could_not_be_used_is_kept_as_it_came(side: Side) -> None:
    """The same name again changes nothing that matters: it is the same event."""
    side.ports.ledger.keep_rejected("20261122/a.json", b'{"odd": "\xff"}')
    side.ports.ledger.keep_rejected("20261122/a.json", b'{"odd": "\xff"}')
    side.ports.ledger.keep_rejected("20261122/b.json", b"{}")
    assert sorted(side.rejected()) == [b'{"odd": "\xff"}', b"{}"]


def damage(side: Side, data: bytes) -> None:
    """Somebody's hand in the ledger."""
    if isinstance(side, FakeSide):
        side.world.ledger.documents[KEY] = (data, '"0"')
    elif isinstance(side, RealSide):
        blob = side.blobs.get_blob_client(side.settings.ledger_container, f"recordings/{KEY}.json")
        blob.upload_blob(data, overwrite=True)


@pytest.mark.parametrize("data", [b"not json", b"[]", b'{"key": 1}', b"\xff\xfe"])
def test_a_document_that_cannot_be_read_is_told(side: Side, data: bytes) -> None:
    """As corrupted: it must not look like a recording that is not known."""
    side.ports.ledger.save(recording(), etag=None)
    damage(side, data)
    with pytest.raises(StorageCorrupted) as caught:
        side.ports.ledger.load(KEY)
    assert caught.value.blame is Blame.APP


# --- what only a server shows


def test_of_many_writers_at_once_one_wins_each_round(real: RealSide) -> None:
    """Six threads that add a note by load, change, save: none is lost."""
    ledger = real.ports.ledger
    ledger.save(recording(), etag=None)

    def note(number: int) -> None:
        for _ in range(100):
            found = ledger.load(KEY)
            try:
                if found is not None:
                    ledger.save(found[0].with_note(f"n{number}"), etag=found[1])
            except PreconditionFailed:
                continue
            return

    _at_once(note)
    found = ledger.load(KEY)
    assert found is not None
    assert sorted(found[0].notes) == [f"n{number}" for number in range(6)]


def test_the_first_writers_make_the_container_together(real: RealSide) -> None:
    """Whoever comes second finds it made; nobody's write is lost."""
    ledger = real.ports.ledger
    failures: list[StorageError] = []

    def write(number: int) -> None:
        try:
            ledger.put_note(f"calls/{number}", b"x")
        except StorageError as error:
            failures.append(error)

    _at_once(write)
    assert failures == []
    assert all(ledger.get_note(f"calls/{number}") == b"x" for number in range(6))


def _at_once(work: object) -> None:
    """Six threads, with their numbers."""
    assert callable(work)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_documents_are_plain_json_for_people_to_read(real: RealSide) -> None:
    real.ports.ledger.save(recording(), etag=None)
    blob = real.blobs.get_blob_client(real.settings.ledger_container, f"recordings/{KEY}.json")
    assert blob.get_blob_properties().content_settings.content_type == "application/json"
    assert blob.download_blob().readall().startswith(b'{"key":"0123')
