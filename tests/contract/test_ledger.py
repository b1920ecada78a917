"""Port `Ledger`: documents by ETag, open or closed, indexes, notes, kept events; containers are made when missing."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import Blame, BlobExists, PreconditionFailed, StorageCorrupted, StorageError
from shared.domain.facets import facets
from shared.domain.journal import Entry, PendingAlert
from shared.domain.recording import Chunk, ChunkState, Lease, Manifest, Problem, Recording, Source, Step
from shared.ports import IndexEntry, OpenEntry, Version
from tests.contract.sides import FakeSide, RealSide
from tests.support.fakes import NOON

if TYPE_CHECKING:
    from tests.contract.sides import Side

KEY = "0123456789abcdef" * 2


ENTRY = OpenEntry(KEY, NOON, NOON + timedelta(hours=24), "saving")


def recording(key: str = KEY, **changes: object) -> Recording:
    """One with every kind of field filled."""
    error = Problem("media_throttled", Blame.ACS, "slow down", NOON, "trace")
    chunk = Chunk(
        "f" * 16,
        "0-eus-ü",
        0,
        ChunkState.PENDING,
        at_risk_from=NOON + timedelta(hours=24),
        abandon_after=NOON + timedelta(hours=25),
        reported_at=NOON,
        sources=(Source("https://a.asm.skype.com/v1/objects/0/content/video", NOON),),
        size=2**40,
        last_error=error,
        lease=Lease(Step.FETCH, "message", NOON),
        next_attempt_at=NOON,
    )
    plain = Recording(
        key=key,
        container_url="https://customer.blob.core.windows.net/recordings",
        created_at=NOON,
        duration=timedelta(milliseconds=1234),
        events=("one", "two"),
        timeline=(Entry("reported", NOON, "acs"),),
        outbox=(PendingAlert(1, "lost", "error", NOON),),
        chunks=(chunk,),
        manifest=Manifest("written", "a/manifest.json"),
        revision=1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # any field


def entry(key: str, due: datetime | None = NOON) -> OpenEntry:
    return replace(ENTRY, key=key, due=due)


def test_what_is_written_is_loaded(side: Side) -> None:
    """As it was, with the ETag that writing gave."""
    ledger = side.ports.ledger
    assert ledger.load(KEY) is None
    etag = ledger.create(recording(), entry=ENTRY)
    assert ledger.load(KEY) == Version(recording(), etag)
    assert ledger.load("0" * 32) is None


def test_a_change_needs_the_newest_etag(side: Side) -> None:
    ledger = side.ports.ledger
    first = ledger.create(recording(), entry=ENTRY)
    second = ledger.save(recording(revision=2), etag=first, entry=ENTRY)
    assert second != first
    with pytest.raises(PreconditionFailed):
        ledger.save(recording(revision=9), etag=first, entry=ENTRY)
    assert ledger.load(KEY) == Version(recording(revision=2), second)


def test_a_recording_is_new_once(side: Side) -> None:
    ledger = side.ports.ledger
    etag = ledger.create(recording(), entry=ENTRY)
    with pytest.raises(PreconditionFailed):
        ledger.create(recording(revision=2), entry=ENTRY)
    assert ledger.load(KEY) == Version(recording(), etag)


def test_a_change_to_what_is_not_there_is_refused(side: Side) -> None:
    ledger = side.ports.ledger
    etag = ledger.create(recording(), entry=ENTRY)
    with pytest.raises(PreconditionFailed):
        ledger.save(recording("9" * 32), etag=etag, entry=entry("9" * 32))
    assert ledger.load("9" * 32) is None


def test_what_is_archived_is_closed_and_loaded_from_there(side: Side) -> None:
    ledger = side.ports.ledger
    etag = ledger.create(recording(), entry=ENTRY)
    closed = recording(revision=2, closed_at=NOON)
    written = ledger.archive(closed, etag=etag)
    assert ledger.load(KEY) == Version(closed, written, is_open=False)
    assert ledger.open_entries() == ([], None)


def test_an_archive_of_a_document_that_has_changed_is_refused(side: Side) -> None:
    """The open document is what counts, whatever the closed copy says meanwhile."""
    ledger = side.ports.ledger
    first = ledger.create(recording(), entry=ENTRY)
    second = ledger.save(recording(revision=2), etag=first, entry=ENTRY)
    with pytest.raises(PreconditionFailed):
        ledger.archive(recording(revision=2, closed_at=NOON), etag=first)
    assert ledger.load(KEY) == Version(recording(revision=2), second)


def test_a_closed_copy_is_not_written_beside_a_document_that_was_opened_meanwhile(side: Side) -> None:
    """Else what it has would be gone when that one closes: its writer has to write into the open one."""
    ledger = side.ports.ledger
    closed = ledger.archive(recording(revision=5, closed_at=NOON), etag=None)
    ledger.create(recording(revision=6), entry=ENTRY, closed=closed)
    with pytest.raises(PreconditionFailed):
        ledger.archive(recording(revision=6, closed_at=NOON), etag=None, closed=closed)


def test_of_two_that_write_one_closed_copy_the_second_reads_the_first(side: Side) -> None:
    """However many facts the second has: one commit can raise the revision by more than one."""
    ledger = side.ports.ledger
    read = ledger.archive(recording(revision=5, closed_at=NOON), etag=None)
    first = recording(revision=6, closed_at=NOON)
    written = ledger.archive(first, etag=None, closed=read)
    with pytest.raises(PreconditionFailed):
        ledger.archive(recording(revision=7, closed_at=NOON), etag=None, closed=read)
    assert ledger.load(KEY) == Version(first, written, is_open=False)


def test_an_archiver_that_was_stalled_brings_no_old_state_back(side: Side) -> None:
    ledger = side.ports.ledger
    newer = recording(revision=5, closed_at=NOON)
    closed = ledger.archive(newer, etag=None)
    for revision in (4, 5, 6):
        with pytest.raises(PreconditionFailed):
            ledger.archive(recording(revision=revision, closed_at=NOON), etag=None)
    found = ledger.load(KEY)
    assert found is not None
    assert found.recording == newer
    ledger.archive(recording(revision=6, closed_at=NOON), etag=None, closed=closed)
    assert ledger.load(KEY).recording.revision == 6  # type: ignore[union-attr]  # it is there


def test_one_that_is_opened_again_is_open_before_it_is_closed(side: Side) -> None:
    ledger = side.ports.ledger
    closed = ledger.archive(recording(revision=5, closed_at=NOON), etag=None)
    etag = ledger.create(recording(revision=6), entry=ENTRY, closed=closed)
    assert ledger.load(KEY) == Version(recording(revision=6), etag)


def test_a_new_one_is_refused_that_was_opened_and_closed_meanwhile(side: Side) -> None:
    """A writer that was stalled since it found nothing would begin a second record of it, which wins over the first."""
    ledger = side.ports.ledger
    closed = recording(revision=2, closed_at=NOON)
    written = ledger.archive(closed, etag=ledger.create(recording(), entry=ENTRY))
    with pytest.raises(PreconditionFailed):
        ledger.create(recording(), entry=ENTRY)
    assert ledger.load(KEY) == Version(closed, written, is_open=False)
    assert ledger.open_entries() == ([], None)


def test_one_is_opened_again_only_as_it_was_closed_last(side: Side) -> None:
    """Who was stalled since it read the closed copy writes over nothing that happened meanwhile."""
    ledger = side.ports.ledger
    first = ledger.archive(recording(revision=5, closed_at=NOON), etag=None)
    etag = ledger.create(recording(revision=6), entry=ENTRY, closed=first)
    closed = recording(revision=7, closed_at=NOON)
    second = ledger.archive(closed, etag=etag)
    with pytest.raises(PreconditionFailed):
        ledger.create(recording(revision=6), entry=ENTRY, closed=first)
    assert ledger.load(KEY) == Version(closed, second, is_open=False)
    assert ledger.open_entries() == ([], None)


def test_open_documents_are_listed_with_what_they_owe(side: Side) -> None:
    """Due time, risk and state come with the listing, from the same write as the document."""
    ledger = side.ports.ledger
    assert ledger.open_entries() == ([], None)
    etag = ledger.create(recording(), entry=ENTRY)
    nothing = OpenEntry("9" * 32, None, None, "started")
    ledger.create(recording("9" * 32), entry=nothing)
    assert ledger.open_entries() == ([ENTRY, nothing], None)
    later = entry(KEY, NOON + timedelta(hours=1))
    ledger.save(recording(), etag=etag, entry=later)
    assert ledger.open_entries() == ([later, nothing], None)


def test_what_never_came_to_be_is_removed_unless_it_changed(side: Side) -> None:
    ledger = side.ports.ledger
    first = ledger.create(recording(), entry=ENTRY)
    second = ledger.save(recording(revision=2), etag=first, entry=ENTRY)
    with pytest.raises(PreconditionFailed):
        ledger.remove(KEY, etag=first)
    ledger.remove(KEY, etag=second)
    ledger.remove(KEY, etag=second)
    assert ledger.load(KEY) is None


def test_index_entries_are_put_listed_and_deleted(side: Side) -> None:
    """By prefix and name; written again they are replaced."""
    ledger = side.ports.ledger
    assert ledger.entries("ids/") == ([], None)
    ledger.put_entry("ids/b/2", {"role": "started"})
    ledger.put_entry("ids/b/1", {"role": "old"})
    ledger.put_entry("ids/b/1", {"role": "reported"})
    ledger.put_entry("ids/c/1", {})
    expected = [IndexEntry("ids/b/1", {"role": "reported"}), IndexEntry("ids/b/2", {"role": "started"})]
    assert ledger.entries("ids/b/") == (expected, None)
    ledger.delete_entry("ids/b/1")
    ledger.delete_entry("ids/b/1")
    assert ledger.entries("ids/b/") == (expected[1:], None)
    assert ledger.open_entries() == ([], None)


def test_entries_are_listed_in_pages_of_a_size(side: Side) -> None:
    """In the order of their names, each once; the cursor of the last page is None."""
    ledger = side.ports.ledger
    names = [f"finished/{state}/{number:04}" for state in ("complete", "lost") for number in range(7)]
    for name in reversed(names):
        ledger.put_entry(name, {"n": name[-4:]})
    found, cursor = ledger.entries("finished/complete/", limit=3)
    pages = [found]
    while cursor is not None:
        found, cursor = ledger.entries("finished/complete/", cursor=cursor, limit=3)
        pages.append(found)
    assert [[one.name for one in page] for page in pages] == [names[0:3], names[3:6], names[6:7]]
    assert [one.metadata for one in pages[1]] == [{"n": "0003"}, {"n": "0004"}, {"n": "0005"}]
    assert len(ledger.entries("finished/")[0]) == 14
    assert ledger.entries("finished/no_event/", limit=3) == ([], None)


def test_folders_are_listed_without_what_is_in_them(side: Side) -> None:
    ledger = side.ports.ledger
    assert ledger.folders("finished/lost/") == []
    for name in ("a/01/x", "a/01/y", "a/02/x", "b/01/x", "b0/01/x"):
        ledger.put_entry(f"finished/lost/{name}", {})
    ledger.put_entry("finished/losta/z/01/x", {})
    assert ledger.folders("finished/lost/") == ["a", "b", "b0"]
    assert ledger.folders("finished/lost/a/") == ["01", "02"]
    assert ledger.folders("finished/lost/c/") == []


def test_what_lists_filter_by_comes_with_an_open_document(side: Side) -> None:
    """From the same write; a container or an id in any spelling comes back as it was."""
    ledger = side.ports.ledger
    known = facets(recording(container_url="https://a.blob.core.windows.net/c/%C3%BC%20b", call_id="ü\r\nx: y"))
    given = replace(ENTRY, facets=known)
    ledger.create(recording(), entry=given)
    assert ledger.open_entries() == ([given], None)


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
    """A person's hand in the ledger."""
    if isinstance(side, FakeSide):
        side.world.ledger.open[KEY] = (data, '"0"', ENTRY)
    elif isinstance(side, RealSide):
        blob = side.blobs.get_blob_client(side.settings.ledger_container, f"open/{KEY}.json")
        blob.upload_blob(data, overwrite=True)


