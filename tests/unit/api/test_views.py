"""What one recording shows, and how much of it is safe."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.api.query import parse_query
from shared.api.views import RecordingUnknown
from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import Blame, MediaUnavailable, StorageAccessDenied
from shared.domain.media import Proof
from shared.domain.recording import MOST_ERRORS, ChunkState, Staged, Started, Step
from shared.ports import WorkItem
from tests.support.fakes import MediaFile, World, settings, watched
from tests.unit.builders import HOUR, NOON, chunk, recording
from tests.unit.loop_rig import MP3, put

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def world() -> World:
    return World()


def shown(world: World) -> dict[str, Any]:
    return world.app().views.one("recording-1")


def test_what_was_asked_for_at_the_start_is_shown(world: World) -> None:
    started = Started("groupCallId", "group-1", "audiovideo", "mixed", "mp4", NOON, "entra:someone")
    put(world, recording(chunk(), started=started))
    assert shown(world)["started"] == {
        "locator": {"kind": "groupCallId", "id": "group-1"},
        "recordingContent": "audiovideo",
        "recordingChannel": "mixed",
        "recordingFormat": "mp4",
        "containerUrl": "https://customer.blob.core.windows.net/recordings",
        "by": "entra:someone",
        "at": "2026-11-22T12:00:00.000Z",
    }


def test_a_lease_says_which_worker_since_when_and_until_when(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    version = world.ledger.version(one.key)
    world.clock.advance(HOUR)
    world.app().store.record(version, f.StepStarted(one.chunks[0].key, 1, Step.FETCH, "message-7", NOON + 2 * HOUR))
    assert shown(world)["chunks"][0]["lease"] == {
        "step": "fetch",
        "worker": "message-7",
        "since": "2026-11-22T13:00:00.000Z",
        "until": "2026-11-22T14:00:00.000Z",
    }


def test_the_newest_errors_are_kept_with_their_step_and_trace_id(world: World) -> None:
    """Newest last, and no more than some: a document does not grow with its failures."""
    one = recording(chunk())
    put(world, one)
    version = world.ledger.version(one.key)
    key, store = one.chunks[0].key, world.app().store
    for number in range(MOST_ERRORS + 3):
        generation = version.recording.chunks[0].generation
        failure = f.Failure("media_unavailable", Blame.ACS, "503", trace_id=f"trace-{number}")
        version = store.record(version, f.Failed(key, generation, Step.FETCH, failure))
        world.clock.advance(timedelta(minutes=5))
    found = shown(world)["chunks"][0]
    assert [error["traceId"] for error in found["errors"]] == [
        f"trace-{number}" for number in range(3, 3 + MOST_ERRORS)
    ]
    assert found["errors"][-1] == {
        "at": "2026-11-22T12:50:00.000Z",
        "step": "fetch",
        "code": "media_unavailable",
        "blame": "acs",
        "message": "503",
        "traceId": "trace-10",
    }
    assert found["attempts"] == MOST_ERRORS + 3


def test_staged_blocks_of_one_recording_count_as_done(world: World) -> None:
    """In the destination, else in the fallback; a container that cannot be asked says nothing."""
    begun = chunk(0, folder="20261122/call-1/x", format_hint="wav", attempts=1)
    safe = chunk(1, ChunkState.IN_FALLBACK, size=1000)
    one = recording(begun, safe)
    put(world, one)
    name = places.media_name(one, begun, "wav")
    world.destination.stage(name, "a", bytes(300))
    world.destination.stage(name, "b", bytes(50))
    found = shown(world)
    assert [part["bytesDone"] for part in found["chunks"]] == [350, 1000]
    assert found["bytesDone"] == 1350
    world.destination.refusal = StorageAccessDenied("403")
    assert shown(world)["bytesDone"] == 1000


def test_the_attempt_that_succeeds_counts(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    version = world.ledger.version(one.key)
    stored = f.Stored(one.chunks[0].key, 1, "x.mp3", is_fallback=False, size=3, proof=Proof.LENGTH)
    after = world.app().store.record(version, stored).recording
    assert [part.attempts for part in after.chunks] == [1]
    assert after.chunks[0].safe_at == NOON


def test_what_an_attempt_staged_is_known_without_asking_storage(world: World) -> None:
    """In lists, too: of how many bytes, as the source said."""
    one = recording(chunk(), chunk(1, ChunkState.IN_FALLBACK, size=1000))
    put(world, one)
    version = world.ledger.version(one.key)
    failure = f.Failure("media_unavailable", Blame.ACS, "503")
    failed = f.Failed(one.chunks[0].key, 1, Step.FETCH, failure, progress=2, staged=Staged(200, 800))
    version = world.app().store.record(version, failed)
    generation = version.recording.chunks[0].generation
    again = f.Failed(one.chunks[0].key, generation, Step.FETCH, failure)
    world.app().store.record(version, again)
    listed = world.app().listing.page(parse_query([]))["recordings"]
    assert [(row["bytesDone"], row["bytesTotal"]) for row in listed] == [(1200, 1800)]
    found = shown(world)["chunks"][0]
    assert (found["bytesDone"], found["bytesTotal"]) == (200, 800)


def test_a_transfer_that_is_cut_off_leaves_what_it_staged(world: World) -> None:
    """By the engine itself: the blocks of a first attempt, and the length that ACS announced."""
    given = settings(block_bytes=1000)
    world = World(given)
    one = recording(chunk())
    put(world, one)
    media = MediaFile(MP3)
    world.media.files[one.chunks[0].sources[0].url] = media
    calls = 0

    def cutting(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        nonlocal calls
        calls += name == "open"
        if calls > 2:
            raise MediaUnavailable("cut")
        return call()

    app = world.app(media=watched(world.media, cutting))
    app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
    staged = world.ledger.recording(one.key).chunks[0].staged
    assert staged is not None
    assert 0 < staged.bytes < len(MP3)
    assert staged.total == len(MP3)


def test_a_recording_that_was_not_started_here_is_found_by_its_call(world: World) -> None:
    """Before it is finished, too, when the index has nothing of it."""
    one = recording(chunk(), call_id="call-7", server_call_id="server-7")
    world.app().store.commit(one.key, None, lambda _: one)
    for identity in ("call-7", "server-7", "recording-1", one.key):
        assert world.app().views.one(identity)["key"] == one.key
    with pytest.raises(RecordingUnknown):
        world.app().views.one("call-8")
