"""A recording that was started here and of which no event came."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import AcsUnavailable
from shared.locations import ContainerUrl
from shared.ports import Block
from shared.ranges import block_id
from shared.recording import ChunkState, Recording, RecordingState
from tests.support.fakes import CONTAINER, World, settings, watched
from tests.unit.builders import HOUR, NOON
from tests.unit.watch_rig import told

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "20261122/call-1/eyJQbGF0-acs"
MINUTE = timedelta(minutes=1)


def begun(*, container: ContainerUrl = CONTAINER) -> tuple[World, str]:
    """A recording started at noon, and its key."""
    world = World(settings(places=[container]))
    world.acs.calls.add("call")
    return world, world.app().start.start({"serverCallId": "call"}, idempotency_key=None).answer["key"]


def swept(world: World, key: str, *, after: timedelta = 5 * HOUR, **ports: Any) -> Recording:
    """The recording as two looks leave it: the second comes when its event had time to arrive."""
    world.clock.advance(after)
    world.app(**ports).sweep.run()
    if world.ledger.recording(key).check_at == world.clock.now() + QUARTER:
        world.clock.advance(QUARTER)
        world.app(**ports).sweep.run()
    return world.ledger.recording(key)


def ended(world: World) -> None:
    world.acs.states = dict.fromkeys(world.acs.states, "inactive")


QUARTER = timedelta(minutes=15)
BEGAN = "2026-11-22T12:00:05.1234567Z"


def export(world: World, folder: str = FOLDER, *, indices: tuple[int, ...] = (0,), start: Any = BEGAN) -> None:
    """What ACS leaves in the container."""
    for index in indices:
        metadata = {"chunkDocumentId": f"d{index}", "chunkIndex": index, "chunkStartTime": start}
        data = json.dumps(metadata).encode()
        for name, content in ((f"{index}-audiomp3.mp3", b"ID3"), (f"{index}-acsmetadata.json", data)):
            world.destination.put(f"{folder}/{name}", content, content_type="x", overwrite=True)


def test_nothing_is_asked_before_it_is_time() -> None:
    world, key = begun()
    ended(world)
    assert swept(world, key, after=3 * HOUR).alerts == ()


def test_a_recording_that_still_runs_moves_its_deadline() -> None:
    """Its media cannot be older than now."""
    world, key = begun()
    after = swept(world, key)
    assert after.deadline == NOON + 29 * HOUR
    assert after.check_at == NOON + 9 * HOUR
    assert world.ledger.open == {after.marker}
    assert world.notifier.names == []


def test_when_acs_does_not_answer_it_is_asked_again() -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise AcsUnavailable

    world, key = begun()
    after = swept(world, key, acs=watched(world.acs, failing))
    assert (after.deadline, after.check_at) == (NOON + 24 * HOUR, NOON + 9 * HOUR)
    assert world.notifier.names == []


@pytest.mark.parametrize("prefix", ["", "/team/a"])
def test_an_export_without_an_event_is_found_by_its_start(prefix: str) -> None:
    container = ContainerUrl.parse(f"{CONTAINER}{prefix}")
    world, key = begun(container=container)
    ended(world)
    folder = f"{container.prefix}/{FOLDER}".strip("/")
    export(world, folder, indices=(0, 1, 10))
    after = swept(world, key)
    assert [chunk.index for chunk in after.chunks] == [0, 1, 10]
    assert {chunk.state for chunk in after.chunks} == {ChunkState.EXPORTED}
    assert after.chunks[0].blob == f"{folder}/0-audiomp3.mp3"
    assert after.chunks[0].metadata_blob == f"{folder}/0-acsmetadata.json"
    assert (after.folder, after.check_at) == (folder, None)
    assert world.notifier.names == ["event_missing"]
    assert len(after.notes) == 2
    world.clock.advance(HOUR)
    app = world.app()
    app.sweep.run()
    world.deliver_next(app)
    closed = world.ledger.recording(key)
    assert (closed.state, closed.manifest.state) == (RecordingState.COMPLETE, "written")
    assert closed.closed_at is not None


@pytest.mark.parametrize(
    "start", ["2026-11-22T12:05:00Z", "2026-11-22T11:00:00Z", "soon", None, 5, "0001-01-01T00:00:00+14:00"]
)
def test_an_export_that_began_at_another_time_is_of_another_recording(start: Any) -> None:
    world, key = begun()
    ended(world)
    export(world, start=start)
    after = swept(world, key)
    assert after.chunks == ()
    assert world.notifier.names == ["silent"]


@pytest.mark.parametrize(
    "names",
    [
        ("0-audiomp3.mp3",),
        ("0-acsmetadata.json",),
        ("²-audiomp3.mp3", "²-acsmetadata.json"),
        ("x-audiomp3.mp3", "x-acsmetadata.json"),
        ("0-audiomp3.mp3", "0-acsmetadata.txt"),
        ("1-audiomp3.mp3", "1-acsmetadata.json"),  # without its first chunk nothing says when it began
        ("9" * 900 + "-audiomp3.mp3", "9" * 900 + "-acsmetadata.json"),
    ],
)
def test_files_that_are_no_export_are_passed_over(names: tuple[str, ...]) -> None:
    world, key = begun()
    ended(world)
    for name in names:
        data = json.dumps({"chunkStartTime": "2026-11-22T12:00:05Z"}).encode()
        world.destination.put(f"{FOLDER}/{name}", data, content_type="x", overwrite=False)
    assert swept(world, key).chunks == ()


@pytest.mark.parametrize("metadata", [b"", b"[]", b"5", b"\xff", b"[" * 100_000])
def test_metadata_that_cannot_be_read_stops_nothing(metadata: bytes) -> None:
    world, key = begun()
    ended(world)
    world.destination.put(f"{FOLDER}/0-audiomp3.mp3", b"ID3", content_type="x", overwrite=False)
    world.destination.put(f"{FOLDER}/0-acsmetadata.json", metadata, content_type="x", overwrite=False)
    assert swept(world, key).chunks == ()
    assert world.notifier.names == ["silent"]


def test_an_export_with_a_manifest_is_of_another_recording() -> None:
    world, key = begun()
    ended(world)
    export(world)
    world.destination.put(f"{FOLDER}/manifest.json", b"{}", content_type="x", overwrite=False)
    assert swept(world, key).chunks == ()


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("is_noted", [True, False])
def test_what_was_rescued_for_another_recording_is_no_export(*, index: int, is_noted: bool) -> None:
    """A neighbour that began in the same seconds, and is not done yet: its folder has no manifest."""
    world, key = begun()
    ended(world)
    export(world, indices=(0, 1, 2))
    name = f"{FOLDER}/{index}-audiomp3.mp3"
    world.destination.delete(name)
    block = Block(block_id(0, b"ID3", tag="0" * 10), 3)
    world.destination.stage(name, block.id, b"ID3")
    world.destination.commit(name, [block], sha256="ab" if is_noted else None, content_type="audio/mpeg")
    after = swept(world, key)
    assert after.chunks == ()
    assert world.notifier.names == ["silent"]


def test_what_acs_exported_after_its_rescue_is_no_export_of_another_recording() -> None:
    world, key = begun()
    ended(world)
    export(world)
    rescued = f"20261122/call-1/{key[:8]}-ours"
    world.destination.put(f"{rescued}/0-audiomp3.d0.mp3", b"ID3", content_type="x", overwrite=False, sha256="ab")
    world.destination.put(f"{rescued}/0-acsmetadata.d0.json", b"{}", content_type="x", overwrite=False)
    after = swept(world, key)
    assert after.chunks == ()
    assert world.notifier.names == ["silent"]


def test_an_event_that_comes_before_the_end_is_said_wins() -> None:
    world, key = begun()
    ended(world)
    [recording_id] = world.acs.states
    world.destination.exists = False
    seen: list[str] = []

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if not seen:
            seen.append(name)
            world.app().watch.handle(told(recordingId=recording_id, at=world.clock.now()))
        return call()

    after = swept(world, key, after=60 * HOUR, containers=watched(world.containers, meanwhile))
    assert after.closed_at is None
    assert len(after.chunks) == 1


def test_an_empty_export_is_none() -> None:
    world, key = begun()
    ended(world)
    export(world)
    world.destination.put(f"{FOLDER}/0-audiomp3.mp3", b"", content_type="x", overwrite=True)
    assert swept(world, key).chunks == ()


def test_of_two_exports_that_fit_neither_is_taken() -> None:
    world, key = begun()
    ended(world)
    export(world)
    export(world, "20261122/call-2/eyJQbGF0-acs")
    assert swept(world, key).chunks == ()


def test_a_container_that_refuses_is_asked_again_later() -> None:
    world, key = begun()
    ended(world)
    world.destination.exists = False
    after = swept(world, key)
    assert (after.chunks, after.check_at) == ((), NOON + 9 * HOUR + QUARTER)
    assert world.notifier.names == ["silent"]


def test_a_recording_that_acs_does_not_know_is_said_aloud_and_closed_in_the_end() -> None:
    """Event Grid delivers for a day after the last moment the media could be there."""
    world, key = begun()
    world.acs.states.clear()
    for _ in range(11):
        after = swept(world, key)
        assert (after.closed_at is None) is (world.clock.now() <= NOON + 48 * HOUR)
    assert world.notifier.names == ["silent", "never_heard"]
    assert after.state is RecordingState.LOST
    assert world.ledger.open == set()


def test_an_event_that_comes_while_we_look_wins() -> None:
    world, key = begun()
    ended(world)
    [recording_id] = world.acs.states
    export(world)

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        answer = call()
        if name == "destination":
            world.app().watch.handle(told(recordingId=recording_id))
        return answer

    after = swept(world, key, containers=watched(world.containers, meanwhile))
    assert [chunk.state for chunk in after.chunks] == [ChunkState.PENDING]
    assert world.notifier.names == []


def test_a_recording_without_an_id_cannot_be_asked_for() -> None:
    world, key = begun()
    one = world.ledger.recording(key)
    world.ledger.save(replace(one, recording_id=None), etag=world.ledger.documents[key][1])
    assert swept(world, key).alerts == ("silent",)


@pytest.mark.parametrize("is_exported", [True, False])
def test_a_call_that_ended_a_moment_ago_is_not_silent_yet(*, is_exported: bool) -> None:
    """Its event is on the way: alarm and export wait for a second look, a quarter of an hour later."""
    world, key = begun()
    ended(world)
    if is_exported:
        export(world)
    world.clock.advance(5 * HOUR)
    world.app().sweep.run()
    once = world.ledger.recording(key)
    assert (once.alerts, once.chunks, world.notifier.names) == ((), (), [])
    assert once.check_at == world.clock.now() + QUARTER
    world.clock.advance(QUARTER)
    world.app().sweep.run()
    assert world.ledger.recording(key).alerts == ("event_missing" if is_exported else "silent",)
