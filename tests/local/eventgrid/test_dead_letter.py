"""Undeliverable events are written to a container, by the real storage SDK into Azurite."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import BlobServiceClient

from local.eventgrid import CLOUD_EVENTS, DeadLetter, State, Subscription
from tests.local.eventgrid.test_delivery import run_out
from tests.support.receiver import Receiver, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

    from local.azurite import Azurite
    from local.clock import Clock
    from local.eventgrid import EventGrid


@pytest.fixture
def container(azurite: Azurite, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        yield service.create_container(name)


def blobs(container: ContainerClient) -> dict[str, Any]:
    return {name: json.loads(container.download_blob(name).readall()) for name in container.list_blob_names()}


def test_a_dead_letter_holds_the_reason(
    grid: EventGrid, clock: Clock, receiver: Receiver, azurite: Azurite, container: ContainerClient
) -> None:
    """Five minutes after the last attempt, under the subscription's name and the hour, with the documented fields."""
    receiver.answer = lambda _number, _request: 404
    place = DeadLetter(azurite.connection_string, container.container_name)
    grid.subscribe(Subscription("my-Recordings", receiver.url, max_attempts=2, dead_letter=place))
    grid.publish(event())
    run_out(grid, clock)
    (name,) = found = blobs(container)
    assert re.fullmatch(r"MY-RECORDINGS/2026/3/1/8/[0-9a-f-]{36}\.json", name)
    (letter,) = found[name]
    assert {key: letter[key] for key in event()} == event()
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["deliveryAttempts"] == 2
    assert letter["lastDeliveryOutcome"] == "NotFound"
    assert re.fullmatch(r"2026-03-01T08:00:00\.\d{7}Z", letter["publishTime"])
    assert re.fullmatch(r"2026-03-01T08:00:1\d\.\d{7}Z", letter["lastDeliveryAttemptTime"])
    (delivery,) = grid.deliveries
    assert (delivery.state, delivery.blob) == (State.DEAD_LETTERED, name)
    assert clock.now() - delivery.attempts[-1].at >= timedelta(minutes=5)


def test_events_given_up_together_share_a_blob(
    grid: EventGrid, clock: Clock, receiver: Receiver, azurite: Azurite, container: ContainerClient
) -> None:
    """The extra attributes of a cloud event are lower-case."""
    receiver.answer = lambda _number, _request: 400
    place = DeadLetter(azurite.connection_string, container.container_name)
    grid.subscribe(Subscription("recordings", receiver.url, schema=CLOUD_EVENTS, dead_letter=place))
    grid.publish_all([event(1), event(2), event(3)])
    assert grid.wait_settled(10)
    clock.advance(timedelta(minutes=6))
    run_out(grid, clock)
    (letters,) = blobs(container).values()
    assert sorted(letter["id"] for letter in letters) == ["event-1", "event-2", "event-3"]
    assert {letter["lastdeliveryoutcome"] for letter in letters} == {"BadRequest"}


def test_without_the_container_a_dead_letter_is_dropped(
    grid: EventGrid, clock: Clock, receiver: Receiver, azurite: Azurite
) -> None:
    """As documented; the delivery holds the reason."""
    receiver.answer = lambda _number, _request: 400
    place = DeadLetter(azurite.connection_string, "is-not-there")
    grid.subscribe(Subscription("recordings", receiver.url, dead_letter=place))
    grid.publish(event())
    run_out(grid, clock)
    (delivery,) = grid.deliveries
    assert (delivery.state, delivery.reason) == (State.DROPPED, "DeadLetterDestinationNotFound")


def test_a_storage_outage_is_bridged_for_four_hours(
    grid: EventGrid, clock: Clock, receiver: Receiver, azurite: Azurite
) -> None:
    """Then the event is dropped."""
    receiver.answer = lambda _number, _request: 400
    nowhere = azurite.connection_string.replace(str(azurite.blob_port), "9")
    grid.subscribe(Subscription("recordings", receiver.url, dead_letter=DeadLetter(nowhere, "letters")))
    grid.publish(event())
    run_out(grid, clock, until=timedelta(hours=4))
    assert grid.deliveries[0].state is State.DEAD_LETTERING
    run_out(grid, clock, until=timedelta(hours=5))
    assert grid.deliveries[0].reason == "DeadLetterDestinationUnavailable"


def test_deleting_a_subscription_drops_its_unwritten_dead_letters(
    grid: EventGrid, receiver: Receiver, azurite: Azurite
) -> None:
    """They do not stay unfinished for ever."""
    receiver.answer = lambda _number, _request: 400
    place = DeadLetter(azurite.connection_string, "letters")
    grid.subscribe(Subscription("recordings", receiver.url, dead_letter=place))
    grid.publish(event())
    assert grid.wait_settled(10)
    assert grid.deliveries[0].state is State.DEAD_LETTERING
    assert grid.unsubscribe("recordings")
    assert (grid.pending, grid.deliveries[0].reason) == (0, "SubscriptionDeleted")


def test_the_account_key_is_not_printed() -> None:
    """Neither alone nor within its subscription."""
    place = DeadLetter("AccountKey=secret", "letters")
    assert "secret" not in repr(Subscription("recordings", "http://127.0.0.1:1/", dead_letter=place))
