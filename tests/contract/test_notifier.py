"""Port `Notifier`: what an outbox holds reaches the customer's Event Grid topic, or it raises."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING

import pytest

from local.eventgrid import EventGrid, Subscription
from shared.adapters.notify import TopicNotifier
from shared.domain.errors import AlertNotSent
from shared.domain.journal import PendingAlert
from shared.domain.recording import Recording
from shared.logs import LogOnlyNotifier
from tests.contract.scripted import Answer, Asked, Scripted
from tests.support.fakes import NOON, FakeNotifier
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from shared.ports import Notifier

KEY = base64.b64encode(b"k" * 32).decode()
TOPIC = "https://events.westeurope-1.eventgrid.azure.net/api/events"
RECORDING = Recording(key="0" * 32, container_url="https://a.blob.core.windows.net/c", created_at=NOON)
ALERT = PendingAlert(3, "deadline", "error", NOON, 1, "6h", "see https://a/b?sig=secret")


def publish(notifier: Notifier) -> None:
    notifier.publish(recording=RECORDING, alerts=[ALERT])


def test_every_notifier_takes_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    """In memory, and where no topic is set: the log line that every alert has is written before (`publish.py`)."""
    fake = FakeNotifier()
    publish(fake)
    with caplog.at_level(logging.DEBUG, "recorder"):
        publish(LogOnlyNotifier())
    assert caplog.messages == []
    assert fake.alerts == [("deadline", "0" * 32, ALERT)]


def test_an_alert_reaches_the_topics_subscribers() -> None:
    """By the real publisher, as a CloudEvent; without secrets; under the same id however often it is published."""
    with EventGrid(topic_key=KEY) as grid, Receiver() as receiver:
        wanted = ("AcsByosRecorder.RecordingAtRisk",)
        grid.subscribe(Subscription("events", receiver.url, schema="CloudEventSchemaV1_0", event_types=wanted))
        publish(TopicNotifier(grid.topic_url, key=KEY, credential=None))
        publish(TopicNotifier(grid.topic_url, key=KEY, credential=None))
        assert grid.wait_idle(10)
        events = [one.body for one in receiver.requests if one.method == "POST"]
    assert [event["id"] for event in events] == [events[0]["id"]] * 2
    event = events[0]
    assert (event["specversion"], event["source"]) == ("1.0", "/acs-byos-recorder")
    assert event["subject"] == f"/recordings/{'0' * 32}"
    assert event["time"].startswith("2026-11-22T12:00:00")
    assert event["data"]["key"] == "0" * 32
    assert (event["data"]["chunk"], event["data"]["threshold"], event["data"]["level"]) == (1, "6h", "error")
    assert "recordingId" not in event["data"]
    assert "secret" not in json.dumps(event)


def test_a_fake_topic_that_is_down_takes_none() -> None:
    fake = FakeNotifier()
    fake.is_down = True
    with pytest.raises(AlertNotSent):
        publish(fake)


def test_an_alert_that_cannot_be_sent_raises() -> None:
    """So that it stays in the outbox."""

    def refuse(_: Asked) -> Answer:
        return Answer(
            401, b'{"error": {"code": "Unauthorized", "message": "no"}}', {"Content-Type": "application/json"}
        )

    with Scripted(refuse) as server, pytest.raises(AlertNotSent):
        publish(TopicNotifier(f"{server.origin}/api/events", key="wrong", credential=None))


def test_a_topic_that_fails_is_asked_once_in_half_a_minute() -> None:
    """The outbox asks again, later; the SDK alone would ask eleven times, minutes long."""
    now = [100.0]
    with Scripted(lambda _: Answer(500)) as server:
        notifier = TopicNotifier(f"{server.origin}/api/events", key=KEY, credential=None, monotonic=lambda: now[0])
        for moment, asked in ((100.0, 1), (129.0, 1), (131.0, 2)):
            now[0] = moment
            with pytest.raises(AlertNotSent):
                publish(notifier)
            assert len(server.asked) == asked


def test_a_fault_from_below_the_sdk_raises_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the bundle of CAs is missing: requests says so by an OSError."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with pytest.raises(AlertNotSent):
        publish(TopicNotifier("https://127.0.0.1:1/api/events", key=KEY, credential=None))


def test_a_topic_needs_a_key_or_an_identity() -> None:
    with pytest.raises(ValueError, match="key or an identity"):
        TopicNotifier(TOPIC, key=None, credential=None)
