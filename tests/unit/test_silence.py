"""A recording that was started here and of which no event came."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import AcsUnavailable, StorageUnavailable
from shared.domain.locations import ContainerUrl
from shared.domain.naming import adoption
from shared.domain.recording import ChunkState, RecordingState
from shared.ports import Block
from shared.transfer.ranges import block_id
from tests.support.fakes import CONTAINER, watched
from tests.unit.builders import HOUR, NOON
from tests.unit.silence_rig import FOLDER, QUARTER, adopted, begun, ended, export, swept
from tests.unit.watch_rig import told

if TYPE_CHECKING:
    from collections.abc import Callable


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


@pytest.mark.parametrize("is_exported", [True, False])
def test_an_acs_that_never_answers_does_not_keep_us_from_looking_when_the_window_is_over(*, is_exported: bool) -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise AcsUnavailable

    world, key = begun()
    if is_exported:
        export(world)
    for _ in range(12):
        swept(world, key, acs=watched(world.acs, failing))
    one = world.ledger.recording(key)
    if is_exported:
        assert [chunk.blob for chunk in one.chunks] == [f"{FOLDER}/0-audiomp3.mp3"]
    else:
        assert world.notifier.names == ["silent", "never_heard"]


@pytest.mark.parametrize("prefix", ["", "/team/a"])
def test_an_export_without_an_event_is_found_by_its_start(prefix: str) -> None:
    container = ContainerUrl.parse(f"{CONTAINER}{prefix}")
    world, key = begun(container=container)
    ended(world)
    folder = f"{container.prefix}/{FOLDER}".strip("/")
    export(world, folder, indices=(0, 1, 2, 10))
    after = swept(world, key)
    assert [chunk.index for chunk in after.chunks] == [0, 1, 2, 10]
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


@pytest.mark.parametrize("day", ["20261121", "20261122", "20261123"])
def test_an_export_is_found_under_the_date_of_another_time_zone(day: str) -> None:
    """Whether ACS's date is UTC is not documented."""
    world, key = begun()
    ended(world)
    export(world, f"{day}/call-1/eyJQbGF0-acs")
    after = swept(world, key)
    assert after.folder == f"{day}/call-1/eyJQbGF0-acs"
    assert world.notifier.names == ["event_missing"]


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
    after = swept(world, key)
    assert after.chunks == ()
    assert after.notes[1:] == (
        f"2 exports began when it did, and nothing tells which is its own: {FOLDER}, 20261122/call-2/eyJQbGF0-acs",
    )
    assert world.notifier.names == ["silent"]


def test_of_many_exports_that_fit_some_are_named() -> None:
    world, key = begun()
    ended(world)
    for number in range(20):
        export(world, f"20261122/call-{number:02}/{'x' * 500}")
    after = swept(world, key)
    assert after.chunks == ()
    assert after.notes[1].startswith("20 exports began when it did")
    assert "call-04/xx" in after.notes[1]
    assert len(after.notes[1]) < 1200


def test_exports_of_another_kind_are_of_another_recording() -> None:
    """Two that began together, and each knows what it was started as."""
    world, key = begun()
    ended(world)
    export(world)
    export(world, "20261122/call-2/eyJQbGF0-acs", ending="mp4")
    unmixed = {"contentType": "unmixed", "channelType": "audio"}  # as in the published example, the wrong way round
    export(world, "20261122/call-3/eyJQbGF0-acs", recordingInfo=unmixed)
    assert swept(world, key).folder == FOLDER


@pytest.mark.parametrize("info", [None, "audio", {}, {"channelType": 5}, {"channelType": "Mixed", "format": "mp3"}])
@pytest.mark.parametrize("ending", ["mp3", "MP3", "data"])
def test_what_is_not_said_of_an_export_may_be_anything(info: Any, ending: str) -> None:
    """Names of other kinds are not documented."""
    world, key = begun()
    ended(world)
    export(world, ending=ending, recordingInfo=info)
    assert swept(world, key).folder == FOLDER


def test_one_export_is_not_taken_by_two() -> None:
    """One of two that began together has none: it would look complete."""
    world, first = begun()
    world.acs.calls.add("another")
    second = world.app().start.start({"serverCallId": "another"}, idempotency_key=None).answer["key"]
    ended(world)
    export(world)
    swept(world, first)
    assert adopted(world) == 1
    assert sorted(world.notifier.names) == ["event_missing", "silent"]
    [left] = [key for key in (first, second) if not world.ledger.recording(key).chunks]
    world.clock.advance(5 * HOUR)
    world.app().sweep.run()
    assert world.ledger.recording(left).chunks == ()
    assert world.ledger.recording(left).alerts == ("silent",)
    note = f"the export that began when it did was taken for another recording's: {FOLDER}"
    assert note in world.ledger.recording(left).notes


def test_who_died_before_taking_an_export_takes_it_later() -> None:
    world, key = begun()
    ended(world)
    export(world)
    world.clock.advance(5 * HOUR)
    world.app().sweep.run()

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save":
            raise StorageUnavailable
        return call()

    world.clock.advance(QUARTER)
    world.app(ledger=watched(world.ledger, failing)).sweep.run()
    assert adopted(world) == 0
    assert world.ledger.notes[adoption(f"{CONTAINER}/{FOLDER}")] == key.encode()
    world.app().sweep.run()
    assert adopted(world) == 1


def test_a_recording_that_acs_does_not_know_is_said_aloud_and_closed_in_the_end() -> None:
    """Event Grid delivers for a day after the last moment the media could be there."""
    world, key = begun()
    world.acs.states.clear()
    for _ in range(11):
        after = swept(world, key)
        assert (after.closed_at is None) is (world.clock.now() <= NOON + 48 * HOUR)
    assert world.notifier.names == ["silent", "never_heard"]
    assert after.state is RecordingState.NEVER_HEARD
    assert world.ledger.open == set()


def test_an_event_that_comes_after_all_opens_it_again() -> None:
    world, key = begun()
    ended(world)
    [recording_id] = world.acs.states
    for _ in range(11):
        swept(world, key)
    assert world.ledger.recording(key).state is RecordingState.NEVER_HEARD
    world.app().watch.handle(told(recordingId=recording_id, at=world.clock.now()))
    after = world.ledger.recording(key)
    assert (after.state, after.closed_at) == (RecordingState.SAVING, None)
    assert world.ledger.open == {after.marker}


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
