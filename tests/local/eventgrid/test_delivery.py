"""Deliveries to a real HTTP server, in stepped time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from local.eventgrid import CLOUD_EVENTS, RETRY_DELAYS, EventError, EventGrid, Outcome, State, Subscription
from local.eventgrid.schedule import JITTER
from tests.local.eventgrid.conftest import START
from tests.support.receiver import Received, Receiver, event

if TYPE_CHECKING:
    from local.clock import Clock

WAIT = 10.0


def run_out(grid: EventGrid, clock: Clock, *, until: timedelta = timedelta(days=3)) -> None:
    """Advances the clock from one due time to the next, until none is left or `until` after the start."""
    assert grid.wait_settled(WAIT)
    while (due := grid.next_due()) is not None and due <= START + until:
        clock.advance(max(due - clock.now(), timedelta(0)))
        assert grid.wait_settled(WAIT)


def test_an_event_arrives_as_the_service_sends_it(grid: EventGrid, receiver: Receiver) -> None:
    """An array of one, with the documented headers."""
    grid.subscribe(Subscription("recordings", receiver.url))
    grid.publish(event())
    assert grid.wait_idle(WAIT)
    (got,) = receiver.notifications
    assert (got.method, got.path) == ("POST", "/hook?functionName=recorder")
    assert got.body == [event()]
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    wanted = {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": "RECORDINGS",
        "aeg-delivery-count": "0",
        "aeg-data-version": "1.0",
        "aeg-metadata-version": "1",
    }
    assert wanted.items() <= got.headers.items()
    (delivery,) = grid.deliveries
    assert delivery.state is State.DELIVERED
    assert [(a.outcome, a.status) for a in delivery.attempts] == [(Outcome.DELIVERED, 200)]


def test_any_json_text_arrives_as_it_was(grid: EventGrid, receiver: Receiver) -> None:
    """Even half a surrogate pair, which JSON can say and UTF-8 cannot."""
    odd = {**event(), "data": {"text": "\ud800 \x00 \u202e Grüße"}}
    grid.subscribe(Subscription("recordings", receiver.url))
    grid.publish(odd)
    assert grid.wait_idle(WAIT)
    assert receiver.notifications[0].body == [odd]


def test_a_cloud_events_subscription_gets_one_cloud_event(grid: EventGrid, receiver: Receiver) -> None:
    """The same event in the other envelope, alone and not in an array."""
    grid.subscribe(Subscription("recordings", receiver.url, schema=CLOUD_EVENTS))
    grid.publish(event())
    assert grid.wait_idle(WAIT)
    (got,) = receiver.notifications
    given = event()
    assert got.body == {
        "id": given["id"],
        "source": given["topic"],
        "specversion": "1.0",
        "type": given["eventType"],
        "subject": given["subject"],
        "time": given["eventTime"],
        "data": given["data"],
    }
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert got.headers["aeg-event-type"] == "Notification"


def test_a_failing_endpoint_gets_eleven_attempts_in_a_day(grid: EventGrid, clock: Clock, receiver: Receiver) -> None:
    """The whole documented schedule, 24 h in about a second; the time to live is checked at the next attempt."""
    receiver.answer = lambda _number, _request: 500
    grid.subscribe(Subscription("recordings", receiver.url, delay_after=0))
    grid.publish(event())
    began = time.monotonic()
    run_out(grid, clock)
    assert time.monotonic() - began < 5
    (delivery,) = grid.deliveries
    assert (delivery.state, delivery.reason) == (State.DROPPED, "TimeToLiveExceeded")
    assert len(delivery.attempts) == len(receiver.notifications) == 11
    times = [attempt.at for attempt in delivery.attempts]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for pause, planned in zip(pauses, RETRY_DELAYS, strict=True):
        assert planned <= pause <= planned * (1 + JITTER) + timedelta(seconds=1)
    assert times[-1] - START < timedelta(days=1) <= clock.now() - START
    assert [r.headers["aeg-delivery-count"] for r in receiver.notifications] == [str(n) for n in range(11)]


def test_max_attempts_ends_the_retries(grid: EventGrid, clock: Clock, receiver: Receiver) -> None:
    """The limit includes the first attempt; a redirect is not followed, and retried like an error."""
    receiver.answer = lambda number, _request: 302 if number == 1 else 500
    grid.subscribe(Subscription("recordings", receiver.url, max_attempts=3))
    grid.publish(event())
    run_out(grid, clock)
    (delivery,) = grid.deliveries
    assert (delivery.reason, len(delivery.attempts)) == ("MaxDeliveryAttemptsExceeded", 3)


def test_a_status_that_is_not_retried_ends_the_delivery(grid: EventGrid, clock: Clock, receiver: Receiver) -> None:
    """The event is lost."""
    statuses = [400, 401, 403, 413]
    receiver.answer = lambda number, _request: statuses[number - 1]
    grid.subscribe(Subscription("recordings", receiver.url, concurrency=1))
    grid.publish_all([event(number) for number in range(4)])
    run_out(grid, clock)
    assert [each.state for each in grid.deliveries] == [State.DROPPED] * 4
    assert [[attempt.status for attempt in each.attempts] for each in grid.deliveries] == [[one] for one in statuses]


def test_a_late_response_counts_as_a_failure(grid: EventGrid, clock: Clock, receiver: Receiver) -> None:
    """The handler still runs when Event Grid times out: the event is delivered twice."""
    too_late = threading.Event()

    def answer(number: int, _: Received) -> int:
        if number == 1:
            too_late.wait(WAIT)
        return 200

    receiver.answer = answer
    grid.subscribe(Subscription("recordings", receiver.url, timeout=0.2))
    grid.publish(event())
    assert grid.wait_settled(WAIT)
    (delivery,) = grid.deliveries
    assert [(a.outcome, a.status) for a in delivery.attempts] == [(Outcome.TIMED_OUT, None)]
    assert delivery.state is State.PENDING
    too_late.set()
    run_out(grid, clock)
    assert grid.deliveries[0].state is State.DELIVERED
    assert [request.ids for request in receiver.notifications] == [["event-1"]] * 2


def test_an_unreachable_endpoint_is_retried(grid: EventGrid) -> None:
    """A refused connection is a socket error, not a lost event."""
    with Receiver() as receiver:
        grid.subscribe(Subscription("recordings", receiver.url))
    grid.publish(event())
    assert grid.wait_settled(WAIT)
    (delivery,) = grid.deliveries
    assert [a.outcome for a in delivery.attempts] == [Outcome.SOCKET_ERROR]
    assert delivery.next_attempt is not None
    assert delivery.next_attempt >= START + timedelta(seconds=10)


def test_only_the_wanted_types_are_delivered(grid: EventGrid, receiver: Receiver) -> None:
    """The filter of a subscription, by type, in any case of letters."""
    grid.subscribe(Subscription("recordings", receiver.url, event_types=("contoso.wanted",)))
    grid.publish(event(1, kind="Contoso.Other"))
    grid.publish(event(2, kind="Contoso.Wanted"))
    assert grid.wait_idle(WAIT)
    assert [r.ids for r in receiver.notifications] == [["event-2"]]


def test_duplicates_come_when_asked_for(grid: EventGrid, receiver: Receiver) -> None:
    """Every event twice, with the same id."""
    grid.subscribe(Subscription("recordings", receiver.url, duplicate_probability=1))
    grid.publish_all([event(1), event(2)])
    assert grid.wait_idle(WAIT)
    ids = sorted(identity for r in receiver.notifications for identity in r.ids)
    assert ids == ["event-1", "event-1", "event-2", "event-2"]


def test_events_change_their_order_within_the_window(grid: EventGrid, clock: Clock, receiver: Receiver) -> None:
    """All arrive, spread over the window, in another order than they were published."""
    window = timedelta(minutes=5)
    grid.subscribe(Subscription("recordings", receiver.url, reorder_window=window))
    grid.publish_all([event(n) for n in range(20)])
    run_out(grid, clock)
    ids = [identity for r in receiver.notifications for identity in r.ids]
    assert sorted(ids) == sorted(f"event-{n}" for n in range(20))
    assert ids != [f"event-{n}" for n in range(20)]
    assert all(d.attempts[0].at - START <= window + timedelta(seconds=1) for d in grid.deliveries)


def test_an_endpoint_that_keeps_failing_delays_new_events_too(
    grid: EventGrid, clock: Clock, receiver: Receiver
) -> None:
    """After ten failures even a new event waits; one success ends that."""
    receiver.answer = lambda _number, _request: 503
    grid.subscribe(Subscription("recordings", receiver.url, concurrency=1))
    grid.publish_all([event(n) for n in range(10)])
    assert grid.wait_settled(WAIT)
    assert len(receiver.notifications) == 10
    grid.publish(event(99))
    assert grid.wait_settled(WAIT)
    assert len(receiver.notifications) == 10
    receiver.answer = lambda _number, _request: 200
    clock.advance(timedelta(seconds=11))
    assert grid.wait_settled(WAIT)
    assert receiver.notifications[10].ids == ["event-99"]
    run_out(grid, clock)
    assert grid.pending == 0


def test_redelivery_sends_a_delivered_event_again(grid: EventGrid, receiver: Receiver) -> None:
    """By the id of the event or of the delivery; an unknown id sends nothing."""
    grid.subscribe(Subscription("recordings", receiver.url))
    grid.publish(event())
    assert grid.wait_idle(WAIT)
    assert len(grid.redeliver("event-1")) == 1
    assert grid.wait_idle(WAIT)
    assert len(grid.redeliver(grid.deliveries[0].id)) == 1
    assert grid.wait_idle(WAIT)
    assert [r.ids for r in receiver.notifications] == [["event-1"]] * 3
    assert grid.redeliver("unknown") == ()


def test_unsubscribing_drops_waiting_deliveries(grid: EventGrid, receiver: Receiver) -> None:
    """No delivery follows."""
    receiver.answer = lambda _number, _request: 500
    grid.subscribe(Subscription("recordings", receiver.url))
    grid.publish(event())
    assert grid.wait_settled(WAIT)
    assert grid.unsubscribe("recordings")
    assert not grid.unsubscribe("recordings")
    assert grid.pending == 0
    assert grid.deliveries[0].reason == "SubscriptionDeleted"


def test_what_is_not_an_event_is_refused(grid: EventGrid) -> None:
    """The error names every fault."""
    refused: list[tuple[Any, str]] = [
        ({"id": "1"}, "subject is missing; eventType is missing; eventTime is missing; data is missing"),
        ({**event(), "id": ""}, "id must be a non-empty string"),
        ({"specversion": "2.0", "id": "1", "source": "s", "type": "t"}, "specversion must be 1.0"),
        ([], "an event must be a JSON object"),
    ]
    for broken, fault in refused:
        with pytest.raises(EventError, match=fault):
            grid.publish(broken)


def test_a_cloud_event_cannot_be_delivered_in_the_event_grid_schema(grid: EventGrid, receiver: Receiver) -> None:
    """As in the service, and nothing of the request is accepted."""
    grid.subscribe(Subscription("recordings", receiver.url))
    with pytest.raises(EventError, match="cannot be delivered"):
        grid.publish_all([event(), {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}])
    assert grid.deliveries == ()


def test_a_subscription_names_all_its_faults() -> None:
    """Limits are the service's."""
    with pytest.raises(ValueError, match=r"name must .*; endpoint must .*; ttl must .*; max_attempts must"):
        Subscription("a", "ftp://x", ttl=timedelta(days=2), max_attempts=31)


def test_many_events_flow(receiver: Receiver) -> None:
    """A thousand events, in real time, each once."""
    with EventGrid() as grid:
        grid.subscribe(Subscription("recordings", receiver.url))
        for number in range(1000):
            grid.publish(event(number))
        assert grid.wait_idle(30)
    ids = {identity for r in receiver.notifications for identity in r.ids}
    assert len(ids) == len(receiver.notifications) == 1000
