"""Port `Notifier`: an alert reaches the customer's Event Grid topic, or its loss is logged; it never raises."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING

import pytest

from local.eventgrid import EventGrid, Subscription
from shared.adapters.notify import TopicNotifier
from shared.domain.errors import Blame
from shared.logs import LogOnlyNotifier
from tests.contract.scripted import Answer, Asked, Scripted
from tests.support.fakes import NOON, FakeNotifier
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from shared.ports import Notifier

KEY = base64.b64encode(b"k" * 32).decode()
TOPIC = "https://alerts.westeurope-1.eventgrid.azure.net/api/events"
FIELDS: dict[str, object] = {"chunk": 1, "deadline": NOON, "blame": Blame.ACS, "message": "see https://a/b?sig=secret"}


def alert(notifier: Notifier) -> None:
    notifier.alert(name="deadline_near", recording_key="0" * 32, fields=FIELDS)


def test_every_notifier_takes_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    """In memory, and where no topic is set: there nothing comes after the log line that every alert has (`Books`)."""
    fake = FakeNotifier()
    alert(fake)
    with caplog.at_level(logging.DEBUG, "recorder"):
        alert(LogOnlyNotifier())
    assert caplog.messages == []
    assert fake.alerts == [("deadline_near", "0" * 32, FIELDS)]


def test_an_alert_reaches_who_subscribed_to_the_topic() -> None:
    """By the real publisher; without secrets."""
    with EventGrid(topic_key=KEY) as grid, Receiver() as receiver:
        grid.subscribe(Subscription("alerts", receiver.url, event_types=("AcsByosRecorder.deadline_near",)))
        alert(TopicNotifier(grid.topic_url, key=KEY, credential=None))
        assert grid.wait_idle(10)
        [event] = receiver.notifications[0].body
    assert event["subject"] == f"/recordings/{'0' * 32}"
    assert event["data"]["recordingKey"] == "0" * 32
    assert event["data"]["deadline"] == "2026-11-22T12:00:00.000Z"
    assert event["data"]["blame"] == "acs"
    assert "secret" not in json.dumps(event)


def test_an_alert_that_cannot_be_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing is raised: the rescue that raised it goes on."""

    def refuse(_: Asked) -> Answer:
        return Answer(
            401, b'{"error": {"code": "Unauthorized", "message": "no"}}', {"Content-Type": "application/json"}
        )

    with Scripted(refuse) as server, caplog.at_level(logging.ERROR, "recorder"):
        alert(TopicNotifier(f"{server.origin}/api/events", key="wrong", credential=None))
    assert json.loads(caplog.messages[0])["event"] == "alert.not_sent"


def test_a_topic_that_fails_is_asked_three_times_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK alone would ask eleven times, minutes long."""
    with Scripted(lambda _: Answer(500)) as server, caplog.at_level(logging.ERROR, "recorder"):
        alert(TopicNotifier(f"{server.origin}/api/events", key=KEY, credential=None))
    assert len(server.asked) == 3
    assert json.loads(caplog.messages[0])["event"] == "alert.not_sent"


def test_a_fault_from_below_the_sdk_is_logged_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the bundle of CAs is missing: requests says so by an OSError."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with caplog.at_level(logging.ERROR, "recorder"):
        alert(TopicNotifier("https://127.0.0.1:1/api/events", key=KEY, credential=None))
    assert json.loads(caplog.messages[0])["event"] == "alert.not_sent"


def test_a_topic_needs_a_key_or_an_identity() -> None:
    with pytest.raises(ValueError, match="key or an identity"):
        TopicNotifier(TOPIC, key=None, credential=None)
