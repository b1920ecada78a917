"""`python -m local.acs` as a process of its own, and the emulator's two forms side by side."""

from __future__ import annotations

import hashlib
import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from azure.communication.callautomation import CallAutomationClient

from local.acs import AcsConfig, AcsEmulator
from local.acs.__main__ import config_from, parser
from local.acs.transport import EmulatorTransport
from local.clock import Clock
from tests.local.host.support import call
from tests.support.processes import Terminal, typed
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def program(*flags: str, **environment: str) -> Iterator[tuple[Terminal, str]]:
    """The running program, and where it listens."""
    with typed("local.acs", "--port", "0", "--event-delay", "0", *flags, environment=environment) as running:
        running.printed("^ready$")
        yield running, running.printed(r"emulator on (http://[\d.:]+)")


def control(origin: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    return call(origin, f"/_control{path}", method=method, body=data).json()


def ends(running: Terminal, number: signal.Signals) -> int:
    running.process.send_signal(number)
    return running.process.wait(10)


def test_it_serves_until_a_signal() -> None:
    with program("--seed", "5", "--clock-scale", "0") as (running, origin):
        reported = control(origin, "GET", "/health")
        assert (reported["status"], reported["seed"]) == ("ok", 5)
        assert control(origin, "GET", "/clock")["scale"] == 0
        assert ends(running, signal.SIGTERM) == 0


def test_its_events_go_to_the_webhook_through_event_grid() -> None:
    with Receiver() as receiver, program("--webhook", receiver.url) as (running, origin):
        running.printed("^events are delivered to ")
        call_id = control(origin, "POST", "/calls", {})["callId"]
        recording_id = control(origin, "POST", f"/calls/{call_id}/recordings", {})["recordingId"]
        control(origin, "POST", f"/calls/{call_id}/end", {})
        eventually(lambda: len(receiver.notifications) == 2)
        found = {event["eventType"].rpartition(".")[2]: event for one in receiver.notifications for event in one.body}
        assert set(found) == {"CallStarted", "RecordingFileStatusUpdated"}
        assert found["CallStarted"]["data"]["correlationId"] == call_id
        assert f"/recording/call/{call_id}/" in found["RecordingFileStatusUpdated"]["subject"]
        assert control(origin, "GET", f"/recordings/{recording_id}")["published"]
        assert ends(running, signal.SIGINT) == 0


@contextmanager
def in_process() -> Iterator[str]:
    with AcsEmulator(AcsConfig(seed=5), clock=Clock(stepped=True)) as acs:
        yield acs.origin


@contextmanager
def own_process() -> Iterator[str]:
    with program("--seed", "5", "--clock-scale", "0") as (_, origin):
        yield origin


@pytest.mark.parametrize("form", [in_process, own_process])
def test_the_same_happens_in_either_form(form: Any) -> None:
    """Start, faults, end, download with retries, delete, retention: by SDK and control plane alone."""
    with form() as origin:
        text = control(origin, "GET", "/health")["connectionString"]
        call = control(origin, "POST", "/calls", {"roomId": "99400000000000000"})
        transport = EmulatorTransport(origin)
        with CallAutomationClient.from_connection_string(
            text, transport=transport, retry_backoff_factor=0.01
        ) as client:
            started = client.start_recording(room_id="99400000000000000")
            path = f"/recordings/{started.recording_id}"
            end = {"chunks": [{"bytes": 100_000}, {"bytes": 5}], "wait": True}
            assert len(control(origin, "POST", f"/calls/{call['callId']}/end", end)["recordings"]) == 1
            control(origin, "POST", "/faults", {"kind": "status", "status": 503, "operation": "media", "count": 2})
            first, second = control(origin, "GET", path)["chunks"]
            answer: Any = client.download_recording(first["contentLocation"])
            assert hashlib.sha256(b"".join(answer.iter_bytes())).hexdigest() == first["sha256"]
            client.delete_recording(first["deleteLocation"])
            reported = control(origin, "GET", path)
            assert [chunk["available"] for chunk in reported["chunks"]] == [False, True]
            assert reported["chunks"][0]["requests"] == {"media": 3, "delete": 1}
            control(origin, "POST", "/clock", {"advanceSeconds": 24 * 3600})
            assert [chunk["available"] for chunk in control(origin, "GET", path)["chunks"]] == [False, False]
            assert second["bytes"] == 5
        statuses = [entry["status"] for entry in control(origin, "GET", "/requests")["requests"]]
        assert statuses == [200, 503, 503, 200, 200]


def test_flags_win_over_the_environment() -> None:
    environment = {"ACS_EMULATOR_PORT": "1", "ACS_EMULATOR_RETENTION_HOURS": "2"}
    config = config_from(parser(environment).parse_args(["--port", "2", "--event-delay", "0"]))
    assert config.port == 2
    assert config.retention.total_seconds() == 7200
    assert config.event_delay.total_seconds() == 0
