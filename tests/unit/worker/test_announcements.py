"""What the topic gets: which facts become events, under which ids, and what they tell."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.errors import Blame, ContainerMissing, StorageAccessDenied
from shared.domain.journal import PendingAlert, alerted
from shared.domain.recording import Plan
from shared.domain.steps import Rules, next_due
from shared.worker.announcements import ALERT_TYPE, EVENT_TYPES, SOURCE, Announcement, announcement
from tests.support.fakes import NOON, settings
from tests.unit.rig import DAY, Rig, claim, event, mp3

TOPIC = "https://events.westeurope-1.eventgrid.azure.net/api/events"


@pytest.fixture
def rig() -> Rig:
    return Rig(given=settings(event_topic=TOPIC))


def sent(rig: Rig) -> list[Announcement]:
    """What was published so far, as it would be now."""
    return [announcement(rig.recording, alert) for _, _, alert in rig.notifier.alerts]


def kinds(rig: Rig) -> list[str]:
    return [one.type.removeprefix("AcsByosRecorder.") for one in sent(rig)]


def test_a_rescue_tells_of_its_beginning_and_of_its_end(rig: Rig) -> None:
    data = rig.put_media()
    rig.receive(event())
    rig.live(timedelta(hours=1))
    assert kinds(rig) == ["RescueStarted", "RecordingStored"]
    begun, stored = sent(rig)
    assert (begun.data["cause"], begun.data["blame"], begun.data["chunk"]) == ("not_exported", "acs", 0)
    assert stored.subject == f"/recordings/{rig.key}"
    assert (stored.data["state"], stored.data["route"], stored.data["size"]) == ("complete", "rescued", len(data))
    assert (stored.data["recordingId"], stored.data["callId"]) == ("rec-1", "call-1")
    assert stored.data["manifestBlob"] in rig.destination.blobs
    [file] = stored.data["chunks"]
    assert (file["blob"], file["sha256"]) == (rig.chunk.blob, rig.chunk.sha256)
    assert json.loads(json.dumps(stored.data)) == stored.data
    assert "alert" not in stored.data


def test_without_a_topic_nothing_but_alerts_is_kept() -> None:
    rig = Rig()
    rig.put_media()
    rig.receive(event())
    rig.live(timedelta(hours=1))
    assert rig.recording.alert_count == 0
    assert "rescue_started" in rig.kinds


def test_an_export_is_stored_without_a_rescue(rig: Rig) -> None:
    name = "20261122/call-1/rec-1-acs/0-audiomp3.doc-0.mp3"
    rig.destination.put(name, mp3(), content_type="audio/mpeg", overwrite=False)
    metadata = name.replace("audiomp3", "acsmetadata").replace(".mp3", ".json")
    rig.destination.put(metadata, b"{}", content_type="application/json", overwrite=False)
    rig.receive(event(claim(contentLocation=rig.settings.default_container.blob_url(name))))
    rig.live(timedelta(hours=1))
    assert kinds(rig) == ["RecordingStored"]
    assert sent(rig)[0].data["route"] == "exported"


def test_a_loss_is_at_risk_first(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event(claim(), claim("doc-1", 1)))
    rig.media.files = {name: file for name, file in rig.media.files.items() if "doc-1" not in name}
    rig.live(4 * DAY)
    found = kinds(rig)
    assert found.index("RecordingAtRisk") < len(found) - 1
    assert "RecordingStored" not in found
    risk = sent(rig)[found.index("RecordingAtRisk")]
    assert (risk.data["cause"], risk.data["blame"]) == ("media_not_found", "acs")
    assert risk.data["threshold"] == "6h"


def test_a_topic_that_is_down_holds_up_no_byte_and_gets_everything_later(rig: Rig) -> None:
    rig.notifier.is_down = True
    rig.destination.refusal = StorageAccessDenied("403", blame=Blame.DESTINATION)
    rig.put_media()
    rig.receive(event())
    rig.live(timedelta(hours=2))
    assert rig.chunk.is_safe
    rig.destination.refusal = None
    rig.live(timedelta(hours=2))
    assert rig.recording.closed_at is not None
    assert rig.notifier.alerts == []
    rig.notifier.is_down = False
    rig.live(timedelta(hours=2))
    assert kinds(rig) == ["RescueStarted", "Alert", "RecordingStored"]
    assert sent(rig)[1].data["alert"] == sent(rig)[1].data["cause"] == "storage_access_denied"
    assert sent(rig)[1].data["blame"] == "destination"
    rig.assert_at_rest()


def test_an_alert_is_logged_once_though_the_topic_is_down(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Rules on the log do not wait for the topic: not even for an alert that is raised while it is down."""
    rig.notifier.is_down = True
    rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403", blame=Blame.DESTINATION)
    with caplog.at_level("INFO", "recorder"):
        rig.receive(event())
        rig.live(timedelta(minutes=30))
        rig.destination.refusal = ContainerMissing("404", blame=Blame.DESTINATION)
        rig.live(timedelta(hours=3))
        assert rig.recording.publishing.failures > 5
        rig.notifier.is_down = False
        rig.live(timedelta(hours=2))
    raised = [line.split('"')[3] for line in caplog.messages if line.startswith('{"event":"alert.')]
    assert raised == ["alert.storage_access_denied", "alert.container_missing"]
    assert rig.notifier.names == ["rescue_started", "storage_access_denied", "container_missing"]


