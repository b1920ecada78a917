"""Mistakes that the simulation found in the app, each kept out by a small test of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import MediaNotFound, PreconditionFailed, StorageThrottled
from shared.domain.locations import ContainerUrl
from shared.domain.naming import chunk_key, recording_key
from shared.domain.recording import Chunk, ChunkState, Recording
from tests.simulation.world import Crash
from tests.support.fakes import NOON, MediaFile, World, lies, settings, watched
from tests.support.fakes.acs import honest

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = recording_key("recording")
MEDIA = "https://eus-api.asm.skype.com/v1/objects/0-eus-d12-x"
CLAIMED = "20261122/call/eyJQbGF0-acs/0-audiomp3.0-eus-d12-x.mp3"


def event(world: World, *, content: str = f"{MEDIA}/content/video") -> str:
    data = {
        "recordingStorageInfo": {
            "recordingChunks": [
                {"documentId": "0-eus-d12-x", "index": 0, "contentLocation": content, "deleteLocation": MEDIA}
            ]
        },
        "recordingStartTime": "2026-11-22T11:50:00.1234567Z",
        "recordingDurationMs": 60_000,
        "recordingFormatType": "Mp3",
    }
    world.media.files[f"{MEDIA}/content/video"] = MediaFile(b"ID3" + b"x" * 100)
    kind = "Microsoft.Communication.RecordingFileStatusUpdated"
    subject = "/recording/call/call/recordingId/recording"
    told = {"id": "1", "eventType": kind, "subject": subject, "eventTime": "2026-11-22T11:52:00.1234567Z", "data": data}
    return json.dumps(told)


def pending(**changes: Any) -> Recording:
    chunk = Chunk(key=chunk_key("d", 0), document_id="d", index=0, state=ChunkState.PENDING, next_try_at=NOON, ticket=3)
    place = ContainerUrl.parse("https://customer.blob.core.windows.net/recordings")
    plain = Recording(key=KEY, container_url=str(place), created_at=NOON, deadline=NOON + timedelta(hours=24))
    return replace(plain, chunks=(replace(chunk, **changes),))


def failing(method: str, error: BaseException, *, is_after: bool = False) -> Callable[..., Any]:
    """A port's `method` fails; `is_after`: it has its effect all the same."""

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == method:
            if is_after:
                call()
            raise error
        return call()

    return around


def test_an_alert_is_told_before_it_is_remembered() -> None:
    """Who dies in between tells it twice; the other way round nobody would ever hear of a lost recording."""
    world = World()
    lost = pending(state=ChunkState.LOST, finished_at=NOON, next_try_at=NOON)
    world.ledger.save(lost, etag=None)
    dying = world.app(notifier=watched(world.notifier, failing("alert", Crash())))
    living = world.app()
    with pytest.raises(Crash):
        dying.rescue._books.alert(lost, "lost_0")
    living.rescue._books.alert(lost, "lost_0")
    assert world.notifier.names == ["lost_0"]


def test_a_lost_chunk_is_told_before_its_recording_closes() -> None:
    """Even if whoever lost it died before saying so."""
    world = World()
    lost = pending(state=ChunkState.LOST, finished_at=NOON, next_try_at=None)
    world.ledger.save(lost, etag=None)
    world.app().rescue._aftercare.chunk_is_safe(lost, lost.chunks[0])
    assert world.notifier.names == ["lost_0"]
    assert world.ledger.recording(KEY).closed_at is not None


def test_a_write_whose_answer_was_lost_is_known_as_ones_own() -> None:
    """The SDK asks again by itself, and the service says 412 to it."""
    world = World()
    world.ledger.save(pending(), etag=None)
    app = world.app(ledger=watched(world.ledger, failing("save", PreconditionFailed(), is_after=True)))
    changed = app.rescue._books.change(KEY, lambda now: now if "x" in now.notes else now.with_note("x"))
    assert changed is not None
    assert changed.notes == ("x",)


def test_a_sweep_whose_message_is_refused_is_no_more_patient_for_it() -> None:
    world = World()
    world.ledger.save(pending(), etag=None)
    world.ledger.put_marker(f"open/20261123T120000Z-{KEY}")
    app = world.app(queue=watched(world.queue, failing("send", StorageThrottled())))
    for _ in range(4):
        world.clock.advance(timedelta(minutes=6))
        app.sweep.run()
    assert world.ledger.recording(KEY).chunks[0].requeues == 0
    assert world.ledger.recording(KEY).chunks[0].ticket == 7


def test_a_repeated_event_with_microseconds_changes_nothing() -> None:
    """Documents keep milliseconds; what an event says is read so too."""
    world = World()
    world.app().watch.handle(event(world))
    before = dict(world.ledger.documents)
    world.app().watch.handle(event(world))
    world.app().watch.handle(event(world))
    assert world.ledger.documents == before


def test_a_recording_goes_beside_an_empty_export() -> None:
    """ACS left a file without bytes under the very name that the recording would have."""
    world = World()
    world.destination.put(CLAIMED, b"", content_type="audio/mpeg", overwrite=False)
    app = world.app()
    app.watch.handle(event(world, content=world.settings.default_container.blob_url(CLAIMED)))
    while world.deliver_next(app):
        pass
    chunk = world.ledger.recording(KEY).chunks[0]
    assert chunk.state is ChunkState.RESCUED
    assert chunk.blob != CLAIMED
    assert world.destination.blobs[CLAIMED].data == b""
    assert world.destination.blobs[str(chunk.blob)].data == b"ID3" + b"x" * 100


def test_an_export_under_a_neighbouring_day_is_seen_at_later_tries_too() -> None:
    """The date's zone is not known; one copy is enough."""
    world = World()
    app = world.app()
    body = event(world)
    files = dict(world.media.files)
    world.media.files.clear()
    app.watch.handle(body)
    world.deliver_next(app)
    world.media.files.update(files)
    late = CLAIMED.replace("20261122", "20261123")
    world.destination.put(late, b"ID3" + b"x" * 100, content_type="audio/mpeg", overwrite=False)
    while world.deliver_next(app):
        pass
    chunk = world.ledger.recording(KEY).chunks[0]
    assert (chunk.state, chunk.blob) == (ChunkState.EXPORTED, late)


def test_blocks_of_two_sources_are_never_mixed() -> None:
    """A source that changed under the same length and without an ETag, seen by its first block; and a try in between
    that staged that block and no more.
    """
    world = World(settings(block_bytes=1_000))
    app = world.app()
    body = event(world)
    location = f"{MEDIA}/content/video"
    broken = lies.failing(MediaNotFound("404"))
    app.watch.handle(body)
    for answers, data in ((3, b"ID3" + b"a" * 5_000), (1, b"ID3" + b"b" * 5_000)):
        world.media.files[location] = MediaFile(data, etag=None)
        world.media.lie(location, *[honest] * answers, broken)
        world.deliver_next(app)
    while world.deliver_next(app):
        pass
    chunk = world.ledger.recording(KEY).chunks[0]
    assert chunk.state is ChunkState.RESCUED
    assert world.destination.blobs[str(chunk.blob)].data == world.media.files[location].data
