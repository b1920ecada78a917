"""What follows the bytes: metadata, manifest, deletion, close; each tried again on its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import MediaUnavailable, StorageAccessDenied, StorageUnavailable
from shared.lookup import fallback_name
from shared.manifest import is_manifest_of
from shared.recording import Chunk, ChunkState, Manifest, Recording, RecordingState
from tests.support.fakes import MediaFile, World, settings, watched
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
METADATA = b'{"callId": "call-1"}'
DONE: dict[str, Any] = {"size": 10, "sha256": "ab", "finished_at": NOON, "next_try_at": None}
SAVED = DONE | {"metadata_state": "saved"}


def world_with(*chunks: Chunk, deletes: bool = False, metadata: bytes | None = METADATA, **changes: Any) -> World:
    world = World(settings(delete_at_acs=deletes))
    world.ledger.save(recording(*chunks, **changes), etag=None)
    for one in chunks:
        if one.metadata_location and metadata is not None:
            world.media.files[one.metadata_location] = MediaFile(metadata, "application/json")
    return world


def the(world: World) -> Recording:
    return world.ledger.recording(recording().key)


def care(world: World, *, index: int = 0, **ports: Any) -> Recording:
    """Aftercare for one chunk, as after its bytes; what the ledger says then."""
    one = the(world)
    world.app(**ports).rescue._aftercare.chunk_is_safe(one, one.chunks[index])
    return the(world)


@pytest.mark.parametrize("state", [S.EXPORTED, S.RESCUED, S.DELIVERED])
def test_metadata_manifest_and_close_follow_the_last_chunk(state: ChunkState) -> None:
    world = world_with(chunk(0, state, **DONE), chunk(1, S.EXPORTED, **SAVED))
    after = care(world)
    assert after.state is RecordingState.COMPLETE
    assert after.closed_at == NOON
    assert [one.metadata_state for one in after.chunks] == ["saved", "saved"]
    assert world.destination.blobs[after.chunks[0].metadata_blob or ""].data == METADATA
    assert after.manifest == Manifest("written", 0, None, f"{FOLDER}/manifest.json")
    assert is_manifest_of(world.destination.blobs[f"{FOLDER}/manifest.json"].data, after)
    assert world.ledger.open == set()
    assert world.queue.waiting == []


def test_a_chunk_that_is_not_safe_keeps_the_recording_open() -> None:
    after = care(world_with(chunk(0, S.RESCUED, **DONE), chunk(1, S.PENDING)))
    assert after.chunks[0].metadata_state == "saved"
    assert after.manifest.state == "pending"
    assert after.closed_at is None


def test_a_chunk_whose_metadata_waits_keeps_the_recording_open() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), chunk(1, S.RESCUED, **DONE))
    assert care(world).closed_at is None
    assert care(world, index=1).closed_at == NOON


def test_a_lost_chunk_does_not_keep_the_recording_open() -> None:
    after = care(world_with(chunk(0, S.RESCUED, **SAVED), chunk(1, S.LOST, finished_at=NOON)), index=1)
    assert after.state is RecordingState.LOST
    assert after.closed_at == NOON
    assert after.manifest.state == "written"


@pytest.mark.parametrize("manifest", ["pending", "written"])
def test_what_ends_after_a_delivery_was_given_up_closes_the_recording(manifest: str) -> None:
    """Else nobody would come by any more: the chunk in the fallback has no further try."""
    chunks = (chunk(0, S.IN_FALLBACK, **SAVED), chunk(1, S.LOST, finished_at=NOON))
    world = world_with(*chunks, manifest=Manifest(manifest))
    after = care(world, index=1)
    assert (after.closed_at, after.state) == (NOON, RecordingState.SAFE)
    assert after.manifest.state == ("given_up" if manifest == "pending" else "written")


@pytest.mark.parametrize(
    "other",
    [chunk(0, S.IN_FALLBACK, **SAVED | {"next_try_at": NOON}), chunk(0, S.EXPECTED), chunk(0, S.RESCUED, **DONE)],
)
def test_what_ends_before_another_chunk_does_not_close_the_recording(other: Chunk) -> None:
    chunks = (other, chunk(1, S.LOST, finished_at=NOON), chunk(2, S.IN_FALLBACK, **SAVED))
    assert care(world_with(*chunks), index=1).closed_at is None


@pytest.mark.parametrize(
    "other",
    [chunk(0, S.PENDING), chunk(0, S.RESCUED, **SAVED), chunk(0, S.IN_FALLBACK, **SAVED)],
    ids=["open", "complete", "given up"],
)
def test_a_loss_is_told_whatever_becomes_of_the_other_chunks(other: Chunk) -> None:
    """Whoever lost it died before saying so, and the message came back."""
    world = world_with(other, chunk(1, S.LOST, finished_at=NOON))
    care(world, index=1)
    assert world.notifier.names == ["lost_1"]


def test_a_recording_that_is_gone_from_the_ledger_is_left() -> None:
    world = World()
    one = recording(chunk(0, S.RESCUED, **SAVED))
    world.app().rescue._aftercare.chunk_is_safe(one, one.chunks[0])
    assert world.ledger.documents == {}


def test_metadata_that_stands_already_is_left_as_it_is() -> None:
    world = world_with(chunk(0, S.RESCUED, **DONE))
    name = the(world).chunks[0].metadata_blob or ""
    world.destination.put(name, b"of ACS", content_type="application/json", overwrite=False)
    assert care(world).chunks[0].metadata_state == "saved"
    assert world.destination.blobs[name].data == b"of ACS"


def test_a_chunk_without_metadata_has_none() -> None:
    after = care(world_with(chunk(0, S.RESCUED, metadata_location=None, **DONE)))
    assert after.chunks[0].metadata_state == "absent"
    assert after.closed_at == NOON


@pytest.mark.parametrize("metadata", [None, b"", b"<html>", b"[]", b"5", b"[" * 100_000, b"x" * (16 * 1024 * 1024 + 1)])
def test_metadata_that_cannot_be_had_is_tried_again(metadata: bytes | None) -> None:
    world = world_with(chunk(0, S.RESCUED, **DONE), metadata=metadata)
    after = care(world)
    assert after.chunks[0].metadata_state == "pending"
    assert after.chunks[0].failures == 1
    assert after.closed_at is None
    [waiting] = world.queue.waiting
    assert waiting.message.ticket == after.chunks[0].ticket == 2
    world.media.files[after.chunks[0].metadata_location or ""] = MediaFile(METADATA)
    world.deliver_next(world.app())
    assert the(world).closed_at is not None


def test_metadata_is_given_up_after_the_window_and_said_aloud() -> None:
    world = world_with(chunk(0, S.RESCUED, **DONE), metadata=None, deadline=NOON + 2 * HOUR)
    care(world)
    app = world.app()
    for _ in range(1_000):
        if world.deliver_next(app) is None:
            break
    after = the(world)
    assert after.chunks[0].metadata_state == "absent"
    assert after.closed_at is not None
    assert world.notifier.names == ["metadata_lost_0"]
    assert world.clock.now() >= after.deadline


EXPORTED_METADATA = f"{FOLDER}/0-acsmetadata.json"
CLAIMED: dict[str, Any] = DONE | {"metadata_location": None, "claimed_metadata_blob": EXPORTED_METADATA}


def test_metadata_that_acs_exported_a_moment_later_is_waited_for() -> None:
    """Nothing may be deleted at ACS before it is there."""
    world = world_with(chunk(0, S.EXPORTED, **CLAIMED), deletes=True)
    after = care(world)
    assert after.chunks[0].metadata_state == "pending"
    assert world.media.deleted == []
    world.destination.put(EXPORTED_METADATA, METADATA, content_type="application/json", overwrite=False)
    world.deliver_next(world.app())
    after = the(world)
    assert (after.chunks[0].metadata_state, after.chunks[0].metadata_blob) == ("saved", EXPORTED_METADATA)
    assert after.closed_at is not None
    assert world.media.deleted == [after.chunks[0].delete_location]


def test_metadata_that_acs_never_exported_is_not_looked_for_a_thousand_times() -> None:
    world = world_with(chunk(0, S.RESCUED, **CLAIMED))
    care(world)
    app = world.app()
    tries = 0
    while world.deliver_next(app):
        tries += 1
    after = the(world)
    assert (after.chunks[0].metadata_state, world.notifier.names) == ("absent", ["metadata_lost_0"])
    assert after.closed_at is not None
    assert world.clock.now() >= after.deadline
    assert 20 < tries < 60


def test_metadata_goes_with_its_chunk_into_the_fallback() -> None:
    world = world_with(chunk(0, S.IN_FALLBACK, **DONE))
    world.destination.refusal = StorageAccessDenied()
    after = care(world)
    assert after.chunks[0].metadata_state == "saved"
    assert fallback_name(after, after.chunks[0].metadata_blob or "") in world.fallback.blobs
    assert [delivery.message.chunk_key for delivery in world.queue.waiting] == [after.chunks[0].key]


def test_metadata_that_fails_does_not_hold_up_the_delivery() -> None:
    world = world_with(chunk(0, S.IN_FALLBACK, **DONE), metadata=None)
    after = care(world)
    assert after.chunks[0].metadata_state == "pending"
    assert [delivery.message.ticket for delivery in world.queue.waiting] == [1]


def test_a_manifest_that_cannot_be_written_is_tried_again_and_given_up_after_the_deliverys_days() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED))
    world.destination.refusal = StorageAccessDenied()
    after = care(world)
    assert after.manifest == Manifest("pending", 1, after.chunks[0].next_try_at)
    assert after.closed_at is None
    app = world.app()
    for _ in range(1_000):
        if world.deliver_next(app) is None:
            break
    after = the(world)
    assert after.manifest.state == "given_up"
    assert after.closed_at is not None
    assert after.closed_at >= after.deadline + timedelta(days=7)


def test_a_manifest_is_written_over_only_where_it_is_this_recordings() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED))
    world.destination.put(f"{FOLDER}/manifest.json", b"another's", content_type="text/plain", overwrite=False)
    after = care(world)
    assert after.manifest.blob == f"{FOLDER}/manifest.{after.key}.json"
    assert world.destination.blobs[f"{FOLDER}/manifest.json"].data == b"another's"
    world.ledger.save(replace(after, closed_at=None, manifest=Manifest()), etag=world.ledger.documents[after.key][1])
    world.clock.advance(HOUR)
    again = care(world)
    assert again.manifest.blob == after.manifest.blob
    written = json.loads(world.destination.blobs[again.manifest.blob or ""].data)["writtenAt"]
    assert written == "2026-11-22T13:00:00.000Z"


def test_a_manifest_that_has_no_place_is_told_and_given_up_in_the_end() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), deadline=NOON - 8 * 24 * HOUR)
    for name in ("manifest.json", f"manifest.{the(world).key}.json"):
        world.destination.put(f"{FOLDER}/{name}", b"another's", content_type="text/plain", overwrite=False)
    assert care(world).manifest.state == "given_up"
    assert the(world).closed_at == NOON


def test_a_manifest_lies_beside_what_acs_exported() -> None:
    world = world_with(
        chunk(0, S.LOST, **DONE), chunk(1, S.EXPORTED, **SAVED | {"blob": "20261121/call-1/acs-folder/1-x.mp3"})
    )
    assert care(world, index=1).manifest.blob == "20261121/call-1/acs-folder/manifest.json"


def test_without_any_folder_the_key_is_one() -> None:
    world = world_with(chunk(0, S.LOST, **DONE), folder=None)
    assert care(world).manifest.blob == f"{recording().key}/manifest.json"


def test_nothing_is_deleted_at_acs_unless_it_is_asked_for() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED))
    assert care(world).chunks[0].deletion == "off"
    assert world.media.deleted == []


def test_what_is_verified_is_deleted_at_acs_where_it_is_asked_for() -> None:
    world = world_with(
        chunk(0, S.RESCUED, **SAVED), chunk(1, S.EXPORTED, **SAVED | {"delete_location": None}), deletes=True
    )
    after = care(world)
    assert world.media.deleted == [after.chunks[0].delete_location]
    assert [one.deletion for one in after.chunks] == ["done", "off"]
    assert after.closed_at == NOON


def test_nothing_is_deleted_of_a_recording_of_which_a_chunk_is_lost() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), chunk(1, S.LOST, **DONE), deletes=True)
    assert care(world).closed_at == NOON
    assert world.media.deleted == []


def test_a_deletion_is_only_asked_for_what_the_chunk_is() -> None:
    """An event could name any object of the account."""
    other = "https://us-api.asm.skype.com/v1/objects/another-document"
    world = world_with(chunk(0, S.RESCUED, **SAVED | {"delete_location": other}), deletes=True)
    assert care(world).chunks[0].deletion == "failed"
    assert world.media.deleted == []
    assert the(world).closed_at == NOON


def failing_deletes(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
    if name == "delete" and "skype" in str(arguments):
        raise MediaUnavailable
    return call()


def test_a_deletion_that_fails_is_tried_again_inside_the_window() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), deletes=True)
    after = care(world, media=watched(world.media, failing_deletes))
    assert after.chunks[0].deletion == "pending"
    assert after.closed_at is None
    world.deliver_next(world.app())
    assert the(world).chunks[0].deletion == "done"
    assert the(world).closed_at is not None


def test_a_deletion_that_fails_to_the_end_is_left_to_acs() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), deletes=True, deadline=NOON + 2 * HOUR)
    care(world, media=watched(world.media, failing_deletes))
    app = world.app(media=watched(world.media, failing_deletes))
    for _ in range(1_000):
        if world.deliver_next(app) is None:
            break
    assert the(world).chunks[0].deletion == "failed"
    assert the(world).closed_at is not None


def test_who_planned_meanwhile_is_left_in_peace() -> None:
    """Somebody else took up the chunk between the try and its failure: one plan, not two."""
    world = world_with(chunk(0, S.RESCUED, **DONE), metadata=None)
    seen = the(world)
    world.ledger.save(seen.with_chunk(replace(seen.chunks[0], ticket=9)), etag=world.ledger.documents[seen.key][1])
    world.app().rescue._aftercare.chunk_is_safe(seen, seen.chunks[0])
    assert the(world).chunks[0].ticket == 9
    assert world.queue.waiting == []


def test_two_that_finish_at_once_close_it_once(caplog: pytest.LogCaptureFixture) -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED))

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "destination" and the(world).closed_at is None:
            caplog.set_level("INFO", logger="recorder")
            world.app().rescue._aftercare.chunk_is_safe(the(world), the(world).chunks[0])
            world.clock.advance(timedelta(seconds=1))
        return call()

    assert care(world, containers=watched(world.containers, meanwhile)).closed_at == NOON
    assert caplog.text.count("recording.closed") == 1


def at_the_manifest(world: World, meanwhile: Callable[[], None], error: Exception | None = None) -> Recording:
    """Aftercare, while `meanwhile` happens just after the first manifest is written; its answer may be lost."""
    seen: list[str] = []

    class Containers:
        def destination(self, container: Any) -> Any:
            return watched(world.containers.destination(container), around)

        def fallback(self) -> Any:
            return world.containers.fallback()

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        answer = call()
        if name == "put" and not seen:
            seen.append(name)
            meanwhile()
            if error:
                raise error
        return answer

    return care(world, containers=Containers())


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_manifest_whose_answer_was_lost_does_not_undo_another_workers(*, is_closed: bool) -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED))
    ended: dict[str, Any] = {"manifest": Manifest("written", 0, None, f"{FOLDER}/manifest.json")}
    if is_closed:
        ended["closed_at"] = NOON

    def meanwhile() -> None:
        world.ledger.save(replace(the(world), **ended), etag=world.ledger.documents[the(world).key][1])

    after = at_the_manifest(world, meanwhile, StorageUnavailable())
    assert after.manifest == ended["manifest"]
    assert len(world.queue.waiting) == (0 if is_closed else 1)
    world.deliver_next(world.app())
    assert the(world).closed_at is not None


@pytest.mark.parametrize("state", [S.PENDING, S.RESCUED])
def test_a_chunk_that_an_event_tells_of_meanwhile_keeps_the_recording_open(state: ChunkState) -> None:
    """Its manifest is not told yet; who brings the chunk writes it anew, and closes."""
    world = world_with(chunk(0, S.RESCUED, **SAVED))

    def meanwhile() -> None:
        both = replace(the(world), chunks=(the(world).chunks[0], chunk(1, state, **SAVED)))
        world.ledger.save(both, etag=world.ledger.documents[both.key][1])

    after = at_the_manifest(world, meanwhile)
    assert after.closed_at is None
    assert after.manifest == Manifest("pending", 0, None, f"{FOLDER}/manifest.json")
    brought = after.with_chunk(chunk(1, S.RESCUED, **SAVED))
    world.ledger.save(brought, etag=world.ledger.documents[after.key][1])
    after = care(world, index=1)
    assert after.closed_at is not None
    assert len(json.loads(world.destination.blobs[f"{FOLDER}/manifest.json"].data)["chunks"]) == 2


def test_a_ledger_that_fails_is_told_to_the_host() -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save":
            raise StorageUnavailable
        return call()

    world = world_with(chunk(0, S.RESCUED, **DONE))
    with pytest.raises(StorageUnavailable):
        care(world, ledger=watched(world.ledger, failing))
