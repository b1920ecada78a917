"""State callbacks, received by a real HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.acs import AcsConfig, AcsEmulator
from tests.local.acs import raw
from tests.local.acs.finished import start_body
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def life(acs: AcsEmulator, url: str) -> str:
    recording_id = str(raw.start(acs, start_body(acs, recordingStateCallbackUri=url)).json["recordingId"])
    acs.wait_idle()
    for method, action in (("POST", ":pause"), ("POST", ":resume"), ("DELETE", "")):
        raw.rest(acs, method, f"/calling/recordings/{recording_id}{action}{raw.VERSION}")
        acs.wait_idle()
    return recording_id


def test_every_change_of_state_is_posted_as_one_cloud_event(acs: AcsEmulator, receiver: Receiver) -> None:
    recording_id = life(acs, receiver.url)
    assert [len(request.body) for request in receiver.requests] == [1, 1, 1, 1]
    events = [request.body[0] for request in receiver.requests]
    assert {event["type"] for event in events} == {"Microsoft.Communication.RecordingStateChanged"}
    assert {event["specversion"] for event in events} == {"1.0"}
    assert [event["data"]["state"] for event in events] == ["active", "inactive", "active", "inactive"]
    assert {event["data"]["recordingId"] for event in events} == {recording_id}


@pytest.mark.parametrize("kind", ["refusing", "absent", "foreign"])
def test_a_callback_that_fails_does_no_harm(
    acs: AcsEmulator, receiver: Receiver, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = lambda _number, _request: 500
    url = {"refusing": receiver.url, "absent": "http://127.0.0.1:1/", "foreign": "https://example.org/"}[kind]
    life(acs, url)
    reported = [record.getMessage() for record in caplog.records if record.name == "local.acs"]
    assert [text.split()[0] for text in reported] == {
        "refusing": ["acs.callback.refused"] * 4,
        "absent": ["acs.callback.failed"] * 4,
        "foreign": [],
    }[kind]


def test_a_publisher_that_raises_is_logged_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Any] = []

    def publish(event: dict[str, Any]) -> None:
        events.append(event)
        raise RuntimeError("no one listens")

    with AcsEmulator(AcsConfig(call_started=False), publish=publish) as other:
        for _ in range(2):
            call = other.create_call()
            raw.control(other, "POST", f"/calls/{call.call_id}/recordings")
            other.end_call(call.call_id)
        other.wait_idle()
    assert len(events) == 2
    assert [record.getMessage() for record in caplog.records if record.name == "local.acs"] == [
        "acs.background.failed"
    ] * 2