def test_a_new_alert_does_not_wait_for_a_topic_that_is_asked_seldom(rig: Rig) -> None:
    rig.receive(event())
    late = replace(rig.recording, publishing=Plan(NOON + DAY, 9))
    raised = alerted(late, "unproven", at=NOON)
    assert next_due(raised, Rules()) == NOON
    assert raised.publishing.failures == 9, "the next failure is backed off as before"


def test_a_second_close_is_a_second_fact(rig: Rig) -> None:
    """A chunk that an event names late opens the recording again."""
    rig.put_media()
    rig.receive(event())
    rig.live(timedelta(hours=1))
    rig.put_media("doc-1", mp3(9))
    rig.receive(event(claim("doc-1", 1)))
    rig.live(timedelta(hours=1))
    assert kinds(rig) == ["RescueStarted", "RecordingStored"] * 2
    ids = [one.id for one in sent(rig)]
    assert len(set(ids)) == 4
    assert len(sent(rig)[-1].data["chunks"]) == 2


def test_the_id_is_of_the_fact_alone(rig: Rig) -> None:
    """A UUIDv5 of the recording and the entry: whatever else has changed when it is sent again."""
    rig.put_media()
    rig.receive(event())
    alert = PendingAlert(7, "lost", "error", NOON, 0, "media_not_found", "gone")
    before = announcement(rig.recording, alert)
    rig.live(timedelta(hours=1))
    after = announcement(rig.recording, alert)
    assert (before.id, before.time) == (after.id, NOON)
    assert uuid.UUID(before.id).version == 5
    assert before.data["state"] != after.data["state"]


def test_every_alert_has_a_type() -> None:
    recording = Rig()
    recording.receive(event())
    for name in (*EVENT_TYPES, "container_missing"):
        one = announcement(recording.recording, PendingAlert(1, name, "error", NOON))
        assert one.type == EVENT_TYPES.get(name, ALERT_TYPE)
        assert one.data["alert"] == name


def test_no_secret_leaves_by_a_message(rig: Rig) -> None:
    rig.receive(event())
    alert = PendingAlert(1, "lost", "error", NOON, 0, None, "https://a/b?sig=CANARY of +4915112345678")
    printed = json.dumps(announcement(rig.recording, alert).data)
    assert "CANARY" not in printed
    assert "4915112345678" not in printed


def test_damage_is_an_event_with_the_file_that_it_is_about(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())
    rig.live(timedelta(hours=1))
    name = rig.chunk.blob or ""
    del rig.destination.blobs[name]
    rig.process.verification.verify(rig.key)
    rig.run()
    assert kinds(rig) == ["RescueStarted", "RecordingStored", "RecordingDamaged"]
    hurt = sent(rig)[-1].data
    assert (hurt["state"], hurt["route"], hurt["cause"], hurt["blame"]) == (
        "damaged",
        "rescued",
        "damaged",
        "destination",
    )
    [file] = hurt["chunks"]
    assert (file["state"], file["blob"], file["size"]) == ("damaged", name, len(mp3()))


# --- docs/events.md

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()


def test_the_page_names_every_type_and_no_other() -> None:
    rows = set(re.findall(r"^\| `(AcsByosRecorder\.\w+)` \|", PAGE, flags=re.MULTILINE))
    assert rows == {*EVENT_TYPES.values(), ALERT_TYPE}


def test_the_page_s_example_is_an_event_of_this_app(rig: Rig) -> None:
    """A rescue after an export that was reported and is not there; every field of it, and no other."""
    example = json.loads(PAGE.partition("```json")[2].partition("```")[0])
    rig.put_media()
    name = "20261122/call-1/rec-1-acs/0-audiomp3.doc-0.mp3"
    rig.receive(event(claim(contentLocation=rig.settings.default_container.blob_url(name))))
    rig.live(timedelta(hours=1))
    one = sent(rig)[-1]
    assert (example["type"], example["source"]) == (one.type, SOURCE)
    assert set(example["data"]) == set(one.data)
    assert set(example["data"]["chunks"][0]) == set(one.data["chunks"][0])
