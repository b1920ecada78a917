"""Steps `verify` and `last_look`: reported exports are looked at as media; nothing is lost that is anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.locations import ContainerUrl
from shared.domain.media import Proof
from shared.domain.recording import ChunkState, RecordingState
from tests.support.fakes import CONTAINER, settings
from tests.unit.rig import DAY, HOUR, MINUTE, Rig, claim, event, mp3, mp4, wav

NAME = "20261122/call-1/rec-1-guid/0-audiomp3.doc-0.mp3"
METADATA = "20261122/call-1/rec-1-guid/0-acsmetadata.doc-0.json"


def exported(name: str = NAME, **changes: Any) -> dict[str, Any]:
    """A chunk that an event reports as exported."""
    there: dict[str, Any] = {
        "contentLocation": CONTAINER.blob_url(name),
        "metadataLocation": CONTAINER.blob_url(METADATA),
    }
    return claim(**there | changes)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def put(rig: Rig, data: bytes, name: str = NAME) -> None:
    rig.destination.put(name, data, content_type="audio/mpeg", overwrite=True)


def test_an_export_is_verified_and_has_its_digest_and_its_proof(rig: Rig) -> None:
    put(rig, mp3())
    put(rig, b"{}", METADATA)
    rig.receive(event(exported()))
    rig.run()
    assert (rig.chunk.state, rig.chunk.proof, rig.chunk.digest_state) == (
        ChunkState.EXPORTED,
        Proof.STRUCTURE,
        "done",
    )
    assert (rig.chunk.size, rig.chunk.metadata_blob) == (len(mp3()), METADATA)
    assert rig.media.asked == []
    rig.assert_at_rest()


@pytest.mark.parametrize("data", [b"x", bytes(4000), b"<!DOCTYPE html><html></html>" * 40, mp4()[:-100], wav()[:-999]])
def test_an_export_that_is_not_whole_media_never_ends_as_verified(rig: Rig, data: bytes) -> None:
    """ACS's own copy is fetched in its place, beside it; nothing is overwritten."""
    put(rig, data)
    good = rig.put_media()
    rig.receive(event(exported()))
    rig.live(HOUR)
    assert rig.destination.blobs[NAME].data == data
    assert good in rig.files().values()
    assert rig.state() is ChunkState.RESCUED
    assert "export_broken" in rig.notifier.names
    rig.assert_at_rest()


@pytest.mark.parametrize("data", [b"x", bytes(4000), mp4()[:-100]])
def test_where_nothing_better_comes_it_is_kept_without_any_proof(rig: Rig, data: bytes) -> None:
    put(rig, data)
    rig.receive(event(exported(deleteLocation=None)))
    rig.live(30 * HOUR)
    assert (rig.chunk.state, rig.chunk.proof) == (ChunkState.EXPORTED, Proof.NONE)
    assert "unproven" in rig.notifier.names
    rig.live(HOUR)
    rig.assert_at_rest()


def test_an_odd_structure_counts_where_acs_has_as_many_bytes(rig: Rig) -> None:
    put(rig, mp4()[:-100])
    rig.put_media(data=mp4()[:-100])
    rig.receive(event(exported()))
    rig.run()
    assert (rig.chunk.state, rig.chunk.proof) == (ChunkState.EXPORTED, Proof.LENGTH)


def test_an_empty_export_is_fetched_beside_it(rig: Rig) -> None:
    put(rig, b"")
    good = rig.put_media()
    rig.receive(event(exported()))
    rig.live(HOUR)
    assert rig.destination.blobs[NAME].data == b""
    assert good in rig.files().values()
    assert rig.recording_state() is RecordingState.COMPLETE


def test_an_export_that_comes_late_is_waited_for(rig: Rig) -> None:
    rig.receive(event(exported(deleteLocation=None)))
    rig.live(10 * MINUTE)
    assert rig.state() is ChunkState.EXPECTED
    assert rig.chunk.last_error is not None
    assert rig.chunk.last_error.code == "export_not_found"
    put(rig, mp3())
    rig.live(HOUR)
    assert rig.state() is ChunkState.EXPORTED


