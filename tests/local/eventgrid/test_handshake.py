"""An endpoint must agree before it gets events."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from local.eventgrid import CLOUD_EVENTS, HandshakeError, Subscription
from tests.support.receiver import Receiver, event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.eventgrid import EventGrid


def test_the_validation_event_is_the_services(grid: EventGrid, receiver: Receiver) -> None:
    """An array of one event, with a code to echo."""
    grid.subscribe(Subscription("recordings", receiver.url))
    (request,) = receiver.requests
    assert request.kind == "SubscriptionValidation"
    (validation,) = request.body
    assert validation["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert validation["data"].keys() == {"validationCode", "validationUrl"}
    assert [s.name for s in grid.subscriptions] == ["recordings"]


def test_the_content_type_of_the_echo_does_not_matter(grid: EventGrid, receiver: Receiver) -> None:
    """The Functions extension echoes JSON as `text/plain`, other endpoints as `application/json`."""
    for number, content_type in enumerate([None, "text/plain; charset=utf-8", "application/json"]):
        receiver.content_type = content_type
        grid.subscribe(Subscription(f"recordings-{number}", receiver.url))
    assert len(grid.subscriptions) == 3


def test_a_cloud_events_endpoint_is_asked_by_options(grid: EventGrid, receiver: Receiver) -> None:
    """It allows the sender by name or by a star."""
    for number, allowed in enumerate(["eventgrid.azure.net", "*"]):
        receiver.allowed_origin = allowed
        grid.subscribe(Subscription(f"recordings-{number}", receiver.url, schema=CLOUD_EVENTS))
    assert [r.method for r in receiver.requests] == ["OPTIONS", "OPTIONS"]
    assert receiver.requests[0].headers["webhook-request-origin"] == "eventgrid.azure.net"


def test_without_agreement_there_is_no_subscription(grid: EventGrid, receiver: Receiver) -> None:
    """A 202, another code or an error is not an agreement; nothing is delivered."""
    refusals: list[Callable[[str], tuple[int, Any]]] = [
        lambda code: (202, {"validationResponse": code}),
        lambda _code: (200, {"validationResponse": "no"}),
        lambda _code: (500, None),
    ]
    for refusal in refusals:
        receiver.echo = refusal
        with pytest.raises(HandshakeError, match="recordings"):
            grid.subscribe(Subscription("recordings", receiver.url, handshake_wait=0.3))
    grid.publish(event())
    assert grid.deliveries == ()
    assert receiver.notifications == []


def test_an_origin_that_is_not_allowed_ends_the_handshake(grid: EventGrid, receiver: Receiver) -> None:
    """A 200 to OPTIONS alone is not an agreement."""
    receiver.allowed_origin = "elsewhere.example"
    with pytest.raises(HandshakeError, match="allows the origin"):
        grid.subscribe(Subscription("recordings", receiver.url, schema=CLOUD_EVENTS, handshake_wait=0.3))


def test_the_handshake_waits_for_an_endpoint_that_starts_later(grid: EventGrid) -> None:
    """For example a host that is started in another terminal."""
    with Receiver() as gone:
        url, port = gone.url, gone.port
    failures: list[Exception] = []

    def subscribe() -> None:
        try:
            grid.subscribe(Subscription("recordings", url, handshake_wait=10))
        except HandshakeError as error:
            failures.append(error)

    thread = threading.Thread(target=subscribe)
    with socket.create_server(("127.0.0.1", port)) as not_up_yet:
        not_up_yet.settimeout(10)
        thread.start()
        not_up_yet.accept()[0].close()
    with Receiver(port=port) as receiver:
        thread.join(10)
        assert failures == []
        grid.publish(event())
        assert grid.wait_idle(10)
        assert [r.ids for r in receiver.notifications] == [["event-1"]]


def test_stopping_ends_a_handshake_that_waits(grid: EventGrid, receiver: Receiver) -> None:
    """A program can be stopped while its endpoint is not up."""
    failures: list[Exception] = []

    def subscribe() -> None:
        try:
            grid.subscribe(Subscription("recordings", receiver.url, handshake_wait=60))
        except HandshakeError as error:
            failures.append(error)

    receiver.echo = lambda _code: (503, None)
    thread = threading.Thread(target=subscribe)
    thread.start()
    eventually(lambda: receiver.requests, what="a first attempt")
    grid.stop()
    thread.join(5)
    assert len(failures) == 1


def test_a_second_subscription_of_the_same_name_replaces_the_first(grid: EventGrid, receiver: Receiver) -> None:
    """Events then go to the new endpoint only."""
    with Receiver() as other:
        grid.subscribe(Subscription("recordings", receiver.url))
        grid.subscribe(Subscription("recordings", other.url))
        grid.publish(event())
        assert grid.wait_idle(10)
        assert (len(receiver.notifications), len(other.notifications)) == (0, 1)
