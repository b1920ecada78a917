"""A replay, and who else is at the recording: workers, events, other replays; and what dies in the midst of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from shared.domain.recording import ChunkState, Manifest, Recording
from shared.ports import RescueMessage
from tests.support.fakes import MediaFile, World, watched
from tests.unit.builders import FOLDER, MEDIA, NOON, chunk, recording
from tests.unit.test_replay import (
    DATA,
    DONE,
    GIVEN_UP,
    KEY,
    LATER,
    MINUTE,
    WRITTEN,
    S,
    given_up,
    kept,
    replayed,
    the,
    tickets,
    while_it,
    works,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def rescuable(state: ChunkState = S.PENDING, **changes: Any) -> World:
    world = kept(recording(chunk(0, state, **{"metadata_state": "absent"} | changes)))
    world.media.files[MEDIA.format(chunk(0).document_id)] = MediaFile(DATA)
    return world


def test_a_replay_while_the_bytes_are_under_way_leaves_them_their_way() -> None:
    world = rescuable()
    said: list[bool] = []
    replays = while_it(world, "open", lambda: said.append(world.app().replay.replay(KEY)))
    world.app(media=watched(world.media, replays)).rescue.handle(RescueMessage(KEY, chunk(0).key, 1))
    assert said == [False]
    assert (the(world).chunks[0].state, the(world).chunks[0].ticket) == (S.RESCUED, 1)


@pytest.mark.parametrize("state", [S.PENDING, S.IN_FALLBACK])
def test_a_replay_while_a_try_begins_or_ends_costs_nothing_and_doubles_nothing(state: ChunkState) -> None:
    """The worker's plan is void or its bytes are there: the new message does what is left."""
    world = rescuable(state, **(DONE if state is S.IN_FALLBACK else {}))

    class Destination:
        def destination(self, container: Any) -> Any:
            found = world.containers.destination(container)
            return watched(found, while_it(world, "find", lambda: world.app().replay.replay(KEY)))

        def fallback(self) -> Any:
            return world.containers.fallback()

    saves = while_it(world, "save", lambda: world.app().replay.replay(KEY))
    ports = {"ledger": watched(world.ledger, saves)} if state is S.PENDING else {"containers": Destination()}
    world.app(**ports).rescue.handle(RescueMessage(KEY, chunk(0).key, 1))
    assert the(world).chunks[0].ticket == 2
    after = works(world)
    assert (after.chunks[0].state, after.closed_at) == (S.RESCUED if state is S.PENDING else S.DELIVERED, NOON)
    assert [name for name in world.destination.blobs if name.endswith(".mp3")] == [after.chunks[0].blob]
    assert world.fallback.blobs == {}


def test_a_delivery_that_fails_beside_a_replay_plans_nothing_of_its_own() -> None:
    world = given_up()
    replayed(world)
    stale = RescueMessage(KEY, chunk(0).key, 6)
    deletes = while_it(world, "save", lambda: world.app().replay.replay(KEY))
    world.app(ledger=watched(world.ledger, deletes)).rescue.handle(stale)
    assert (the(world).closed_at, the(world).chunks[0].ticket, world.notifier.names) == (None, 7, [])
    assert works(world).closed_at == NOON
    assert world.notifier.names == ["delivery_given_up"]


def test_a_manifest_that_is_being_written_does_not_close_what_a_replay_looks_for() -> None:
    """It tells of a loss; the look finds the file, and the manifest is written anew."""
    chunks = (chunk(0, S.RESCUED, **DONE), chunk(1, S.LOST, finished_at=NOON, metadata_state="absent"))
    world = kept(recording(*chunks, alerts=("lost_1",)))

    def comes() -> None:
        world.destination.put(chunks[1].blob or "", DATA, content_type="x", overwrite=False)
        world.app().replay.replay(KEY)

    saves = while_it(world, "save", comes)
    world.app(ledger=watched(world.ledger, saves)).rescue.handle(RescueMessage(KEY, chunks[0].key, 1))
    assert (the(world).closed_at, the(world).manifest) == (None, Manifest(blob=f"{FOLDER}/manifest.json"))
    after = works(world)
    assert (after.chunks[1].state, after.manifest.state, after.closed_at) == (S.EXPORTED, "written", NOON)
    assert b'"state": "complete"' in world.destination.read(after.manifest.blob or "")


