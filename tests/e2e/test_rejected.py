"""Events that could not be used: kept, shown and taken in again, over real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.local.host.support import call

if TYPE_CHECKING:
    from tests.e2e.support import World


def test_a_rejected_event_is_listed_and_replayed(world: World) -> None:
    event = {
        "id": "bad-1",
        "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "subject": "/recording/call/c/serverCallId/s/recordingId/r?sig=SECRET",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "1.0",
        "data": {"recordingStorageInfo": {"recordingChunks": []}, "who": "4:+15551234567"},
    }
    assert world.deliver(event) in (200, 202)
    listed = world.get("/api/rejected-events?limit=100")
    assert listed.status == 200, listed.body
    [shown] = [one for one in listed.json()["events"] if "bad-1" in one["event"]]
    assert shown["code"] == "no_chunks"
    assert "15551234567" not in shown["event"]
    answer = call(world.stack.host_url, f"/api/rejected-events/{shown['id']}/replay", method="POST")
    assert answer.status == 202, answer.body
    assert answer.json()["id"] == shown["id"]
    assert answer.json()["result"] == "rejected"
    [again] = [one for one in world.get("/api/rejected-events").json()["events"] if one["id"] == shown["id"]]
    assert again["replayed"]["by"] == "api"


def test_health_is_a_word_and_no_more(world: World) -> None:
    answer = world.get("/api/health")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
