"""Step `fetch`: the bytes come from ACS, to the destination or to the fallback, under the right name."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain import places
from shared.domain.errors import (
    ContainerMissing,
    MediaNotFound,
    MediaThrottled,
    MediaUnavailable,
    StorageAccessDenied,
    StorageUnavailable,
)
from shared.domain.media import Proof
from shared.domain.recording import ChunkState, RecordingState
from shared.transfer.budget import Budget
from tests.support.fakes import lies
from tests.unit.rig import DAY, HOUR, MEDIA, MINUTE, Rig, claim, event, mp3, mp4, wav

VIDEO = f"{MEDIA}/doc-0/content/video"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_failed_export_is_rescued_with_metadata_and_manifest(rig: Rig) -> None:
    data = rig.put_media()
    rig.receive(event())
    rig.run()
    assert list(rig.files().values()) == [data]
    assert (rig.recording.state, rig.chunk.state, rig.chunk.proof) == (
        RecordingState.COMPLETE,
        ChunkState.RESCUED,
        Proof.LENGTH,
    )
    assert rig.chunk.sha256
    assert rig.chunk.metadata_state == "saved"
    assert rig.kinds == ["reported", "rescue_started", "rescued", "closed"]
    rig.assert_at_rest()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (mp3(), "0-audiomp3.doc-0.mp3"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00" + mp3(), "0-audiomp3.doc-0.mp3"),
        (wav(), "0-audiowav.doc-0.wav"),
        (wav(riff=0xFFFFFFFF), "0-audiowav.doc-0.wav"),
        (mp4(), "0-audiovideomp4.doc-0.mp4"),
    ],
)
@pytest.mark.parametrize("said", [None, "Wav", "Mp4", "Ogg"])
def test_the_name_follows_the_bytes_whatever_the_event_says(rig: Rig, data: bytes, name: str, said: str | None) -> None:
    """Every byte was there, and was refused as of the wrong format until the window was over."""
    rig.put_media(data=data)
    rig.receive(event(recordingFormatType=said, recordingContentType=None, recordingChannelType=None))
    rig.run()
    assert [one.rpartition("/")[2] for one in rig.files()] == [name]
    assert rig.recording_state() is RecordingState.COMPLETE


def test_bytes_of_no_known_format_are_kept_under_the_hint(rig: Rig) -> None:
    rig.put_media(data=b"\x07" * 5000)
    rig.receive(event(recordingFormatType="Wav"))
    rig.run()
    assert list(rig.files().values()) == [b"\x07" * 5000]
    assert rig.recording_state() is RecordingState.COMPLETE


@pytest.mark.parametrize(
    "changes",
    [
        {"contentLocation": None},
        {"contentLocation": None, "metadataLocation": None},
        {"contentLocation": None, "deleteLocation": None},
        {"contentLocation": None, "deleteLocation": f"{MEDIA}/doc-0"},
        {"contentLocation": "https://customer.blob.core.windows.net/recordings/20261122/call-1/x/0-audiomp3.doc-0.mp3"},
        {"contentLocation": "https://eus-api.asm.skype.com:443/v1/objects/doc-0/content/video"},
        {"contentLocation": f"{MEDIA}/doc-0/content/other", "metadataLocation": None},
    ],
)
def test_the_media_is_found_by_whatever_location_names_the_document(rig: Rig, changes: dict[str, Any]) -> None:
    """The documented `…/content/deletedata`, short ones, metadata only, a blob URL with nothing there."""
    data = rig.put_media()
    rig.receive(event(claim(**changes)))
    rig.live(HOUR)
    assert data in rig.files().values()
    assert rig.recording_state() is RecordingState.COMPLETE


def test_another_documents_location_is_never_fetched(rig: Rig) -> None:
    """It would store a stranger's call; a person is alerted, and the chunk's own media is fetched."""
    rig.put_media("stranger", b"\xff\xfbstranger" * 99)
    data = rig.put_media()
    rig.receive(event(claim(contentLocation=f"{MEDIA}/stranger/content/video")))
    rig.run()
    assert list(rig.files().values()) == [data]
    assert not [asked for asked in rig.media.asked if "stranger" in asked[0]]
    assert "location_of_another_document" in rig.notifier.names


@pytest.mark.parametrize("error", [MediaNotFound("404"), MediaUnavailable("503"), MediaThrottled("429")])
def test_what_fails_is_tried_again_and_the_attempts_are_counted(rig: Rig, error: Exception) -> None:
    data = rig.put_media()
    rig.media.lie(VIDEO, *[lies.failing(error)] * 9)  # type: ignore[arg-type]  # MediaErrors
    rig.receive(event())
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]
    assert rig.chunk.attempts >= 1
    assert rig.recording_state() is RecordingState.COMPLETE
    rig.assert_at_rest()


@pytest.mark.parametrize("answer", [lies.page, lies.page_as_media, lies.empty, lies.quietly_short(7), lies.wrong_range])
def test_what_is_not_the_recording_is_never_stored(rig: Rig, answer: lies.Answer) -> None:
    data = rig.put_media()
    rig.media.lie(VIDEO, *[answer] * 4)
    rig.receive(event())
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]


def test_a_body_that_ends_with_its_connection_never_counts_as_whole(rig: Rig) -> None:
    """It was committed as complete, and deleted at ACS: kept apart, at risk, and fetched again while there is time."""
    data = rig.put_media()
    rig.media.lie(VIDEO, *[lies.whole_without_end] * 2)
    rig.receive(event())
    rig.run()
    assert rig.state() is ChunkState.PENDING
    assert rig.chunk.spare is not None
    assert rig.chunk.spare.where == "fallback"
    assert not rig.files()
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]
    assert rig.chunk.proof is Proof.LENGTH
    rig.assert_at_rest()


def test_unproven_bytes_are_delivered_marked_when_the_window_ends(rig: Rig) -> None:
    """Twice the same is no proof either; nothing better came."""
    data = rig.put_media()
    rig.media.lie(VIDEO, *[lies.whole_without_end] * 9000)
    rig.receive(event())
    rig.live(30 * HOUR)
    assert list(rig.files().values()) == [data]
    assert rig.chunk.proof is Proof.NONE
    assert rig.state() is ChunkState.DELIVERED
    assert "unproven" in rig.notifier.names
    rig.live(DAY)
    rig.assert_at_rest()


@pytest.mark.parametrize("refusal", [StorageAccessDenied("403"), ContainerMissing("404"), StorageUnavailable("500")])
def test_what_the_destination_refuses_is_kept_in_the_fallback_and_delivered(rig: Rig, refusal: Exception) -> None:
    data = rig.put_media()
    rig.destination.refusal = refusal  # type: ignore[assignment]  # StorageErrors
    rig.receive(event())
    rig.run(until=MINUTE)
    assert rig.state() is ChunkState.IN_FALLBACK
    assert data in [blob.data for blob in rig.fallback.blobs.values()]
    assert rig.recording_state() is RecordingState.SAFE
    rig.destination.refusal = None
    rig.drop_media()
    rig.live(2 * HOUR)
    assert list(rig.files().values()) == [data]
    assert rig.state() is ChunkState.DELIVERED
    assert rig.recording_state() is RecordingState.COMPLETE
    rig.assert_at_rest()


def test_the_bytes_are_safe_before_the_alert_is_published(rig: Rig) -> None:
    rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.notifier.is_down = True
    rig.receive(event())
    rig.run(until=MINUTE)
    assert rig.state() is ChunkState.IN_FALLBACK
    assert [alert.name for alert in rig.recording.outbox] == ["storage_access_denied"]
    rig.notifier.is_down = False
    rig.live(2 * HOUR)
    assert rig.notifier.names == ["storage_access_denied"]


def test_an_export_that_came_meanwhile_is_taken_and_nothing_fetched(rig: Rig) -> None:
    """ACS exports after all, while the chunk waits for its next attempt."""
    data = rig.put_media()
    rig.media.lie(VIDEO, *[lies.failing(MediaUnavailable("503"))] * 3)
    rig.receive(event())
    rig.run()
    name = "20261122/call-1/rec-1-acs/0-audiomp3.doc-0.mp3"
    rig.destination.put(name, data, content_type="audio/mpeg", overwrite=False)
    rig.live(HOUR)
    assert list(rig.files()) == [name]
    assert rig.state() is ChunkState.EXPORTED


def test_an_export_is_not_fetched_though_its_event_names_acs(rig: Rig) -> None:
    """A comment in the event's schema says that its location is ACS's, exported or not."""
    name = "20261122/call-1/rec-1-acs/0-audiomp3.doc-0.mp3"
    rig.destination.put(name, rig.put_media(), content_type="audio/mpeg", overwrite=False)
    rig.receive(event())
    rig.run()
    assert rig.state() is ChunkState.EXPORTED
    assert VIDEO not in [asked[0] for asked in rig.media.asked]


def test_a_worker_that_died_before_it_could_say_so_has_stored_it(rig: Rig) -> None:
    """The blob is found by its note, and not fetched again."""
    data = rig.put_media()
    rig.receive(event())
    version = rig.ledger.version(rig.key)
    budget = Budget(rig.clock.now() + HOUR, rig.clock.now() + HOUR)
    rig.process.worker._steps.fetch.fetch(version.recording, version.recording.chunks[0], budget)
    asked = len(rig.media.asked)
    rig.run()
    assert list(rig.files().values()) == [data]
    assert len([one for one in rig.media.asked if one[0] == VIDEO]) == len(rig.media.asked[:asked])
    assert rig.state() is ChunkState.RESCUED


def test_another_file_at_the_chunks_name_is_kept_and_the_bytes_are_safe(rig: Rig) -> None:
    data = rig.put_media()
    rig.receive(event())
    name = places.media_name(rig.recording, rig.chunk, "mp3")
    rig.destination.put(name, b"<html>another</html>" * 9, content_type="text/html", overwrite=False)
    rig.live(3 * HOUR)
    assert rig.files()[name] == b"<html>another</html>" * 9
    assert rig.chunk.state in (ChunkState.IN_FALLBACK, ChunkState.DELIVERED)
    held = [blob.data for blob in (*rig.fallback.blobs.values(), *rig.destination.blobs.values())]
    assert data in held