def test_an_event_that_comes_in_between_is_kept() -> None:
    """The ledger's ETag: who lost the race decides again, on what the event made of the recording."""
    world = kept(recording(chunk(0, next_try_at=LATER)))

    def comes() -> None:
        before, etag = world.ledger.load(KEY) or (recording(), None)
        more = replace(before, chunks=(*before.chunks, chunk(1, next_try_at=LATER)))
        world.ledger.save(more, etag=etag)

    after = replayed(world, ledger=watched(world.ledger, while_it(world, "save", comes)))
    assert [each.ticket for each in after.chunks] == [2, 2]
    assert tickets(world) == [(0, 2), (1, 2)]


def test_of_two_replays_the_later_one_counts() -> None:
    world = rescuable()

    def another() -> None:
        world.clock.advance(MINUTE)
        world.app().replay.replay(KEY)

    replayed(world, ledger=watched(world.ledger, while_it(world, "save", another)))
    assert tickets(world) == [(0, 2), (0, 3)]
    after = works(world)
    assert (after.chunks[0].state, after.closed_at) == (S.RESCUED, world.clock.now())
    assert [name for name in world.destination.blobs if name.endswith(".mp3")] == [after.chunks[0].blob]


class CrashedError(Exception):
    """The process is gone."""


PLANNED = [
    recording(chunk(0, S.EXPECTED, next_try_at=LATER)),
    recording(chunk(0, S.PENDING, next_try_at=LATER)),
    recording(chunk(0, S.IN_FALLBACK, next_try_at=None, **DONE), closed_at=NOON, manifest=GIVEN_UP),
    recording(chunk(0, S.RESCUED, **DONE), chunk(1, S.LOST, finished_at=NOON), closed_at=NOON, manifest=WRITTEN),
    recording(chunk(0, S.RESCUED, **DONE), closed_at=NOON, manifest=GIVEN_UP),
    recording(chunk(0, S.RESCUED, next_try_at=LATER, **DONE), manifest=Manifest("pending", 5, LATER)),
    recording(chunk(0, S.RESCUED, **DONE | {"metadata_state": "pending"}), closed_at=NOON, manifest=GIVEN_UP),
]


@pytest.mark.parametrize("one", PLANNED, ids=lambda one: f"{one.chunks[-1].state}, {one.manifest.state}")
@pytest.mark.parametrize("error", [CrashedError(), e.StorageUnavailable()])
def test_what_dies_between_ledger_and_queue_is_found_by_the_sweep(one: Recording, error: Exception) -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "send":
            raise error
        return call()

    world = kept(one)
    app = world.app(queue=watched(world.queue, failing))
    if isinstance(error, CrashedError):
        with pytest.raises(CrashedError):
            app.replay.replay(KEY)
    else:
        assert app.replay.replay(KEY)
    assert (the(world).closed_at, world.queue.waiting) == (None, [])
    assert the(world).marker in world.ledger.open
    planned = [each.key for each, old in zip(the(world).chunks, one.chunks, strict=True) if each.ticket != old.ticket]
    world.clock.advance(5 * MINUTE)
    world.app().sweep.run()
    assert [delivery.message.chunk_key for delivery in world.queue.waiting] == planned
    assert world.clock.now() < LATER


@pytest.mark.parametrize("at", range(3))
def test_a_recording_that_is_open_again_has_its_marker_wherever_a_crash_comes(at: int) -> None:
    world = given_up()
    effects: list[str] = []

    def crashing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name in ("put_marker", "save", "send"):
            if len(effects) == at:
                raise CrashedError
            effects.append(name)
        return call()

    app = world.app(ledger=watched(world.ledger, crashing), queue=watched(world.queue, crashing))
    with pytest.raises(CrashedError):
        app.replay.replay(KEY)
    assert effects == ["put_marker", "save", "send"][:at]
    assert the(world).closed_at is not None or the(world).marker in world.ledger.open


def test_a_ledger_that_fails_is_told() -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise e.StorageUnavailable

    world = given_up()
    with pytest.raises(e.StorageUnavailable):
        world.app(ledger=watched(world.ledger, failing)).replay.replay(KEY)


def test_a_document_that_is_removed_meanwhile_is_left_so() -> None:
    world = kept(recording(chunk(0)))
    app = world.app(ledger=watched(world.ledger, while_it(world, "save", world.ledger.documents.clear)))
    assert not app.replay.replay(KEY)
