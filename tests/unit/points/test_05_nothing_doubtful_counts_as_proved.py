"""Point 5: what is not shown to be whole never ends as complete, verified, or deleted at ACS; and everything that is
kept says its size, its SHA-256 (or why not), how it was proved, and when.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import StorageAccessDenied
from shared.domain.media import Proof
from shared.domain.recording import ChunkState, RecordingState
from tests.support import media_files
from tests.support.fakes import CONTAINER, lies, settings
from tests.unit.rig import DAY, HOUR, MEDIA, Rig, claim, event, mp3, mp4, wav

if TYPE_CHECKING:
    from shared.domain.recording import Chunk
    from tests.support.fakes.lies import Answer

VIDEO = f"{MEDIA}/doc-0/content/video"
FOLDER = "20261122/call-1/rec-1-guid"
PAGE = b"<!DOCTYPE html><html><body>no</body></html>" * 20
BROKEN = {
    "one byte": ("0-audiomp3.doc-0.mp3", b"\xff"),
    "zeros": ("0-audiomp3.doc-0.mp3", bytes(5000)),
    "page": ("0-audiomp3.doc-0.mp3", PAGE),
    "truncated mp4": ("0-audiovideomp4.doc-0.mp4", media_files.mp4()[:-100]),
    "truncated fragmented mp4": ("0-audiovideomp4.doc-0.mp4", media_files.fragmented()[:-100]),
    "truncated wav": ("0-audiowav.doc-0.wav", wav()[:-2]),
    "wav of another size": ("0-audiowav.doc-0.wav", wav(riff=9_999)),
}
WHOLE = {
    "mp3": ("0-audiomp3.doc-0.mp3", mp3()),
    "mp4": ("0-audiovideomp4.doc-0.mp4", mp4()),
    "fragmented": ("0-audiovideomp4.doc-0.mp4", media_files.fragmented(has_index=True)),
    "wav": ("0-audiowav.doc-0.wav", wav()),
}


def deleting() -> Rig:
    """DELETE_AT_ACS, and a window of two hours, so that it is over soon."""
    return Rig(given=settings(delete_at_acs=True, window=2 * HOUR))


def exported(rig: Rig, file: str, data: bytes) -> str:
    """ACS says that it exported this; the duration that it says is left out."""
    name = f"{FOLDER}/{file}"
    rig.destination.put(name, data, content_type="audio/mpeg", overwrite=False)
    at = CONTAINER.blob_url(name)
    rig.receive(event(claim(contentLocation=at, metadataLocation=None), recordingDurationMs=None))
    return name


def assert_explained(chunk: Chunk, data: bytes | None = None) -> None:
    """Size, SHA-256 or why not, how it was proved, and when."""
    assert chunk.size is not None
    assert chunk.sha256 or chunk.digest_problem
    assert chunk.proved_at is not None
    if data is not None:
        assert (chunk.size, chunk.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(("file", "data"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_export_never_ends_as_verified_and_is_never_deleted_at_acs(file: str, data: bytes) -> None:
    rig = deleting()
    exported(rig, file, data)
    rig.live(12 * HOUR)
    assert rig.chunk.proof is Proof.NONE
    assert "exported" not in rig.kinds
    assert rig.media.deleted == []
    assert {"export_broken", "unproven"} <= set(rig.notifier.names)
    assert (rig.chunk.size, rig.chunk.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_an_export_of_no_bytes_is_never_one() -> None:
    rig = deleting()
    exported(rig, "0-audiomp3.doc-0.mp3", b"")
    rig.live(12 * HOUR)
    assert rig.state() in (ChunkState.LOST, ChunkState.UNCONFIRMED)
    assert rig.media.deleted == []


@pytest.mark.parametrize(("file", "data"), BROKEN.values(), ids=list(BROKEN))
def test_what_acs_still_has_is_fetched_beside_a_broken_export(file: str, data: bytes) -> None:
    rig = deleting()
    whole = rig.put_media()
    name = exported(rig, file, data)
    rig.live(2 * HOUR)
    assert (rig.state(), rig.chunk.proof) == (ChunkState.RESCUED, Proof.LENGTH)
    assert_explained(rig.chunk, whole)
    assert rig.destination.blobs[rig.chunk.blob or ""].data == whole
    assert rig.destination.blobs[name].data == data
    assert rig.media.deleted == [f"{MEDIA}/doc-0/content/deletedata"]


def test_an_mp3_that_is_cut_at_a_frame_is_proved_by_its_structure_and_no_more() -> None:
    rig = deleting()
    exported(rig, "0-audiomp3.doc-0.mp3", mp3(20))
    rig.live(2 * HOUR)
    assert (rig.state(), rig.chunk.proof) == (ChunkState.EXPORTED, Proof.STRUCTURE)
    assert_explained(rig.chunk, mp3(20))
    assert rig.media.deleted == []


@pytest.mark.parametrize(("file", "data"), WHOLE.values(), ids=list(WHOLE))
def test_a_whole_export_is_explained(file: str, data: bytes) -> None:
    rig = Rig()
    exported(rig, file, data)
    rig.live(2 * HOUR)
    assert (rig.state(), rig.chunk.proof) == (ChunkState.EXPORTED, Proof.STRUCTURE)
    assert_explained(rig.chunk, data)
    rig.assert_at_rest()


@pytest.mark.parametrize(
    "answer", [lies.whole_broken_off, lies.whole_without_end], ids=["breaks off", "ends with the connection"]
)
def test_a_source_that_does_not_say_its_length_never_ends_as_complete(answer: Answer) -> None:
    """Kept while the window lasts, and delivered, marked, when it is over."""
    rig = deleting()
    rig.put_media()
    rig.media.lie(VIDEO, *[answer] * 2000)
    rig.receive(event())
    rig.live(1.5 * HOUR)
    assert (rig.state(), rig.recording_state()) == (ChunkState.PENDING, RecordingState.SAVING)
    assert rig.files() == {}
    assert rig.chunk.spare is not None
    rig.live(6 * HOUR)
    assert rig.state() is ChunkState.DELIVERED
    assert rig.chunk.proof in (Proof.NONE, Proof.STRUCTURE)
    assert "unproven" in rig.notifier.names
    assert rig.media.deleted == []
    assert rig.chunk.size
    assert rig.chunk.sha256


def test_a_source_that_says_its_length_later_replaces_what_it_gave_before() -> None:
    rig = deleting()
    data = rig.put_media()
    rig.media.lie(VIDEO, *[lies.whole_broken_off] * 4)
    rig.receive(event())
    rig.live(HOUR)
    assert (rig.state(), rig.chunk.proof) == (ChunkState.RESCUED, Proof.LENGTH)
    assert_explained(rig.chunk, data)
    assert list(rig.files().values()) == [data]
    rig.assert_at_rest()


@pytest.mark.parametrize("answer", [lies.whole_quietly_short, lies.quietly_short(9), lies.cut_short(9)])
def test_a_source_that_breaks_off_before_its_length_stores_nothing(answer: Answer) -> None:
    rig = deleting()
    rig.put_media()
    rig.media.lie(VIDEO, *[answer] * 2000)
    rig.receive(event())
    rig.live(1.5 * HOUR)
    assert rig.state() is ChunkState.PENDING
    assert (rig.files(), rig.fallback.blobs, rig.media.deleted) == ({}, {}, [])


@pytest.mark.parametrize("is_exported", [False, True], ids=["rescued", "exported"])
def test_only_what_is_proved_by_length_or_digest_is_deleted_at_acs(*, is_exported: bool) -> None:
    rig = deleting()
    data = rig.put_media()
    if is_exported:
        exported(rig, "0-audiomp3.doc-0.mp3", data)
    else:
        rig.receive(event())
    rig.live(2 * HOUR)
    assert rig.chunk.proof in (Proof.LENGTH, Proof.DIGEST)
    assert rig.media.deleted == [f"{MEDIA}/doc-0/content/deletedata"]
    assert_explained(rig.chunk, data)


def test_what_was_delivered_is_explained() -> None:
    rig = Rig()
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    rig.destination.refusal = None
    rig.live(3 * HOUR)
    assert rig.state() is ChunkState.DELIVERED
    assert_explained(rig.chunk, data)


def test_what_stays_in_the_fallback_is_explained() -> None:
    rig = Rig(given=settings(delivery_window=DAY))
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(3 * DAY)
    assert rig.state() is ChunkState.UNDELIVERABLE
    assert_explained(rig.chunk, data)
