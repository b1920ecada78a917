"""A verification over the fakes: files that are changed by other hands, and what a replay brings back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.api.views import RecordingUnknown
from shared.domain.errors import StorageAccessDenied, StorageUnavailable
from shared.domain.recording import ChunkState, RecordingState
from tests.support.fakes.storage import Blob
from tests.unit.rig import DAY, HOUR, MINUTE, Rig, event, mp3

OTHER = mp3(41)


def rescued(**changes: Any) -> Rig:
    """A recording that is closed, with its one file in place, rescued by the app."""
    rig = Rig(**changes)
    rig.put_media()
    rig.receive(event())
    rig.run(until=HOUR)
    rig.assert_at_rest()
    assert rig.state() is ChunkState.RESCUED
    return rig


def verify(rig: Rig) -> dict[str, Any]:
    return rig.process.verification.verify(rig.key, by="key:night")


def overwrite(rig: Rig, data: bytes, *, etag: str = "other") -> str:
    name = str(rig.chunk.blob)
    rig.destination.blobs[name] = Blob(data, etag, "audio/mpeg")
    return name


def results(rig: Rig) -> list[tuple[str | None, str]]:
    return [(entry.code, entry.by) for entry in rig.recording.timeline if entry.kind == "checked"]


def test_a_whole_recording_is_intact_and_its_bytes_are_read_in_the_background() -> None:
    rig = rescued()
    answer = verify(rig)
    [file] = answer["files"]
    assert (answer["state"], file["result"], file["digest"]) == ("complete", "intact", "pending")
    assert file["expected"]["sha256"] == rig.chunk.sha256
    assert file["found"] == {"size": len(mp3()), "etag": rig.chunk.etag}
    assert file["blob"].endswith(str(rig.chunk.blob))
    rig.run()
    assert results(rig) == [("intact", "key:night"), ("intact", "app")]
    assert rig.chunk.check is not None
    assert rig.chunk.check.sha256 == rig.chunk.sha256
    rig.assert_at_rest()
    assert rig.notifier.names == []


@pytest.mark.parametrize(
    ("data", "at_once"), [(None, "missing"), (OTHER, "differs"), (mp3()[:-1] + b"\x01", "unknown")]
)
def test_a_file_that_is_gone_or_differs_is_damage_with_an_alert(data: bytes | None, at_once: str) -> None:
    rig = rescued()
    if data is None:
        del rig.destination.blobs[str(rig.chunk.blob)]
    else:
        overwrite(rig, data)
    answer = verify(rig)
    assert answer["files"][0]["result"] == at_once
    assert answer["state"] == ("complete" if at_once == "unknown" else "damaged")
    rig.run()
    assert rig.recording_state() is RecordingState.DAMAGED
    assert rig.notifier.names == ["damaged"]
    manifest = rig.destination.blobs[str(rig.recording.manifest.blob)].data
    assert b'"state": "damaged"' in manifest
    assert b'"route": "rescued"' in manifest
    assert not rig.ledger.open
    view = rig.process.views.one(rig.key)
    assert (view["state"], view["route"], view["chunks"][0]["where"]) == ("damaged", "rescued", "acs")


def test_a_container_that_is_gone_is_damage() -> None:
    rig = rescued()
    rig.destination.exists = False
    assert verify(rig)["files"][0]["result"] == "missing"
    assert rig.recording_state() is RecordingState.DAMAGED


def test_a_file_that_is_put_back_ends_the_damage() -> None:
    rig = rescued()
    name = overwrite(rig, OTHER)
    verify(rig)
    rig.run()
    assert rig.state() is ChunkState.DAMAGED
    overwrite(rig, mp3(), etag="restored")
    assert verify(rig)["files"][0]["digest"] == "pending"
    rig.run()
    assert (rig.state(), rig.chunk.blob, rig.chunk.etag) == (ChunkState.RESCUED, name, "restored")
    assert "intact_again" in rig.kinds
    assert b'"state": "complete"' in rig.destination.blobs[str(rig.recording.manifest.blob)].data


@pytest.mark.parametrize("data", [None, OTHER])
def test_a_replay_fetches_damaged_bytes_again_while_acs_has_them(data: bytes | None) -> None:
    """What differs is kept as it is, and the bytes are stored beside it."""
    rig = rescued()
    name = str(rig.chunk.blob)
    if data is None:
        del rig.destination.blobs[name]
    else:
        overwrite(rig, data)
    verify(rig)
    rig.run()
    rig.process.replay.replay(rig.key, by="key:night")
    rig.run(until=HOUR)
    assert rig.recording_state() is RecordingState.COMPLETE
    assert rig.destination.blobs[str(rig.chunk.blob)].data == mp3()
    assert (rig.chunk.blob == name) == (data is None)
    if data is not None:
        assert rig.destination.blobs[name].data == data
    assert verify(rig)["files"][0]["result"] == "intact"


def test_after_the_window_a_replay_looks_and_says_that_it_is_still_damaged() -> None:
    rig = rescued()
    del rig.destination.blobs[str(rig.chunk.blob)]
    rig.drop_media()
    rig.live(3 * DAY, step=HOUR)
    verify(rig)
    rig.run()
    rig.process.replay.replay(rig.key, by="key:night")
    rig.run(until=HOUR)
    assert rig.recording_state() is RecordingState.DAMAGED
    assert "still_damaged" in rig.kinds
    assert rig.notifier.names == ["damaged"]
    assert rig.process.views.one(rig.key)["chunks"][0]["where"] == "nowhere"


def test_bytes_that_are_still_in_the_fallback_are_delivered_again() -> None:
    rig = Rig()
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.run(until=MINUTE)
    assert rig.state() is ChunkState.IN_FALLBACK
    rig.destination.refusal = None
    kept = {name: replace(blob) for name, blob in rig.fallback.blobs.items()}
    rig.live(HOUR)
    assert rig.state() is ChunkState.DELIVERED
    # As if cleaning up had not come to it.
    rig.fallback.blobs.update(kept)
    version = rig.ledger.version(rig.key)
    names = tuple(name for name in kept if name.endswith(".mp3"))
    rig.process.store.commit(
        rig.key,
        version,
        lambda one: one and one.with_chunk(replace(one.chunks[0], leftovers=names, next_attempt_at=None)),
    )
    name = overwrite(rig, OTHER)
    rig.drop_media()
    verify(rig)
    rig.process.replay.replay(rig.key)
    rig.run(until=30 * HOUR)
    assert rig.state() is ChunkState.DELIVERED
    assert rig.destination.blobs[str(rig.chunk.blob)].data == data
    assert rig.destination.blobs[name].data == OTHER


def test_a_container_that_gives_no_answer_is_asked_again_in_the_background() -> None:
    rig = rescued()
    rig.destination.refusal = StorageUnavailable("503")
    [file] = verify(rig)["files"]
    assert (file["result"], file["digest"], file["error"]["code"]) == ("unreachable", "pending", "storage_unavailable")
    rig.destination.refusal = None
    rig.run(until=HOUR)
    assert results(rig)[-1] == ("intact", "app")
    assert rig.recording_state() is RecordingState.COMPLETE


def test_a_recording_without_a_file_has_nothing_to_verify() -> None:
    rig = Rig()
    rig.receive(event())
    before = rig.recording
    assert verify(rig)["files"] == []
    assert rig.recording == before


def test_an_unknown_recording_is_no_recording() -> None:
    with pytest.raises(RecordingUnknown):
        Rig().process.verification.verify("nothing")


def test_metadata_that_is_gone_is_a_warning_and_a_replay_fetches_it_again() -> None:
    rig = rescued()
    name = str(rig.chunk.metadata_blob)
    kept = rig.destination.blobs.pop(name)
    answer = verify(rig)
    assert (answer["state"], answer["files"][0]["result"], answer["files"][0]["metadata"]) == (
        "complete", "intact", "missing",
    )  # fmt: skip
    rig.run()
    assert (rig.chunk.metadata_state, rig.notifier.names) == ("missing", ["metadata_missing"])
    assert verify(rig)["files"][0]["metadata"] == "missing"
    assert rig.process.replay.replay(rig.key).described()["chunks"][0]["outcome"] == "going"
    rig.run()
    assert (rig.chunk.metadata_state, rig.destination.blobs[name].data) == ("saved", kept.data)
    assert (rig.recording_state(), rig.notifier.names) == (RecordingState.COMPLETE, ["metadata_missing"])
    # After the window there is nothing to do but to restore it.
    del rig.destination.blobs[name]
    rig.live(3 * DAY, step=HOUR)
    verify(rig)
    rig.run()
    assert rig.process.replay.replay(rig.key).described()["outcome"] == "nothing_to_do"
    rig.destination.blobs[name] = kept
    assert verify(rig)["files"][0]["metadata"] == "intact"
    assert rig.chunk.metadata_state == "saved"


def test_a_folder_that_is_gone_is_brought_back_with_its_metadata_and_manifest() -> None:
    rig = rescued()
    before = {name: blob.data for name, blob in rig.destination.blobs.items() if "manifest" not in name}
    rig.destination.blobs.clear()
    assert verify(rig)["manifest"] == "missing"
    rig.process.replay.replay(rig.key)
    rig.run(until=HOUR)
    after = {name: blob.data for name, blob in rig.destination.blobs.items()}
    assert b'"state": "complete"' in after.pop(str(rig.recording.manifest.blob))
    assert after == before


def test_a_manifest_that_is_gone_is_written_again() -> None:
    rig = rescued()
    name = str(rig.recording.manifest.blob)
    assert verify(rig)["manifest"] == "intact"
    rig.run()
    del rig.destination.blobs[name]
    assert verify(rig)["manifest"] == "missing"
    rig.run()
    assert name in rig.destination.blobs
    assert "manifest_missing" in rig.kinds
    rig.assert_at_rest()


@pytest.mark.parametrize("size", [1, 0])
def test_a_page_in_the_place_of_a_file_that_was_gone_is_not_taken_for_it(size: int) -> None:
    """Neither one of another size, nor one of the same: what is known of the file is kept, and compared."""
    rig = rescued()
    name, sha256 = str(rig.chunk.blob), rig.chunk.sha256
    del rig.destination.blobs[name]
    verify(rig)
    rig.run()
    rig.clock.moment += 2 * DAY
    rig.drop_media()
    overwrite(rig, b"<html>".ljust(len(mp3()) - size))
    rig.process.replay.replay(rig.key)
    rig.run(until=HOUR)
    assert (rig.state(), rig.chunk.blob, rig.chunk.sha256) == (ChunkState.DAMAGED, name, sha256)
    assert rig.recording_state() is RecordingState.DAMAGED
    rig.assert_at_rest()
