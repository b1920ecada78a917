"""Which recording an event is about, and where that one goes: by what was started here, else by what the event says."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain import naming
from tests.support.fakes import CONTAINER, World, settings
from tests.unit.builders import HOUR, NOON
from tests.unit.watch_rig import FOLDER, TEAM, exported, failed, started, told, watch


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
