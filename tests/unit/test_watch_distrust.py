"""Events that are not to be believed: kept, acknowledged, said aloud, and of no harm to others."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.recording import Chunk
from shared.intake.event import MAX_CHUNKS
from tests.support.fakes import ACCOUNT, World, watched
from tests.unit.builders import DELETE, HOUR, MEDIA, NOON
from tests.unit.test_events import GRID
from tests.unit.watch_rig import S, exported, failed, started, told, watch

if TYPE_CHECKING:
    from collections.abc import Callable

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
