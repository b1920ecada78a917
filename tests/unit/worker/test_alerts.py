"""When an alert is raised: at once for what needs a person, for any other cause when it lasts."""

from __future__ import annotations

import pytest

from shared.domain.errors import MediaUnavailable, StorageAccessDenied, StorageUnavailable
from shared.domain.recording import ChunkState
from shared.ports import OUTBOX_PART, WorkItem
from tests.support.fakes import lies
from tests.unit.rig import DAY, HOUR, MEDIA, MINUTE, Rig, claim, event

VIDEO = f"{MEDIA}/doc-0/content/video"


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.put_media()
    return made


def test_a_refusal_is_an_alert_at_once_and_once(rig: Rig) -> None:
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(MINUTE, step=MINUTE)
    assert rig.notifier.names == ["storage_access_denied"]
    rig.live(5 * HOUR)
    assert rig.notifier.names == ["storage_access_denied"]


@pytest.mark.parametrize("where", ["destination", "media"])
def test_an_outage_is_an_alert_when_it_lasts(rig: Rig, where: str) -> None:
    if where == "destination":
        rig.destination.refusal = StorageUnavailable("time-out")
    else:
        rig.media.lie(VIDEO, *[lies.failing(MediaUnavailable("503"))] * 5000)
    rig.receive(event())
    rig.live(10 * MINUTE)
    assert rig.notifier.names == []
    rig.live(HOUR)
    assert rig.notifier.names == ["storage_unavailable" if where == "destination" else "media_unavailable"]


def test_what_is_safe_nears_no_deadline(rig: Rig) -> None:
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(26 * HOUR)
    assert "deadline" not in rig.notifier.names
    assert rig.state() is ChunkState.IN_FALLBACK


def test_a_container_that_does_not_answer_for_hours_does_not_keep_a_loss_from_being_told() -> None:
    """It may hold the chunk: it is asked for six hours more, then the chunk is lost."""
    rig = Rig()
    rig.acs.calls.add("server-1")
    rig.process.start.start({"serverCallId": "server-1"}, idempotency_key=None)
    rig.fallback.refusal = StorageUnavailable("500")
    rig.receive(event(subject="/recording/call/call-1/serverCallId/server-1"))
    states = []
    for _ in range(2):
        rig.live(27 * HOUR)
        states.append(rig.state())
    assert states == [ChunkState.PENDING, ChunkState.LOST]
    assert "lost" in rig.notifier.names


def test_a_loss_is_told_whatever_becomes_of_the_other_chunks() -> None:
    rig = Rig()
    rig.acs.calls.add("server-1")
    rig.process.start.start({"serverCallId": "server-1"}, idempotency_key=None)
    rig.put_media("doc-1")
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event(claim(), claim("doc-1", 1), subject="/recording/call/call-1/serverCallId/server-1"))
    rig.live(27 * HOUR)
    assert [chunk.state for chunk in rig.recording.chunks] == [ChunkState.LOST, ChunkState.IN_FALLBACK]
    assert "lost" in rig.notifier.names
    assert rig.recording.closed_at is None
    rig.destination.refusal = None
    rig.live(DAY)
    rig.assert_at_rest()


def test_the_fallback_of_another_recording_is_left_alone(rig: Rig) -> None:
    """Cleaning removes exact names, and nothing else below the recording's key."""
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    beside = f"{rig.key}/20261122/call-1/x/by-hand.txt"
    other = f"{'0' * 32}/20261122/call-1/x/0-audiomp3.mp3"
    for name in (beside, other):
        rig.fallback.put(name, b"kept", content_type="text/plain", overwrite=False)
    rig.destination.refusal = None
    rig.live(3 * HOUR)
    assert rig.state() is ChunkState.DELIVERED
    assert set(rig.fallback.blobs) == {beside, other}


def test_a_doubled_message_about_an_alert_makes_no_third_one_while_the_topic_is_down(rig: Rig) -> None:
    """Each double would go on for as long as the topic does not answer, and be doubled again."""
    rig.destination.refusal = StorageAccessDenied("403")
    rig.notifier.is_down = True
    rig.receive(event())
    rig.live(MINUTE, step=MINUTE)
    planned = rig.recording.publishing
    assert planned.failures
    for _ in range(3):
        rig.process.worker.handle(WorkItem(rig.recording.key, OUTBOX_PART), message_id="doubled")
    assert rig.recording.publishing == planned
    rig.notifier.is_down = False
    rig.live(HOUR)
    assert rig.notifier.names == ["storage_access_denied"]
