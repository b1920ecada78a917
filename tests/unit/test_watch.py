"""What an event sets going: each chunk into the ledger, one message a chunk, and nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.recording import ChunkState, Manifest
from tests.support.fakes import CONTAINER, World, watched
from tests.unit.builders import DELETE, HOUR, MEDIA, METADATA, NOON
from tests.unit.watch_rig import FOLDER, KEY, S, exported, failed, told, watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


def test_a_failed_chunk_is_pending_and_queued_at_once() -> None:
    world = World()
    one = watch(world, told())
    [chunk] = one.chunks
    assert (one.key, one.recording_id, one.call_id) == (KEY, "recording-1", "call-1")
    assert one.deadline == NOON + 24 * HOUR
    assert (one.recording_start, one.duration, one.event_time) == (NOON - HOUR, HOUR, NOON)
    assert one.container_url == str(CONTAINER)
    assert one.marker in world.ledger.open
    assert len(one.events) == 1
    assert chunk.state is S.PENDING
    assert chunk.media_location == MEDIA.format("d0")
    assert chunk.metadata_location == METADATA.format("d0")
    assert chunk.delete_location == DELETE.format("d0")
    assert chunk.blob == f"{one.folder}/0-audiomp3.d0.mp3"
    assert chunk.metadata_blob == f"{one.folder}/0-acsmetadata.d0.json"
    assert (one.folder or "").startswith("20261122/call-1/recordin-")
    assert (chunk.next_try_at, chunk.first_seen_at, chunk.ticket) == (NOON, NOON, 1)
    [waiting] = world.queue.waiting
    assert (waiting.message.recording_key, waiting.message.chunk_key, waiting.due) == (KEY, chunk.key, NOON)


def test_an_exported_chunk_is_expected_until_it_is_verified() -> None:
    world = World()
    [chunk] = watch(world, told(exported())).chunks
    assert chunk.state is S.EXPECTED
    assert chunk.claimed_blob == f"{FOLDER}/0-audiomp3.mp3"
    assert chunk.claimed_metadata_blob == f"{FOLDER}/0-acsmetadata.json"
    assert chunk.media_location == MEDIA.format("d0")  # derived, for the case that the claim does not hold
    assert chunk.metadata_location is None
    assert len(world.queue.waiting) == 1


def test_chunks_are_decided_one_by_one_and_kept_together() -> None:
    one = watch(World(), told(failed(2), exported(0), failed(1)))
    assert [chunk.index for chunk in one.chunks] == [0, 1, 2]
    assert [chunk.state for chunk in one.chunks] == [S.EXPECTED, S.PENDING, S.PENDING]
    assert one.folder == FOLDER
    assert (one.chunks[1].blob or "").startswith(f"{FOLDER}/1-")


@pytest.mark.parametrize("times", [2, 5])
def test_a_repeated_event_changes_nothing(times: int) -> None:
    world = World()
    event = told(failed(0), exported(1))
    first = watch(world, event)
    for delivery in list(world.queue.waiting):
        world.queue.finish(delivery)
    moved = first.with_chunk(replace(first.chunks[0], ticket=2)).with_chunk(replace(first.chunks[1], ticket=2))
    world.ledger.save(moved, etag=world.ledger.documents[KEY][1])
    etag = world.ledger.documents[KEY][1]
    watch(world, *[event] * times)
    assert world.ledger.documents[KEY][1] == etag
    assert world.queue.waiting == []


def test_a_first_try_that_was_not_queued_is_queued_by_the_next_delivery() -> None:
    """The process died between ledger and queue: Event Grid delivers again."""
    world = World()

    def crashing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        watch(world, told(), queue=watched(world.queue, crashing))
    assert world.queue.waiting == []
    watch(world, told())
    assert len(world.queue.waiting) == 1


def test_events_of_one_recording_add_up_in_any_order() -> None:
    events = [told(failed(1)), told(exported(0)), told(failed(2))]
    one, other = watch(World(), *events), watch(World(), *reversed(events))
    assert [chunk.key for chunk in one.chunks] == [chunk.key for chunk in other.chunks]
    assert [chunk.index for chunk in one.chunks] == [0, 1, 2]
    assert len(one.events) == 3
    assert len(watch(World(), *events, told(failed(3)), told(failed(4))).events) == 3


def test_a_further_chunk_opens_a_finished_recording_and_its_manifest_again() -> None:
    world = World()
    one = watch(world, told(failed(0)))
    done = one.with_chunk(replace(one.chunks[0], state=S.RESCUED, ticket=2, tries=1))
    done = replace(done, closed_at=NOON, manifest=Manifest("written", 0, None, "m"), marker=None)
    world.ledger.save(done, etag=world.ledger.documents[KEY][1])
    world.ledger.open.clear()
    after = watch(world, told(failed(1)))
    assert after.closed_at is None
    assert after.manifest == Manifest(blob="m")
    assert after.marker in world.ledger.open
    assert [chunk.state for chunk in after.chunks] == [S.RESCUED, S.PENDING]


@pytest.mark.parametrize(("closed_at", "state"), [(None, "pending"), (NOON, "absent")])
def test_metadata_that_a_later_event_tells_of_is_fetched_while_the_recording_is_open(
    closed_at: datetime | None, state: str
) -> None:
    world = World()
    without = {name: value for name, value in failed(0).items() if name != "metadataLocation"}
    one = watch(world, told(without))
    assert one.chunks[0].metadata_state == "absent"
    world.ledger.save(replace(one, closed_at=closed_at), etag=world.ledger.documents[KEY][1])
    [after] = watch(world, told(failed(0))).chunks
    assert (after.metadata_location, after.metadata_state) == (METADATA.format("d0"), state)


def test_metadata_that_was_given_up_is_not_asked_for_again_by_an_event_that_repeats() -> None:
    world = World()
    one = watch(world, told(failed(0)))
    given_up = one.with_chunk(replace(one.chunks[0], metadata_state="absent"))
    world.ledger.save(given_up, etag=world.ledger.documents[KEY][1])
    assert watch(world, told(failed(0))).chunks[0].metadata_state == "absent"


def closed_with(state: ChunkState, **changes: Any) -> World:
    world = World()
    one = watch(world, told(failed(0)))
    for delivery in list(world.queue.waiting):
        world.queue.finish(delivery)
    done = one.with_chunk(replace(one.chunks[0], state=state, next_try_at=None, **changes))
    world.ledger.save(replace(done, closed_at=NOON, marker=None), etag=world.ledger.documents[KEY][1])
    world.ledger.open.clear()
    return world


def test_an_export_that_comes_after_the_rescue_is_noted_and_both_are_kept() -> None:
    world = closed_with(S.RESCUED)
    after = watch(world, told(exported(0)))
    assert after.chunks[0].state is S.RESCUED
    assert after.chunks[0].claimed_blob == f"{FOLDER}/0-audiomp3.mp3"
    assert after.closed_at == NOON
    assert any("after all" in note for note in after.notes)
    assert world.queue.waiting == []


def test_a_lost_chunk_that_an_event_claims_is_looked_for_again() -> None:
    world = closed_with(S.LOST)
    after = watch(world, told(exported(0)))
    assert after.closed_at is None
    assert after.chunks[0].ticket == 2
    assert [delivery.message.ticket for delivery in world.queue.waiting] == [2]
    watch(world, told(exported(0)))
    assert len(world.queue.waiting) == 1


def test_a_later_event_adds_locations_and_takes_none_away() -> None:
    world = World()
    watch(world, told(failed(0, metadataLocation=None, deleteLocation=None)))
    before = watch(world, told(failed(0)))
    assert before.chunks[0].metadata_location == METADATA.format("d0")
    after = watch(world, told(failed(0, contentLocation=MEDIA.format("forged"), metadataLocation=None)))
    assert after.chunks[0].media_location == MEDIA.format("d0")
    assert after.chunks[0].metadata_location == METADATA.format("d0")


@pytest.mark.parametrize(
    ("at", "data", "hours"),
    [
        (NOON, {}, 24),
        (NOON - 2 * HOUR, {}, 22),
        (NOON - 30 * HOUR, {}, -6),
        (NOON + 5 * HOUR, {}, 24),  # a clock that is ahead gives no more time
        (NOON, {"recordingDurationMs": 0}, 23),
        (NOON, {"recordingDurationMs": None}, 23),
        (NOON, {"recordingStartTime": None}, 24),
    ],
)
def test_the_deadline_is_a_day_after_the_earlier_of_end_and_event(at: Any, data: dict[str, Any], hours: int) -> None:
    assert watch(World(), told(at=at, **data)).deadline == NOON + hours * HOUR


def test_an_event_without_a_time_counts_from_now() -> None:
    event = json.loads(told(recordingStartTime=None))[0]
    del event["eventTime"]
    assert watch(World(), json.dumps(event)).deadline == NOON + 24 * HOUR