def test_an_export_that_nothing_confirms_ends_unconfirmed(rig: Rig) -> None:
    rig.receive(event(exported(deleteLocation=None)))
    rig.live(28 * HOUR)
    assert rig.state() is ChunkState.UNCONFIRMED
    assert rig.recording_state() is RecordingState.UNCONFIRMED
    assert "unconfirmed" in rig.notifier.names
    rig.assert_at_rest()


def test_an_export_that_cannot_be_checked_is_not_lost_with_the_window(rig: Rig) -> None:
    """It may well be there: asked for as long as a delivery would be."""
    put(rig, mp3())
    rig.destination.refusal = StorageUnavailable("500")
    rig.receive(event(exported(deleteLocation=None)))
    rig.live(2 * DAY)
    assert rig.state() is ChunkState.EXPECTED
    assert "storage_unavailable" in rig.notifier.names
    rig.destination.refusal = None
    rig.live(3 * HOUR)
    assert rig.state() is ChunkState.EXPORTED
    rig.assert_at_rest()


def test_a_lost_chunk_is_looked_for_wherever_it_may_be_first(rig: Rig) -> None:
    """ACS never had it again; the file was put into the call's folder meanwhile, under another day."""
    rig.receive(event())
    rig.live(10 * MINUTE)
    put(rig, mp3(), "20261123/call-1/x/0-audiomp3.doc-0.mp3")
    rig.live(28 * HOUR)
    assert rig.state() is ChunkState.EXPORTED


def test_a_chunk_is_not_called_lost_while_the_fallback_cannot_be_asked(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())
    rig.drop_media()
    rig.run(until=24 * HOUR + 30 * MINUTE, most=3000)
    rig.fallback.refusal = StorageUnavailable("500")
    rig.live(2 * HOUR)
    assert rig.state() is ChunkState.PENDING
    assert rig.chunk.is_exhausted
    rig.live(8 * HOUR)
    assert rig.chunk.state in (ChunkState.LOST, ChunkState.UNCONFIRMED)


def test_a_late_export_of_what_is_in_place_is_noted_and_changes_nothing(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())
    rig.run()
    before = rig.chunk
    rig.receive(event(exported()))
    rig.run()
    assert rig.chunk.state is before.state
    assert rig.chunk.blob == before.blob
    assert "late_export" in rig.kinds


def test_an_export_whose_container_goes_before_its_digest_is_damaged(rig: Rig) -> None:
    """As with a verification: the recording is not complete, and a person hears of it."""
    put(rig, mp3(11_000))
    put(rig, b"{}", METADATA)
    rig.receive(event(exported()))
    while rig.state() is not ChunkState.EXPORTED:
        rig.deliver_one()
    assert rig.chunk.digest_state == "pending"
    rig.destination.exists = False
    rig.run(until=DAY)
    assert (rig.state(), rig.recording_state().value) == (ChunkState.DAMAGED, "damaged")
    assert "damaged" in rig.notifier.names


def test_a_damaged_export_stays_in_its_container_whatever_a_later_event_names() -> None:
    """Else it would be looked for, and put back, in a container that it never was in."""
    other = ContainerUrl.parse("https://other.blob.core.windows.net/recordings")
    rig = Rig(given=settings(places=(CONTAINER, other)))
    put(rig, mp3())
    put(rig, b"{}", METADATA)
    rig.receive(event(exported()))
    rig.run(until=HOUR)
    rig.destination.delete(NAME)
    rig.process.verification.verify(rig.key)
    rig.run()
    assert rig.state() is ChunkState.DAMAGED
    rig.receive(event(claim(contentLocation=other.blob_url(NAME)), at=rig.clock.now()))
    rig.run()
    assert rig.recording.container_url == str(CONTAINER)
    put(rig, mp3())
    rig.process.verification.verify(rig.key)
    rig.run()
    assert rig.state() is ChunkState.EXPORTED