@pytest.mark.parametrize("data", [b"not json", b"[]", b'{"key": 1}', b"\xff\xfe"])
def test_a_document_that_cannot_be_read_is_reported_and_quarantined(side: Side, data: bytes) -> None:
    """As corrupted: it does not look like a recording that is not known, nor come back with every sweep."""
    ledger = side.ports.ledger
    ledger.create(recording(), entry=ENTRY)
    damage(side, data)
    with pytest.raises(StorageCorrupted) as caught:
        ledger.load(KEY)
    assert caught.value.blame is Blame.APP
    ledger.quarantine(KEY)
    assert ledger.load(KEY) is None
    assert ledger.open_entries() == ([], None)


def test_a_document_that_can_be_read_is_not_quarantined(side: Side) -> None:
    ledger = side.ports.ledger
    etag = ledger.create(recording(), entry=ENTRY)
    ledger.quarantine(KEY)
    assert ledger.load(KEY) == Version(recording(), etag)


def test_a_probe_writes_reads_and_says_the_storages_time(side: Side) -> None:
    for _ in range(2):
        assert side.ports.ledger.probe().utcoffset() == timedelta(0)
    assert side.ports.ledger.open_entries() == ([], None)


def test_what_was_rejected_is_found_by_its_folder(side: Side) -> None:
    ledger = side.ports.ledger
    assert ledger.rejected_folders() == []
    assert ledger.rejected_in("20261122") == []
    assert ledger.get_rejected("20261122/a.json") is None
    for name in ("20261122/a.json", "20261122/b.json", "20261121/a.json", "poison/c.json"):
        ledger.keep_rejected(name, name.encode())
    assert sorted(ledger.rejected_folders()) == ["20261121", "20261122", "poison"]
    assert sorted(one.name for one in ledger.rejected_in("20261122")) == ["20261122/a.json", "20261122/b.json"]
    assert all(one.at.tzinfo is not None for one in ledger.rejected_in("20261122"))
    ledger.keep_rejected("20261122/a.json", b"again")
    assert ledger.get_rejected("20261122/a.json") == b"again"


# --- what only a server shows


def test_of_many_writers_at_once_one_wins_each_round(real: RealSide) -> None:
    """Six threads that add an event by load, change, save: none is lost."""
    ledger = real.ports.ledger
    ledger.create(recording(events=()), entry=ENTRY)

    def note(number: int) -> None:
        for _ in range(100):
            found = ledger.load(KEY)
            assert found is not None
            changed = replace(found.recording, events=(*found.recording.events, f"n{number}"))
            try:
                ledger.save(changed, etag=found.etag, entry=ENTRY)
            except PreconditionFailed:
                continue
            return

    _at_once(note)
    found = ledger.load(KEY)
    assert found is not None
    assert sorted(found.recording.events) == [f"n{number}" for number in range(6)]


def test_the_first_writers_make_the_container_together(real: RealSide) -> None:
    """The second creator finds it made; no write is lost."""
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
    real.ports.ledger.create(recording(), entry=ENTRY)
    blob = real.blobs.get_blob_client(real.settings.ledger_container, f"open/{KEY}.json")
    assert blob.get_blob_properties().content_settings.content_type == "application/json"
    assert blob.download_blob().readall().startswith(b'{"key":"0123')
