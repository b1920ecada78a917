"""What follows the bytes: the recording closes when all is done, and said aloud is what is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.recording import Chunk, ChunkState, Manifest, RecordingState
from shared.worker.manifest import is_manifest_of
from tests.support.fakes import World, watched
from tests.unit.aftercare_rig import DONE, METADATA, SAVED, S, care, the, world_with
from tests.unit.builders import FOLDER, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_a_ledger_that_fails_is_told_to_the_host() -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save":
            raise StorageUnavailable
        return call()

    world = world_with(chunk(0, S.RESCUED, **DONE))
    with pytest.raises(StorageUnavailable):
        care(world, ledger=watched(world.ledger, failing))
