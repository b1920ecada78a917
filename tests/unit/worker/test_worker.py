"""The loop: leases, doubled messages, dead workers, documents that cannot be read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.recording import ChunkState, Lease, Step
from shared.ports import RECORDING_PART, OpenEntry, WorkItem
from tests.support.fakes import World, watched
from tests.unit.builders import NOON, chunk, recording
from tests.unit.loop_rig import MP3, drain, is_complete, put, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.recording import Recording


@pytest.fixture
def world() -> World:
    return World()


def held(until: timedelta, holder: str = "1") -> Recording:
    return recording(chunk(lease=Lease(Step.FETCH, holder, NOON + until)))


def item(one: Recording, generation: int = 1) -> WorkItem:
    return WorkItem(one.key, one.chunks[0].key, generation)


def test_a_message_leads_to_a_closed_recording_with_its_bytes_in_place(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    serve(world, one.chunks[0])
    app = world.app()
    app.worker.handle(item(one), message_id="1")
    drain(world, app)
    after = world.ledger.recording(one.key)
    assert is_complete(world, one)
    assert after.closed_at is not None
    assert world.ledger.open == {}
    [done] = after.chunks
    assert (done.state, done.size, done.metadata_state) == (ChunkState.RESCUED, len(MP3), "saved")
    assert world.destination.blobs[done.blob or ""].data == MP3


@pytest.mark.parametrize(("until", "message_id"), [(5, "1"), (0, "2"), (-1, "2")])
def test_the_same_message_again_or_an_expired_lease_means_that_the_worker_died(
    world: World, until: int, message_id: str
) -> None:
    one = held(timedelta(minutes=until))
    put(world, one)
    serve(world, one.chunks[0])
    app = world.app()
    app.worker.handle(item(one), message_id=message_id)
    [after] = world.ledger.recording(one.key).chunks
    assert (after.crashes, after.lease) == (1, None)
    drain(world, app)
    assert is_complete(world, one)


def test_a_message_of_an_older_plan_moves_no_byte(world: World) -> None:
    one = recording(chunk(generation=3))
    put(world, one)
    serve(world, one.chunks[0])
    world.app().worker.handle(item(one, 2), message_id="1")
    assert world.media.asked == []
    assert world.ledger.recording(one.key) == one


def test_a_message_about_nothing_known_does_nothing(world: World) -> None:
    world.app().worker.handle(WorkItem("0" * 32, RECORDING_PART), message_id="1")
    assert (world.ledger.open, world.queue.waiting) == ({}, [])


def test_a_document_that_cannot_be_read_is_moved_out_of_the_way(world: World) -> None:
    key = "0" * 32
    world.ledger.open[key] = (b"{", '"1"', OpenEntry(key, None, None, "saving"))
    world.app().worker.handle(WorkItem(key, RECORDING_PART), message_id="1")
    assert world.ledger.quarantined == {key: b"{"}
    assert world.ledger.open == {}


def test_a_bug_in_a_step_costs_an_attempt_and_not_the_recording(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    serve(world, one.chunks[0])
    failures = [KeyError("bug")]

    def once(_name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if failures:
            raise failures.pop()
        return call()

    app = world.app(media=watched(world.media, once))
    app.worker.handle(item(one), message_id="1")
    [failed] = world.ledger.recording(one.key).chunks
    assert failed.last_error is not None
    assert (failed.attempts, failed.last_error.code, failed.state) == (1, "unexpected", ChunkState.PENDING)
    drain(world, app)
    assert is_complete(world, one)
