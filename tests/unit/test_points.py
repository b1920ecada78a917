"""What must be true of the whole way of a recording, by the numbers of the design's list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain import facts as f
from shared.domain.errors import Blame, StorageAccessDenied
from shared.domain.media import Proof
from shared.domain.recording import ChunkState, Step
from shared.ports import WorkItem
from tests.support.fakes import MediaFile, World, settings
from tests.support.fakes.storage import Blob
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording
from tests.unit.loop_rig import MP3, drain, put, serve


@pytest.fixture
def world() -> World:
    return World()


BROKEN = {"one byte": b"\xff", "zeros": bytes(5000), "page": b"<!DOCTYPE html><html><body>no</body></html>" * 20}


@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
def test_point_5_a_broken_export_never_ends_as_verified_and_is_never_deleted_at_acs(data: bytes) -> None:
    world = World(settings(delete_at_acs=True))
    name = f"{FOLDER}/0-audiomp3.0-eus-d1-00000000.mp3"
    one = recording(chunk(0, ChunkState.EXPECTED, exports=(name,), sources=()))
    put(world, one)
    world.destination.blobs[name] = Blob(data, "1", "audio/mpeg")
    app = world.app()
    app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
    drain(world, app, hours=60)
    [after] = world.ledger.recording(one.key).chunks
    assert after.proof is Proof.NONE
    assert world.media.deleted == []
    assert world.notifier.names


@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
def test_point_5_what_acs_still_has_is_fetched_beside_a_broken_export(world: World, data: bytes) -> None:
    name = f"{FOLDER}/0-audiomp3.0-eus-d1-00000000.mp3"
    one = recording(chunk(0, ChunkState.EXPECTED, exports=(name,)))
    put(world, one)
    serve(world, one.chunks[0])
    world.destination.blobs[name] = Blob(data, "1", "audio/mpeg")
    app = world.app()
    app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
    drain(world, app)
    [after] = world.ledger.recording(one.key).chunks
    assert after.state is ChunkState.RESCUED
    assert (after.size, after.sha256 is not None, after.proved_at is not None) == (len(MP3), True, True)
    assert world.destination.blobs[after.blob or ""].data == MP3
    assert world.destination.blobs[name].data == data


def test_point_7_an_alert_topic_that_never_answers_holds_no_byte_up(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    world.notifier.is_down = True
    app = world.app()
    world.destination.refusal = StorageAccessDenied("403")
    serve(world, one.chunks[0])
    app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
    assert [alert.name for alert in world.ledger.recording(one.key).outbox] == ["storage_access_denied"]
    world.destination.refusal = None
    drain(world, app, hours=2)
    after = world.ledger.recording(one.key)
    assert after.chunks[0].state is ChunkState.DELIVERED
    assert after.outbox
    assert world.notifier.names == []


def test_point_8_a_replay_erases_nothing(world: World) -> None:
    one = recording(chunk(sources=()), started=None)
    put(world, one)
    app = world.app()
    app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
    before = world.ledger.recording(one.key)
    app.replay.replay(one.key, by="api")
    after = world.ledger.recording(one.key)
    assert after.timeline[: len(before.timeline)] == before.timeline
    assert (after.timeline[-1].kind, after.timeline[-1].by) == ("replayed", "api")
    assert after.outbox == before.outbox


def test_point_9_a_retry_after_of_hours_is_not_obeyed(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    version = world.ledger.load(one.key)
    assert version is not None
    failure = f.Failure("media_throttled", Blame.ACS, "slow down", retry_after=20 * HOUR)
    after = world.app().store.record(version, f.Failed(one.chunks[0].key, 1, Step.FETCH, failure)).recording
    due = after.chunks[0].next_attempt_at
    assert due is not None
    assert timedelta(minutes=5) <= due - NOON <= timedelta(minutes=6)


def test_point_3_a_source_that_has_nothing_is_followed_by_the_next(world: World) -> None:
    one = chunk()
    true = f"https://us-api.asm.skype.com/v1/objects/{one.document_id}/content/audio"
    source = type(one.sources[0])
    one = chunk(sources=(*one.sources, source(true, NOON, is_derived=True)))
    whole = recording(one)
    put(world, whole)
    world.media.files[true] = MediaFile(MP3)
    world.app().worker.handle(WorkItem(whole.key, one.key, 1), message_id="1")
    [after] = world.ledger.recording(whole.key).chunks
    assert (after.state, after.size) == (ChunkState.RESCUED, len(MP3))
