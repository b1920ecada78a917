"""The topic endpoint, by the real publisher SDK and by hand; the control plane; the command line."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient, generate_sas

from local.clock import Clock
from local.eventgrid import CLOUD_EVENTS, EventGrid, State, Subscription
from tests.support.receiver import Receiver, event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def locked() -> Iterator[EventGrid]:
    with EventGrid(topic_key=KEY) as grid:
        yield grid


def call(url: str, *, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body is not None else None
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(url, data=data, method=method, headers=sent)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def test_the_publisher_sdk_sends_event_grid_events(locked: EventGrid, receiver: Receiver) -> None:
    """With the topic's key, over the SDK's own transport."""
    locked.subscribe(Subscription("recordings", receiver.url))
    with EventGridPublisherClient(locked.topic_url, AzureKeyCredential(KEY)) as client:
        client.send([EventGridEvent(subject="s", event_type="t", data={"n": n}, data_version="1") for n in range(3)])
    assert locked.wait_idle(10)
    assert sorted(r.body[0]["data"]["n"] for r in receiver.notifications) == [0, 1, 2]


def test_the_publisher_sdk_sends_cloud_events(locked: EventGrid, receiver: Receiver) -> None:
    """With a shared access signature."""
    locked.subscribe(Subscription("recordings", receiver.url, schema=CLOUD_EVENTS))
    token = generate_sas(locked.topic_url, KEY, datetime.now(UTC) + timedelta(hours=1))
    with EventGridPublisherClient(locked.topic_url, AzureSasCredential(token)) as client:
        client.send(CloudEvent(source="/tests", type="t", data={"n": 1}))
    assert locked.wait_idle(10)
    assert receiver.notifications[0].body["data"] == {"n": 1}


def test_a_wrong_key_or_a_stale_signature_is_refused(locked: EventGrid) -> None:
    """401, and the SDK says so."""
    stale = generate_sas(locked.topic_url, KEY, datetime.now(UTC) - timedelta(minutes=1))
    forged = generate_sas(locked.topic_url, base64.b64encode(b"x" * 32).decode(), datetime(2999, 1, 1, tzinfo=UTC))
    for credential in (AzureKeyCredential("wrong"), AzureSasCredential(stale), AzureSasCredential(forged)):
        with (
            EventGridPublisherClient(locked.topic_url, credential) as client,
            pytest.raises((ClientAuthenticationError, HttpResponseError)) as caught,
        ):
            client.send(EventGridEvent(subject="s", event_type="t", data={}, data_version="1"))
        assert caught.value.status_code == 401


def test_a_key_or_signature_that_is_not_ascii_is_refused(locked: EventGrid) -> None:
    """With 401, not with an error of the server."""
    for header in ({"aeg_sas_token": "r=x&e=y&s=\xe9"}, {"aeg_sas_token": "\xe9"}, {"aeg_sas_key": "\xe9"}):
        status, answer = call(locked.topic_url, method="POST", body=[event()], **header)
        assert (status, answer["error"]["code"]) == (401, "Unauthorized")


@pytest.mark.parametrize(("year", "hours", "status"), [(2999, 1, 200), (2026, -1, 401)])
def test_a_signature_expires_in_real_time(year: int, hours: int, status: int) -> None:
    """A publisher signs by the real clock, whatever the clock of the deliveries."""
    clock = Clock(stepped=True, start=datetime(year, 1, 1, tzinfo=UTC))
    with EventGrid(topic_key=KEY, clock=clock) as grid:
        token = generate_sas(grid.topic_url, KEY, datetime.now(UTC) + timedelta(hours=hours))
        assert call(grid.topic_url, method="POST", body=[event()], aeg_sas_token=token)[0] == status


def test_brackets_without_end_are_no_json(grid: EventGrid) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        grid.topic_url, data=b"[" * 100_000, headers={"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310 - loopback
    with caught.value as answer:
        assert answer.code == 400


def test_a_publisher_gets_the_reason_of_a_refusal(grid: EventGrid) -> None:
    """As JSON with a code and a message."""
    cases: list[tuple[Any, str, int]] = [
        ([event()], "application/json", 200),
        ([], "application/json", 200),
        (event(), "application/json", 400),
        ([{"id": "1"}], "application/json", 400),
        ([event()], "text/plain", 415),
        ([{**event(), "data": "x" * 1_100_000}], "application/json", 413),
    ]
    for body, content_type, status in cases:
        got, answer = call(grid.topic_url, method="POST", body=body, Content_Type=content_type)
        assert got == status
        assert status == 200 or answer["error"]["message"]


def test_an_api_version_that_is_unknown_is_refused(grid: EventGrid) -> None:
    """The publisher SDKs send 2018-01-01."""
    assert call(f"{grid.topic_url}?api-version=2018-01-01", method="POST", body=[event()])[0] == 200
    assert call(f"{grid.topic_url}?api-version=2030-01-01", method="POST", body=[event()])[0] == 400


def test_the_control_plane_lists_and_changes_everything(grid: EventGrid, receiver: Receiver) -> None:
    """Subscriptions, deliveries, redelivery and the clock, over HTTP."""
    control = f"{grid.origin}/_control"
    wanted = {"name": "recordings", "endpoint": receiver.url, "ttlMinutes": 10, "eventTypes": ["a"]}
    status, made = call(f"{control}/subscriptions", method="POST", body=wanted)
    assert (status, made["ttlMinutes"], made["eventTypes"]) == (201, 10, ["a"])
    assert call(f"{control}/subscriptions")[1] == [made]
    receiver.answer = lambda number, _request: 500 if number == 1 else 200
    call(grid.topic_url, method="POST", body=[event(kind="a")])
    assert grid.wait_settled(10)
    (pending,) = call(f"{control}/deliveries?state=pending&eventId=event-1")[1]
    assert [(a["outcome"], a["status"]) for a in pending["attempts"]] == [("GenericError", 500)]
    assert call(f"{control}/clock")[1]["nextDue"] == pending["nextAttempt"]
    assert call(f"{control}/clock", method="POST", body={"advanceSeconds": 11})[0] == 200
    assert grid.wait_idle(10)
    assert call(f"{control}/deliveries/event-1/redeliver", method="POST")[0] == 202
    assert grid.wait_idle(10)
    assert [d["state"] for d in call(f"{control}/deliveries")[1]] == ["delivered", "delivered"]
    assert call(f"{control}/health")[1] == {"status": "ok", "pending": 0}
    assert call(f"{control}/subscriptions/recordings", method="DELETE")[0] == 204
    assert call(f"{control}/subscriptions/recordings", method="DELETE")[0] == 404


def test_an_invalid_subscription_is_refused(grid: EventGrid) -> None:
    """409 where the handshake failed, else 400."""
    fine: dict[str, Any] = {"name": "recordings", "endpoint": "http://127.0.0.1:9/"}
    cases: list[tuple[Any, int]] = [
        (fine | {"handshakeWaitSeconds": 0.1}, 409),
        (fine | {"tll": 1}, 400),
        (fine | {"name": "x"}, 400),
        ({"name": "recordings"}, 400),
        (fine | {"name": 5}, 400),
        (fine | {"endpoint": 5}, 400),
        (fine | {"deadLetter": {}}, 400),
        (fine | {"deadLetter": "here"}, 400),
        (fine | {"eventTypes": [5]}, 400),
        (fine | {"eventTypes": "all"}, 400),
        (fine | {"maxAttempts": True}, 400),
        (fine | {"ttlMinutes": 1e300}, 400),
        ([], 400),
    ]
    for body, status in cases:
        assert call(f"{grid.origin}/_control/subscriptions", method="POST", body=body)[0] == status, body


def test_the_command_line_subscribes_and_ends_on_a_signal(receiver: Receiver) -> None:
    """`python -m local.eventgrid` delivers what its topic endpoint gets."""
    command = [sys.executable, "-m", "local.eventgrid", "--port", "0", "--webhook", receiver.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            assert lines[2] == f"delivering to:  {receiver.url}\n"
            assert call(lines[0].split()[-1], method="POST", body=[event()])[0] == 200
            eventually(lambda: receiver.notifications)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert [r.ids for r in receiver.notifications] == [["event-1"]]


def test_the_command_line_takes_a_stepped_clock() -> None:
    """By `--scale 0`; a negative scale is refused in one line."""
    command = [sys.executable, "-m", "local.eventgrid", "--port", "0", "--scale"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(2)]
            assert call(lines[1].split()[-1] + "clock")[1]["scale"] == 0
        finally:
            process.kill()
    refused = subprocess.run([*command, "-1"], capture_output=True, text=True, timeout=30, check=False)
    assert (refused.returncode, refused.stderr) == (2, "scale must be above 0\n")


def test_a_taken_port_fails_the_start(grid: EventGrid) -> None:
    """The start raises, and leaves nothing behind."""
    port = int(grid.origin.rpartition(":")[2])
    second = EventGrid(port=port)
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
