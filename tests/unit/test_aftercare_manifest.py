"""The manifest after the last chunk: written beside the files, and over nothing but itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import StorageAccessDenied, StorageUnavailable
from shared.domain.recording import ChunkState, Manifest, Recording
from tests.support.fakes import World, watched
from tests.unit.aftercare_rig import DONE, SAVED, S, care, the, world_with
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable


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
