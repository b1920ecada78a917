"""The topic endpoint, by the real publisher SDK and by hand; the server's life."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from local.eventgrid import CLOUD_EVENTS, EventGrid, State, Subscription
from tests.local.host.support import call
from tests.support.receiver import Receiver, event

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a2V5IG9mIHRoZSB0b3BpYw=="
JSON = "application/json"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def locked() -> Iterator[EventGrid]:
    with EventGrid(topic_key=KEY) as grid:
        yield grid


def test_the_publisher_sdk_sends_events_of_both_schemas(locked: EventGrid, receiver: Receiver) -> None:
    """With the topic's key, over the SDK's own transport."""
    locked.subscribe(Subscription("recordings", receiver.url, schema=CLOUD_EVENTS))
    with EventGridPublisherClient(locked.topic_url, AzureKeyCredential(KEY)) as client:
        client.send([EventGridEvent(subject="s", event_type="t", data={"n": n}, data_version="1") for n in range(3)])
        client.send(CloudEvent(source="/tests", type="t", data={"n": 3}))
    assert locked.wait_idle(10)
    assert sorted(r.body["data"]["n"] for r in receiver.notifications) == [0, 1, 2, 3]


def test_a_wrong_key_is_refused(locked: EventGrid) -> None:
    """401, and the SDK says so."""
    with (
        EventGridPublisherClient(locked.topic_url, AzureKeyCredential("wrong")) as client,
        pytest.raises(ClientAuthenticationError),
    ):
        client.send(EventGridEvent(subject="s", event_type="t", data={}, data_version="1"))
    for headers in ({}, {"aeg-sas-token": "r=x&e=y&s=z"}, {"aeg-sas-key": "\xe9"}):
        answer = call(locked.origin, "/api/events", method="POST", body=b"[]", headers=headers)
        assert (answer.status, answer.json()["error"]["code"]) == (401, "Unauthorized")


def test_a_publisher_gets_the_reason_of_a_refusal(grid: EventGrid) -> None:
    """As JSON with a code and a message."""
    for body, content_type, query, status in (
        (_json([event()]), JSON, "?api-version=2018-01-01", 200),
        (b"[]", JSON, "", 200),
        (b"[]", JSON, "?api-version=2030-01-01", 400),
        (_json(event()), JSON, "", 400),
        (b'[{"id": "1"}]', JSON, "", 400),
        (b"[" * 100_000, JSON, "", 400),
        (b"\xff", JSON, "", 400),
        (_json([event()]), "text/plain", "", 415),
        (_json([{**event(), "data": "x" * 1_100_000}]), JSON, "", 413),
    ):
        headers = {"Content-Type": content_type}
        answer = call(grid.origin, f"/api/events{query}", method="POST", body=body, headers=headers)
        assert answer.status == status, body[:50]
        assert status == 200 or answer.json()["error"]["message"]
    assert call(grid.origin, "/_control/health").status == 404


def test_a_taken_port_fails_the_start(grid: EventGrid) -> None:
    """The start raises, and leaves nothing behind."""
    second = EventGrid(port=int(grid.origin.rpartition(":")[2]))
    with pytest.raises(RuntimeError, match="did not start"):
        second.start()
    second.stop()


def test_it_can_be_started_again_on_its_port(receiver: Receiver) -> None:
    """Without the earlier subscriptions and their deliveries, as after the end of a program."""
    grid = EventGrid()
    receiver.answer = lambda number, _request: 500 if number == 1 else 200
    with grid:
        grid.subscribe(Subscription("recordings", receiver.url))
        grid.publish(event(1))
        assert grid.wait_settled(10)
        assert grid.pending == 1
        origin = grid.origin
    with grid:
        assert grid.origin == origin
        assert (grid.subscriptions, grid.pending) == ((), 0)
        grid.subscribe(Subscription("recordings", receiver.url))
        grid.publish(event(2))
        assert grid.wait_idle(10)
    assert [(delivery.state, delivery.reason) for delivery in grid.deliveries] == [
        (State.DROPPED, "Stopped"),
        (State.DELIVERED, None),
    ]
    with pytest.raises(RuntimeError, match="not running"):
        grid.publish(event())
