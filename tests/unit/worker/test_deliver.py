"""Steps `deliver`, `prove`, `clean`, `delete_at_acs`, `finish`: what follows bytes that are safe."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from shared.domain.errors import MediaUnavailable, StorageAccessDenied, StorageUnavailable
from shared.domain.media import Proof
from shared.domain.recording import ChunkState, RecordingState
from tests.support.fakes import CONTAINER, lies, settings
from tests.support.fakes.acs import honest
from tests.unit.rig import DAY, HOUR, MEDIA, MINUTE, Rig, claim, event, mp3, wav

MIB = 1024 * 1024
VIDEO = f"{MEDIA}/doc-0/content/video"


def in_fallback(data: bytes | None = None, **changes: Any) -> Rig:
    """A recording whose destination refuses, and whose media ACS has dropped since."""
    rig = Rig(given=settings(**changes)) if changes else Rig()
    rig.put_media(data=data)
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.run(until=MINUTE)
    assert rig.state() is ChunkState.IN_FALLBACK
    return rig


def test_a_large_copy_is_compared_by_a_step_of_its_own() -> None:
    data = wav(9 * MIB)
    rig = in_fallback(data)
    rig.destination.refusal = None
    rig.drop_media()
    rig.live(2 * HOUR)
    assert list(rig.files().values()) == [data]
    assert (rig.state(), rig.chunk.proof, rig.chunk.digest_state) == (ChunkState.DELIVERED, Proof.DIGEST, "done")
    rig.assert_at_rest()


def test_a_delivery_that_is_given_up_closes_and_goes_on_after_a_replay() -> None:
    rig = in_fallback(delivery_window=DAY)
    rig.live(50 * HOUR)
    assert rig.state() is ChunkState.UNDELIVERABLE
    assert rig.recording_state() is RecordingState.SAFE
    assert "delivery_given_up" in rig.notifier.names
    assert rig.recording.closed_at is not None
    assert not rig.ledger.open
    assert rig.fallback.blobs
    before = rig.recording.timeline
    rig.destination.refusal = None
    result = rig.process.replay.replay("rec-1", by="operator")
    assert [(one.index, one.outcome) for one in result.chunks] == [(0, "going")]
    assert {entry.kind for entry in before} <= set(rig.kinds)
    rig.live(2 * HOUR)
    assert rig.state() is ChunkState.DELIVERED
    assert rig.recording.manifest.state == "written"
    rig.assert_at_rest()


def given_up(rig: Rig) -> Rig:
    """A chunk whose delivery is given up; blocks of two attempts are in it, so that it had no digest."""
    rig.put_media()
    rig.media.lie(VIDEO, honest, *[lies.failing(MediaUnavailable("reset"))] * 3)
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    assert (rig.state(), rig.chunk.sha256) == (ChunkState.IN_FALLBACK, None)
    rig.live(50 * HOUR)
    assert "delivery_given_up" in rig.notifier.names
    return rig


def test_what_stays_in_the_fallback_is_read_back_there() -> None:
    """It ended without a SHA-256, and without a reason for that."""
    rig = given_up(Rig(given=settings(delivery_window=DAY, block_bytes=4000)))
    assert rig.state() is ChunkState.UNDELIVERABLE
    assert rig.chunk.sha256 == hashlib.sha256(mp3()).hexdigest()
    assert (rig.chunk.digest_state, rig.chunk.proof) == ("done", Proof.LENGTH)
    assert rig.chunk.proved_at
    assert not rig.ledger.open


def test_what_stays_in_the_fallback_and_cannot_be_read_says_why() -> None:
    rig = Rig(given=settings(delivery_window=DAY, block_bytes=4000))
    rig.fallback.pieces = refused  # type: ignore[method-assign,assignment]  # reading fails
    given_up(rig)
    rig.live(2 * HOUR)
    assert (rig.chunk.digest_state, rig.chunk.digest_problem) == ("unavailable", "storage_unavailable")
    assert not rig.ledger.open


def test_what_was_to_stay_in_the_fallback_and_is_gone_is_lost_with_alerts() -> None:
    rig = Rig(given=settings(delivery_window=DAY, block_bytes=4000))
    real = rig.fallback.stat

    def stat(name: str) -> Any:
        if rig.state() is ChunkState.UNDELIVERABLE:
            rig.fallback.blobs.clear()
            rig.drop_media()
        return real(name)

    rig.fallback.stat = stat  # type: ignore[method-assign]  # a person removes the copy
    given_up(rig)
    rig.live(HOUR)
    assert rig.state() is ChunkState.LOST
    assert {"delivery_given_up", "fallback_missing", "lost"} <= set(rig.notifier.names)


def test_a_replay_asks_at_once_though_the_clock_moves_on() -> None:
    """What the replay makes due is due a moment after it was asked for: no message was sent, and nothing asked."""
    rig = Rig()
    rig.acs.calls.add("call-1")
    started = rig.process.start.start({"serverCallId": "call-1"}, idempotency_key=None).answer
    real = rig.clock.now

    def moving() -> Any:
        rig.clock.advance(MINUTE / 1000)
        return real()

    rig.clock.now = moving  # type: ignore[method-assign]  # as a real one does
    rig.process.replay.replay(started["key"])
    rig.clock.now = real  # type: ignore[method-assign]  # it stands still again
    assert len(rig.queue.waiting) == 1
    rig.clock.advance(MINUTE)
    rig.run()
    assert "still_recording" in rig.kinds


def test_a_file_of_the_same_bytes_in_the_destination_is_enough() -> None:
    """ACS exported it after all, under a name of its own."""
    rig = in_fallback()
    rig.destination.refusal = None
    name = "20261122/call-1/acs/0-audiomp3.doc-0.mp3"
    rig.destination.put(name, mp3(), content_type="audio/mpeg", overwrite=False)
    rig.live(2 * HOUR)
    assert list(rig.files()) == [name]
    assert rig.chunk.metadata_blob == "20261122/call-1/acs/0-acsmetadata.doc-0.json"
    assert rig.chunk.metadata_blob in rig.destination.blobs
    rig.assert_at_rest()


def test_a_file_of_other_bytes_and_the_same_size_is_kept_and_delivered_beside() -> None:
    rig = in_fallback()
    rig.destination.refusal = None
    blob = rig.chunk.blob or ""
    other = bytes(reversed(mp3()))
    rig.destination.put(blob, other, content_type="audio/mpeg", overwrite=False)
    rig.live(3 * HOUR)
    assert rig.files()[blob] == other
    assert mp3() in rig.files().values()
    assert "destination_conflict" in rig.notifier.names
    rig.assert_at_rest()


def test_a_fallback_that_refuses_deletes_blocks_nothing() -> None:
    rig = in_fallback()
    rig.destination.refusal = None
    real = rig.fallback.delete
    rig.fallback.delete = refused  # type: ignore[method-assign]  # no delete is taken
    rig.live(2 * HOUR)
    assert rig.recording_state() is RecordingState.COMPLETE
    assert rig.recording.closed_at is not None
    rig.fallback.delete = real  # type: ignore[method-assign]  # mended
    rig.live(3 * HOUR)
    rig.assert_at_rest()


def refused(*_: Any, **__: Any) -> None:
    raise StorageUnavailable("500")


def test_a_copy_that_can_never_be_cleaned_is_an_alert_in_the_end() -> None:
    rig = in_fallback(delivery_window=DAY)
    rig.destination.refusal = None
    rig.fallback.delete = refused  # type: ignore[method-assign]  # no delete is taken
    rig.live(60 * HOUR)
    assert "fallback_not_cleaned" in rig.notifier.names
    assert not rig.ledger.open


def test_a_manifest_that_cannot_be_written_is_given_up_in_the_end() -> None:
    rig = Rig(given=settings(delivery_window=DAY))
    rig.put_media()
    rig.receive(event())
    real = rig.destination.put

    def put(name: str, data: bytes, **changes: Any) -> Any:
        if name.endswith("manifest.json"):
            raise StorageUnavailable("500")
        return real(name, data, **changes)

    rig.destination.put = put  # type: ignore[method-assign]  # no manifest is taken
    rig.live(60 * HOUR)
    assert rig.recording.manifest.state == "given_up"
    assert rig.recording_state() is RecordingState.COMPLETE
    assert "manifest_given_up" in rig.notifier.names
    assert not rig.ledger.open


@pytest.mark.parametrize("is_structure_only", [True, False])
def test_acs_deletes_only_what_is_proved_by_length_or_digest(*, is_structure_only: bool) -> None:
    rig = Rig(given=settings(delete_at_acs=True))
    name = "20261122/call-1/rec-1-guid/0-audiomp3.doc-0.mp3"
    rig.destination.put(name, mp3(), content_type="audio/mpeg", overwrite=False)
    if not is_structure_only:
        rig.put_media()
    rig.receive(event(claim(contentLocation=CONTAINER.blob_url(name), metadataLocation=None)))
    rig.live(2 * HOUR)
    assert rig.state() is ChunkState.EXPORTED
    assert bool(rig.media.deleted) is not is_structure_only
    assert rig.chunk.deletion == ("failed" if is_structure_only else "done")
    rig.assert_at_rest()


def test_metadata_that_never_comes_ends_as_absent_and_the_recording_closes() -> None:
    rig = Rig()
    data = rig.put_media()
    del rig.media.files["https://eus-api.asm.skype.com/v1/objects/doc-0/content/acsmetadata"]
    rig.receive(event())
    rig.live(30 * HOUR)
    assert list(rig.files().values()) == [data]
    assert rig.chunk.metadata_state == "absent"
    assert "metadata_lost" in rig.notifier.names
    rig.assert_at_rest()


def test_a_digest_that_cannot_be_had_says_why() -> None:
    """Three attempts; then it is unavailable, and a replay asks again."""
    rig = Rig()
    name = "20261122/call-1/rec-1-guid/0-audiowav.doc-0.wav"
    rig.destination.put(name, wav(5 * MIB), content_type="audio/wav", overwrite=False)
    rig.receive(event(claim(contentLocation=CONTAINER.blob_url(name), metadataLocation=None), recordingDurationMs=None))
    rig.deliver_one()
    real = rig.destination.pieces
    rig.destination.pieces = refused  # type: ignore[method-assign,assignment]  # reading fails
    rig.live(2 * HOUR)
    assert (rig.chunk.digest_state, rig.chunk.digest_problem) == ("unavailable", "storage_unavailable")
    rig.assert_at_rest()
    rig.destination.pieces = real  # type: ignore[method-assign]  # mended
    rig.process.replay.replay("rec-1")
    rig.run()
    assert rig.chunk.digest_state == "done"
