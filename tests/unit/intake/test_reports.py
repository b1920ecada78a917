"""What an event makes of a recording: its place, its window, its ids, and what is odd about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain.locations import ContainerUrl
from shared.domain.recording import ChunkState
from tests.support.fakes import ACCOUNT, CONTAINER, NOON, settings
from tests.unit.rig import HOUR, MINUTE, Rig, claim, event

OTHER = ContainerUrl.parse(f"{ACCOUNT}/others")
NAME = "20261122/call-1/rec-1-guid/0-audiomp3.doc-0.mp3"
NO_ID = "/recording/call/call-1/serverCallId/server-1"


@pytest.fixture
def rig() -> Rig:
    return Rig(given=settings(places=(CONTAINER, OTHER)))


def test_a_failed_chunk_is_pending_and_an_exported_one_expected_and_both_are_queued_at_once(rig: Rig) -> None:
    exported = claim("doc-1", 1, contentLocation=CONTAINER.blob_url(NAME), deleteLocation=None)
    rig.receive(event(claim(), exported))
    assert [chunk.state for chunk in rig.recording.chunks] == [ChunkState.PENDING, ChunkState.EXPECTED]
    assert {one.item.part for one in rig.queue.waiting} == {chunk.key for chunk in rig.recording.chunks}
    assert all(one.due == NOON for one in rig.queue.waiting)


def test_a_repeated_event_changes_nothing_and_sends_a_first_message_that_may_be_missing(rig: Rig) -> None:
    rig.receive(event())
    before = rig.recording
    rig.queue.waiting.clear()  # the process died between ledger and queue
    rig.receive(event())
    assert rig.recording == before
    assert [one.item.part for one in rig.queue.waiting] == [rig.chunk.key]


@pytest.mark.parametrize("is_rescued", [True, False])
def test_an_event_that_repeats_what_was_done_sends_nothing(rig: Rig, *, is_rescued: bool) -> None:
    if is_rescued:
        rig.put_media()
    rig.receive(event())
    rig.deliver_one()
    waiting = len(rig.queue.waiting)
    rig.receive(event())
    assert len(rig.queue.waiting) == waiting


def test_the_window_begins_with_the_earlier_of_end_and_event_and_ends_with_the_later(rig: Rig) -> None:
    """A call that ended at eleven, reported at noon."""
    start = "2026-11-22T10:00:00Z"
    rig.receive(event(recordingStartTime=start, recordingDurationMs=3_600_000))
    assert rig.chunk.at_risk_from == NOON + 23 * HOUR
    assert rig.chunk.abandon_after == NOON + 25 * HOUR


@pytest.mark.parametrize("changes", [{"recordingStartTime": None}, {"recordingDurationMs": None}])
def test_without_a_start_or_a_duration_the_events_time_counts(rig: Rig, changes: dict[str, Any]) -> None:
    rig.clock.advance(2 * HOUR)
    rig.receive(event(at=NOON + HOUR, **changes))
    assert (rig.chunk.at_risk_from, rig.chunk.abandon_after) == (NOON + 25 * HOUR, NOON + 26 * HOUR)


def test_an_event_without_a_time_counts_from_its_receipt(rig: Rig) -> None:
    body = json.loads(event(recordingStartTime=None))
    del body["eventTime"]
    rig.clock.advance(HOUR)
    rig.receive(json.dumps(body))
    assert rig.chunk.at_risk_from == NOON + 25 * HOUR


CALL: dict[str, Any] = {"subject": "/recording/call/call-1"}


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        ({"subject": NO_ID}, {"subject": NO_ID}, 1),
        (CALL, CALL, 1),
        (CALL | {"recordingStartTime": None}, CALL | {"recordingStartTime": None}, 1),
        (CALL, {"subject": "/recording/call/call-2"}, 2),
        (CALL, CALL | {"recordingStartTime": "2026-11-22T09:00:00Z"}, 2),
    ],
    ids=["call and start", "the call id alone", "no start: the first chunk", "another call", "another start"],
)
def test_without_a_recording_id_call_and_start_name_the_recording(
    rig: Rig, first: dict[str, Any], second: dict[str, Any], count: int
) -> None:
    rig.receive(event(**first))
    rig.receive(event(claim(endReason="of the second event"), **second))
    assert len(rig.ledger.documents) == count


@pytest.mark.parametrize("place", [CONTAINER, OTHER])
def test_a_recording_of_another_program_lies_where_its_exports_lie(rig: Rig, place: ContainerUrl) -> None:
    """Its failed chunks go beside them."""
    data = rig.put_media()
    exported = claim("doc-1", 1, contentLocation=place.blob_url(NAME.replace("/0-", "/1-")), deleteLocation=None)
    rig.receive(event(claim(), exported))
    rig.run(until=MINUTE)
    assert rig.recording.container_url == str(place)
    assert (rig.recording.chunks[0].blob or "").startswith("20261122/call-1/rec-1-guid/")
    assert data in [blob.data for blob in rig.containers.at(place).blobs.values()]


def test_a_storage_type_that_is_at_odds_with_the_location_is_noted(rig: Rig) -> None:
    rig.receive(event(storageType="AzureBlob"))
    assert "storage_type_at_odds" in rig.kinds
    assert rig.state() is ChunkState.PENDING


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://elsewhere.example/x", "location_foreign"),
        (f"{ACCOUNT}/payroll/x.mp3", "location_other_blob"),
        ("https://us-api.asm.skype.com/v1/objects/another/content/video", "location_of_another_document"),
    ],
)
def test_a_location_that_this_app_does_not_go_to_is_an_alert_once(rig: Rig, location: str, name: str) -> None:
    rig.receive(event(claim(contentLocation=location)))
    rig.receive(event(claim(contentLocation=location, endReason="again")))
    assert [alert.name for alert in rig.recording.outbox].count(name) == 1
    assert location not in [source.url for source in rig.chunk.sources]


def test_a_bad_event_in_an_array_loses_no_other(rig: Rig) -> None:
    good = json.loads(event())
    rig.receive(json.dumps([{"eventType": 7}, good, "text", {"eventType": good["eventType"], "data": []}]))
    assert len(rig.ledger.documents) == 1
    assert len(rig.ledger.rejected) >= 2


def test_a_lost_chunk_whose_export_a_later_event_reports_is_looked_for_again(rig: Rig) -> None:
    rig.receive(event())
    rig.live(28 * HOUR)
    assert rig.state() is ChunkState.UNCONFIRMED
    data = Rig().put_media()
    rig.destination.put(NAME, data, content_type="audio/mpeg", overwrite=False)
    rig.receive(event(claim(contentLocation=CONTAINER.blob_url(NAME))))
    rig.live(HOUR)
    assert (rig.state(), rig.chunk.blob) == (ChunkState.EXPORTED, NAME)
