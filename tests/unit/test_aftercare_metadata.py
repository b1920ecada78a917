"""Metadata after the bytes: saved beside them, waited for, given up when nothing more can come."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import StorageAccessDenied
from shared.worker.finder import fallback_name
from tests.support.fakes import MediaFile
from tests.unit.aftercare_rig import DONE, METADATA, S, care, the, world_with
from tests.unit.builders import FOLDER, HOUR, NOON, chunk


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
