"""Step `metadata`: beside the media wherever that is, asked for as long as ACS may have it, and never in the way."""

from __future__ import annotations

import pytest

from shared.domain.errors import MediaUnavailable, StorageAccessDenied
from shared.domain.recording import ChunkState, RecordingState
from tests.support.fakes import CONTAINER, lies
from tests.unit.rig import DAY, HOUR, MEDIA, MINUTE, Rig, claim, event, mp3

METADATA = f"{MEDIA}/doc-0/content/acsmetadata"
NAME = "20261122/call-1/rec-1-guid/0-audiomp3.doc-0.mp3"
BESIDE = "20261122/call-1/rec-1-guid/0-acsmetadata.doc-0.json"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def metadata(rig: Rig) -> dict[str, bytes]:
    return {name: blob.data for name, blob in rig.destination.blobs.items() if "acsmetadata" in name}


def test_metadata_that_cannot_be_had_is_tried_again_and_the_media_are_safe_meanwhile(rig: Rig) -> None:
    data = rig.put_media()
    kept = rig.media.files.pop(METADATA)
    rig.receive(event())
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]
    assert (rig.state(), rig.chunk.metadata_state) == (ChunkState.RESCUED, "pending")
    assert rig.recording.closed_at is None
    rig.media.files[METADATA] = kept
    rig.live(HOUR)
    assert list(metadata(rig).values()) == [kept.data]
    rig.assert_at_rest()


@pytest.mark.parametrize("data", [b"<html></html>", b"[]", b"\xff", b"{" * 9, b"1" * 2_000_000])
def test_what_is_no_metadata_is_not_stored(rig: Rig, data: bytes) -> None:
    rig.put_media()
    rig.media.files[METADATA].data = data
    rig.receive(event())
    rig.live(30 * HOUR)
    assert metadata(rig) == {}
    assert rig.chunk.metadata_state == "absent"
    assert "metadata_lost" in rig.notifier.names
    assert rig.recording_state() is RecordingState.COMPLETE


def test_metadata_that_is_there_already_is_left_as_it_is(rig: Rig) -> None:
    """Of an earlier attempt, or of ACS."""
    rig.put_media()
    rig.receive(event())
    folder = next(iter({name.rpartition("/")[0] for name in rig.files()}), None)
    assert folder is None
    rig.run()
    [name] = metadata(rig)
    again = Rig()
    again.put_media()
    again.destination.put(name, b'{"of": "ACS"}', content_type="application/json", overwrite=False)
    again.receive(event())
    again.run()
    assert metadata(again) == {name: b'{"of": "ACS"}'}
    assert again.chunk.metadata_state == "saved"


def test_metadata_that_acs_exports_a_moment_later_is_waited_for(rig: Rig) -> None:
    rig.destination.put(NAME, mp3(), content_type="audio/mpeg", overwrite=False)
    at = claim(
        contentLocation=CONTAINER.blob_url(NAME), metadataLocation=CONTAINER.blob_url(BESIDE), deleteLocation=None
    )
    rig.receive(event(at))
    rig.run(until=MINUTE)
    assert (rig.state(), rig.chunk.metadata_state) == (ChunkState.EXPORTED, "pending")
    rig.destination.put(BESIDE, b"{}", content_type="application/json", overwrite=False)
    rig.live(HOUR)
    assert (rig.chunk.metadata_state, rig.chunk.metadata_blob) == ("saved", BESIDE)
    rig.assert_at_rest()


def test_metadata_that_acs_exports_into_another_folder_is_copied_beside_the_media(rig: Rig) -> None:
    """ACS exports after all, while the app rescues under its own name: nobody looks in two folders for one chunk."""
    elsewhere = f"20261122/call-1/another-folder/{BESIDE.rpartition('/')[2]}"
    rig.put_media()
    del rig.media.files[METADATA]
    rig.receive(event())
    rig.live(HOUR)
    [media] = rig.files()
    rig.destination.put(elsewhere, b'{"of": "ACS"}', content_type="application/json", overwrite=False)
    rig.receive(event(claim(metadataLocation=CONTAINER.blob_url(elsewhere))))
    rig.live(HOUR)
    beside = f"{media.rpartition('/')[0]}/{BESIDE.rpartition('/')[2]}"
    assert metadata(rig) == dict.fromkeys((elsewhere, beside), b'{"of": "ACS"}')
    assert (rig.chunk.metadata_state, rig.chunk.metadata_blob) == ("saved", beside)
    rig.assert_at_rest()


def test_metadata_that_acs_never_exports_are_not_looked_for_a_thousand_times(rig: Rig) -> None:
    rig.destination.put(NAME, mp3(), content_type="audio/mpeg", overwrite=False)
    at = claim(
        contentLocation=CONTAINER.blob_url(NAME), metadataLocation=CONTAINER.blob_url(BESIDE), deleteLocation=None
    )
    rig.receive(event(at))
    rig.live(30 * HOUR)
    assert rig.chunk.metadata_state == "absent"
    assert rig.chunk.attempts < 60
    rig.assert_at_rest()


def test_metadata_goes_with_its_chunk_through_the_fallback(rig: Rig) -> None:
    """ACS drops it with the media: it is kept beside the copy, and delivered from there."""
    rig.put_media()
    kept = rig.media.files[METADATA].data
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    assert [blob.data for name, blob in rig.fallback.blobs.items() if "acsmetadata" in name] == [kept]
    rig.drop_media()
    rig.destination.refusal = None
    rig.live(3 * HOUR)
    assert list(metadata(rig).values()) == [kept]
    rig.assert_at_rest()


def test_metadata_that_fails_holds_no_delivery_up(rig: Rig) -> None:
    data = rig.put_media()
    rig.media.lie(METADATA, *[lies.failing(MediaUnavailable("503"))] * 99)
    del rig.media.files[METADATA]
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    rig.destination.refusal = None
    rig.live(2 * HOUR)
    assert (rig.state(), list(rig.files().values())) == (ChunkState.DELIVERED, [data])


def test_metadata_that_a_person_removed_from_the_fallback_does_not_hold_up_the_media(rig: Rig) -> None:
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    for name in [name for name in rig.fallback.blobs if "acsmetadata" in name]:
        del rig.fallback.blobs[name]
    rig.destination.refusal = None
    rig.live(2 * HOUR)
    assert (rig.state(), list(rig.files().values())) == (ChunkState.DELIVERED, [data])


def test_metadata_that_a_later_event_names_is_fetched_after_the_close(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event(claim(metadataLocation=None)))
    rig.run()
    rig.assert_at_rest()
    assert rig.chunk.metadata_state == "absent"
    rig.receive(event(claim()))
    rig.live(HOUR)
    assert len(metadata(rig)) == 1
    assert rig.recording.manifest.state == "written"
    rig.assert_at_rest()


def test_a_day_without_metadata_ends(rig: Rig) -> None:
    rig.put_media()
    del rig.media.files[METADATA]
    rig.receive(event())
    rig.live(2 * DAY)
    rig.assert_at_rest()
