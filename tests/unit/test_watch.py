"""What an event sets going: each chunk into the ledger, one message a chunk, and nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import naming
from shared.errors import StorageUnavailable
from shared.events import MAX_CHUNKS
from shared.locations import ContainerUrl
from shared.recording import Chunk, ChunkState, Manifest, Recording
from tests.support.fakes import ACCOUNT, CONTAINER, World, settings, watched
from tests.unit.builders import DELETE, HOUR, MEDIA, METADATA, NOON
from tests.unit.test_events import DATA, GRID

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
FOLDER = "20261122/call-1/eyJQbGF0-acs"
TEAM = ContainerUrl.parse("https://team.blob.core.windows.net/calls/a")


def failed(index: int = 0, **changes: Any) -> dict[str, Any]:
    """A chunk that was not exported."""
    document = f"d{index}"
    return {
        "documentId": document,
        "index": index,
        "endReason": "SessionEnded",
        "contentLocation": MEDIA.format(document),
        "metadataLocation": METADATA.format(document),
        "deleteLocation": DELETE.format(document),
    } | changes


def exported(index: int = 0, *, container: str = str(CONTAINER), **changes: Any) -> dict[str, Any]:
    """A chunk that ACS says it exported."""
    place = f"{container}/{FOLDER}/{index}"
    blobs = {"contentLocation": f"{place}-audiomp3.mp3", "metadataLocation": f"{place}-acsmetadata.json"}
    return failed(index) | blobs | changes


def told(*chunks: dict[str, Any], subject: str = "/recording/call/call-1", at: Any = NOON, **data: Any) -> str:
    """An event; of one failed mp3 chunk of a recording that ended at `at`, where nothing else is said."""
    fields = DATA | {
        "recordingStorageInfo": {"recordingChunks": list(chunks) or [failed()]},
        "recordingId": "recording-1",
        "recordingStartTime": (at - HOUR).isoformat(),
        "recordingDurationMs": 3_600_000,
        "recordingContentType": "Audio",
        "recordingFormatType": "Mp3",
        "storageType": None,
    }
    fields |= data
    event = GRID | {"subject": subject, "data": {name: value for name, value in fields.items() if value is not None}}
    return json.dumps([event | {"eventTime": at.isoformat()}])


KEY = naming.recording_key("recording-1")


def watch(world: World, *events: str, **ports: Any) -> Recording:
    app = world.app(**ports)
    for event in events:
        app.watch.handle(event)
    [document] = world.ledger.documents
    return world.ledger.recording(document)


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


def started(world: World, body: dict[str, Any] | None = None) -> str:
    world.acs.calls.add("call")
    answer = world.app().start.start(body or {"serverCallId": "call"}, idempotency_key=None).answer
    return str(answer["recordingId"])


def test_a_recording_started_here_goes_where_it_was_wanted() -> None:
    world = World(settings(places=[CONTAINER, TEAM]))
    recording_id = started(world, {"serverCallId": "call", "containerUrl": f"{TEAM}/b"})
    one = watch(world, told(recordingId=recording_id))
    assert one.container_url == f"{TEAM}/b"
    assert (one.folder or "").startswith("a/b/20261122/call-1/eyJQbGF0-")
    assert one.check_at is None
    assert len(world.ledger.open) == 1


def test_what_an_event_leaves_open_is_as_it_was_started() -> None:
    world = World()
    recording_id = started(world, {"serverCallId": "call", "recordingContent": "audioVideo"})
    silent: dict[str, Any] = {
        "recordingContentType": None,
        "recordingFormatType": "hologram",
        "recordingChannelType": None,
    }
    one = watch(world, told(recordingId=recording_id, **silent))
    assert (one.content_type, one.channel_type, one.format_type) == ("audiovideo", "mixed", "mp4")
    assert (one.chunks[0].blob or "").endswith(".mp4")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({}, ("audio", "mixed", "mp3")),
        ({"recordingContentType": "AudioVideo"}, ("audiovideo", "mixed", "mp4")),
        ({"recordingChannelType": "Unmixed"}, ("audio", "unmixed", "wav")),
        ({"recordingFormatType": "Wav"}, ("audio", "mixed", "wav")),
    ],
)
def test_what_nobody_says_is_as_most_are(data: dict[str, Any], kind: tuple[str, ...]) -> None:
    nothing = {"recordingContentType": None, "recordingFormatType": None, "recordingChannelType": None}
    one = watch(World(), told(**nothing | data))
    assert (one.content_type, one.channel_type, one.format_type) == kind


def test_an_event_without_a_recording_id_is_found_by_its_call() -> None:
    world = World()
    recording_id = started(world)
    subject = "/recording/call/call-1/serverCallId/call"
    one = watch(world, told(subject=subject, recordingId=None, recordingStartTime=NOON.isoformat()))
    assert one.key == naming.recording_key(recording_id)


def test_a_call_that_nobody_started_here_names_its_recording_itself() -> None:
    one = watch(World(), told(subject="/recording/serverCallId/s", recordingId=None))
    assert one.key == naming.recording_key(f"s@{(NOON - HOUR).isoformat()}")
    assert (one.server_call_id, one.call_id) == ("s", "s")


def test_without_any_recording_id_a_call_and_its_start_name_the_recording() -> None:
    world = World()
    later = (NOON - HOUR / 2).isoformat()
    for event in (
        told(recordingId=None),
        told(failed(1), recordingId=None),
        told(recordingId=None, recordingStartTime=later),
    ):
        world.app().watch.handle(event)
    assert len(world.ledger.documents) == 2


def test_without_a_start_a_call_and_its_first_chunk_do() -> None:
    world = World()
    for chunk in (failed(0), failed(0), failed(1)):
        world.app().watch.handle(told(chunk, recordingId=None, recordingStartTime=None))
    assert len(world.ledger.documents) == 2
    assert len(world.queue.waiting) == 3


def test_a_recording_that_was_not_started_here_lies_where_its_exports_lie() -> None:
    world = World(settings(places=[CONTAINER, TEAM]))
    one = watch(world, told(exported(0, container=str(TEAM)), failed(1)))
    assert one.container_url == str(TEAM)
    assert one.folder == f"a/{FOLDER}"
    assert one.chunks[0].claimed_blob == f"a/{FOLDER}/0-audiomp3.mp3"


FOREIGN = [
    ("https://evil.example/x.mp3", "location_foreign"),
    ("https://evil.blob.core.windows.net/c/x.mp3", "location_other_blob"),
    (None, "location_foreign"),
    ("http://169.254.169.254/metadata", "location_foreign"),
]


@pytest.mark.parametrize(("location", "alert"), FOREIGN)
def test_a_location_that_this_app_never_goes_to_is_kept_and_said_aloud(location: str | None, alert: str) -> None:
    world = World()
    event = told(failed(0, contentLocation=location, metadataLocation=location, deleteLocation=location))
    one = watch(world, event, event)
    [chunk] = one.chunks
    assert chunk.state is S.EXPECTED
    assert (chunk.media_location, chunk.metadata_location, chunk.delete_location) == (None, None, None)
    assert (chunk.claimed_blob, chunk.claimed_metadata_blob) == (None, None)
    assert chunk.metadata_state == ("pending" if location else "absent")
    assert world.notifier.names == [alert]
    assert any("does not go to" in note for note in one.notes)


@pytest.mark.parametrize(
    ("chunk", "storage", "is_noted"),
    [
        (failed(0), "AzureBlob", True),
        (failed(0), "azureCommunicationServices", False),
        (exported(0), "acsstorage", True),
        (exported(0), "blobstorage", False),
        (exported(0), None, False),
    ],
)
def test_a_storage_type_that_disagrees_is_noted(*, chunk: dict[str, Any], storage: str | None, is_noted: bool) -> None:
    one = watch(World(), told(chunk, storageType=storage))
    assert bool(one.notes) is is_noted


def test_events_of_others_are_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with caplog.at_level("INFO", logger="recorder"):
        world.app().watch.handle(json.dumps(GRID | {"eventType": "Microsoft.Communication.CallEnded"}))
    assert "event.ignored" in caplog.text
    assert world.ledger.documents == {}
    assert world.ledger.rejected == {}


@pytest.mark.parametrize(
    "raw", ["nonsense", "[]", "\ud800", json.dumps(GRID | {"subject": ""}), json.dumps(GRID | {"data": {}})]
)
def test_what_cannot_be_used_is_kept_with_the_reason(raw: str) -> None:
    world = World()
    for _ in range(2):
        world.app().watch.handle(raw)
    [(name, data)] = world.ledger.rejected.items()
    kept = json.loads(data)
    assert name.startswith(f"20261122/{kept['reason']}-")
    assert kept["event"]
    assert world.ledger.documents == {}


def test_a_bad_event_in_an_array_loses_no_other() -> None:
    world = World()
    [good] = json.loads(told())
    one = watch(world, json.dumps([5, good, GRID | {"data": None}]))
    assert len(one.chunks) == 1
    assert len(world.ledger.rejected) == 2


def test_an_event_with_a_fault_is_used_and_kept() -> None:
    world = World()
    one = watch(world, told(failed(0), failed(1) | {"index": "one"}))
    assert len(one.chunks) == 2
    assert len(world.ledger.rejected) == 1
    assert any("no usable index" in note for note in one.notes)


def test_a_recording_takes_no_more_chunks_than_any_call_has() -> None:
    world = World()
    watch(world, told(*[failed(index) for index in range(MAX_CHUNKS)]))
    after = watch(world, told(failed(MAX_CHUNKS)))
    assert len(after.chunks) == MAX_CHUNKS
    assert len(world.ledger.rejected) == 1


def test_several_events_that_disagree_give_the_later_deadline() -> None:
    """Giving up too early loses what giving up too late does not."""
    world = World()
    before = watch(world, told(failed(0), at=NOON - 5 * HOUR))
    after = watch(world, told(failed(0), at=NOON))
    assert (before.deadline, after.deadline) == (NOON + 19 * HOUR, NOON + 24 * HOUR)
    assert world.ledger.open == {after.marker}
    assert watch(world, told(failed(0), at=NOON - 20 * HOUR)).deadline == NOON + 24 * HOUR


def test_a_date_of_long_ago_gives_up_nothing_that_was_started_here() -> None:
    world = World()
    recording_id = started(world)
    world.clock.advance(timedelta(hours=2))
    assert watch(world, told(recordingId=recording_id, at=NOON - 300 * HOUR)).deadline == NOON + 24 * HOUR


def test_a_document_that_somebody_removes_meanwhile_is_not_missed() -> None:
    world = World()
    watch(world, told())

    def removing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        found = call()
        if name == "load":
            world.ledger.documents.clear()
        return found

    world.app(ledger=watched(world.ledger, removing)).watch.handle(told())
    assert world.ledger.documents == {}


def test_a_guess_is_made_only_of_a_media_location() -> None:
    """Where the media is when only blobs are named: derived from the delete location, if that is at ACS."""
    for location, expected in (
        (DELETE.format("d0") + "/?x=1", MEDIA.format("d0")),
        (f"{ACCOUNT}/x", None),
        (None, None),
    ):
        [chunk] = watch(World(), told(exported(0, deleteLocation=location))).chunks
        assert isinstance(chunk, Chunk)
        assert chunk.media_location == expected
