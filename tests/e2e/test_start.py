"""`POST /api/recordings`: what callers meet, with the real SDK between the app and ACS."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.support import ARCHIVE, plan

if TYPE_CHECKING:
    from tests.e2e.support import World
    from tests.local.host.support import Answer


def _is_problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The problem document, after a look at its form."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["title"]
    assert "Traceback" not in answer.body.decode()
    return document


def test_a_started_recording_is_found_where_location_says(world: World) -> None:
    """201, Location, and what was started; by the id of ACS or the key of Location alike."""
    call = world.stack.acs.create_call(group_call_id=str(uuid.uuid4()))
    answer = world.post({"groupCallId": call.group_call_id, "recordingFormat": "WAV", "pauseOnStart": True})
    assert answer.status == 201
    started = answer.json()
    assert (started["recordingFormat"], started["containerUrl"]) == ("wav", world.url("recordings"))
    story = world.get(answer.headers["location"]).json()
    assert (story["recordingId"], story["state"]) == (started["recordingId"], "started")
    assert world.get(f"/api/recordings/{started['recordingId']}").json()["key"] == story["key"]
    real = world.stack.acs.resource.find(started["recordingId"])
    assert (real.state, real.request.container_url) == ("paused", world.url("recordings"))


@pytest.mark.parametrize(
    ("field", "attribute"),
    [
        ("serverCallId", "server_call_id"),
        ("groupCallId", "group_call_id"),
        ("roomId", "room_id"),
        ("callConnectionId", "call_connection_id"),
    ],
)
def test_every_way_to_name_a_call_works(world: World, field: str, attribute: str) -> None:
    """serverCallId, groupCallId, roomId and callConnectionId reach ACS as they should."""
    call = world.stack.acs.create_call(group_call_id=str(uuid.uuid4()), room_id=f"9943{uuid.uuid4().int % 10**13:013}")
    answer = world.post({field: getattr(call, attribute)})
    assert answer.status == 201, answer.body
    real = world.stack.acs.resource.find(answer.json()["recordingId"])
    assert (real.call.call_id, real.request.locator) == (call.call_id, (field, getattr(call, attribute)))


def test_a_container_off_the_allow_list_is_refused(world: World) -> None:
    """A caller cannot send a recording elsewhere, not even within the same account."""
    call = world.stack.acs.create_call()
    answer = world.post({"serverCallId": call.server_call_id, "containerUrl": world.url("recording-ledger")})
    assert _is_problem(answer, 400, "invalid_request")["errors"][0]["field"] == "containerUrl"


def test_calls_that_cannot_be_recorded_are_told_apart(world: World) -> None:
    """Unknown, not yet established, ended, and recorded already."""
    acs = world.stack.acs
    _is_problem(world.post({"serverCallId": "aHR0cHM6Ly9leGFtcGxl"}), 404, "call_not_found")
    connecting = acs.create_call(state="connecting")
    _is_problem(world.post({"serverCallId": connecting.server_call_id}), 409, "call_not_established")
    ended = acs.create_call(state="terminated")
    _is_problem(world.post({"serverCallId": ended.server_call_id}), 409, "call_terminated")
    recorded = world.start()
    again = world.post({"serverCallId": recorded.call.server_call_id})
    assert recorded.key in _is_problem(again, 409, "recording_in_progress")["detail"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"status": 409, "code": "8571"}, 409, "recording_conflict"),
        ({"status": 400, "code": "8559"}, 409, "recording_in_progress"),
        ({"status": 400, "code": "8523"}, 400, "acs_invalid_argument"),
        ({"status": 403, "code": "7504"}, 403, "acs_forbidden"),
        ({"status": 401, "code": "7509"}, 502, "acs_unauthorized"),
        ({"status": 500, "code": "9999"}, 502, "acs_unavailable"),
        ({"status": 503}, 503, "acs_unavailable"),
        ({"status": 504}, 504, "acs_timeout"),
        ({"status": 502, "body": "<html>Bad gateway</html>"}, 502, "acs_unavailable"),
    ],
)
def test_what_acs_answers_has_a_code_of_its_own(world: World, fault: dict[str, Any], status: int, code: str) -> None:
    """Statuses and service codes of ACS become problems with a stable code, and say whose matter it is."""
    call = world.stack.acs.create_call()
    world.stack.acs.add_fault(kind="status", operation="start", **fault)
    document = _is_problem(world.post({"serverCallId": call.server_call_id}), status, code)
    assert document["blame"] in ("caller", "acs", "app")
    assert document.get("serviceCode") == fault.get("code", None if "body" in fault else str(fault["status"]))


def test_a_throttled_start_is_passed_on_at_once(world: World) -> None:
    """429 with ACS's Retry-After; the caller waits, the function does not."""
    call = world.stack.acs.create_call()
    world.stack.acs.add_fault(kind="status", operation="start", status=429, code="8529", retry_after="17")
    began = time.monotonic()
    answer = world.post({"serverCallId": call.server_call_id})
    assert time.monotonic() - began < 5
    _is_problem(answer, 429, "acs_throttled")
    assert answer.headers["retry-after"] == "17"


def test_acs_out_of_reach_is_a_503(world: World) -> None:
    """A connection that breaks each time."""
    call = world.stack.acs.create_call()
    world.stack.acs.add_fault(kind="drop", operation="start")
    answer = world.post({"serverCallId": call.server_call_id})
    _is_problem(answer, 503, "acs_unavailable")
    assert answer.headers["retry-after"]


def test_a_lost_answer_starts_nothing_twice(world: World) -> None:
    """ACS starts it and the answer is lost: the SDK asks again under the same id, and gets the same recording."""
    call = world.stack.acs.create_call()
    world.stack.acs.add_fault(kind="lost-answer", operation="start", count=1)
    answer = world.post({"serverCallId": call.server_call_id})
    assert answer.status == 201, answer.body
    real = [one for one in world.stack.acs.resource.recordings() if one.call.call_id == call.call_id]
    assert [one.recording_id for one in real] == [answer.json()["recordingId"]]


def test_an_idempotency_key_gives_the_same_recording(world: World) -> None:
    """The same key and body: the same answer; another body: a 400 that says so."""
    call = world.stack.acs.create_call()
    body, key = {"serverCallId": call.server_call_id}, {"idempotency-key": "order-66"}
    first, second = world.post(body, headers=key), world.post(body, headers=key)
    assert (first.status, second.status) == (201, 201)
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    other = world.post({**body, "recordingFormat": "wav"}, headers=key)
    assert _is_problem(other, 400, "invalid_request")["errors"][0]["field"] == "Idempotency-Key"
    _is_problem(world.post(body, headers={"idempotency-key": "a b"}), 400, "invalid_request")


def test_an_idempotency_key_reaches_acs(world: World) -> None:
    """A key that is a UUID is the service's Repeatability-Request-ID: ACS itself starts nothing twice."""
    call = world.stack.acs.create_call()
    key = str(uuid.uuid4())
    first = world.post({"serverCallId": call.server_call_id}, headers={"idempotency-key": key}).json()
    for name in world.names("recording-ledger", "starts/"):
        world.blobs.get_blob_client("recording-ledger", name).delete_blob()
    again = world.post({"serverCallId": call.server_call_id}, headers={"idempotency-key": key})
    assert again.status == 201, again.body
    assert again.json()["recordingId"] == first["recordingId"]
    assert "idempotent-replayed" not in again.headers


def test_with_enforce_nothing_is_started_into_a_missing_container(strict_world: World) -> None:
    """PREFLIGHT=enforce: 409, and ACS was not asked. Mended, and looked at by a new process, it starts."""
    world = strict_world
    call = world.stack.acs.create_call()
    body = {"serverCallId": call.server_call_id, "containerUrl": world.url(ARCHIVE)}
    world.blobs.delete_container(ARCHIVE)
    try:
        document = _is_problem(world.post(body), 409, "container_not_ready")
        assert document["blame"] == "destination"
        assert not [one for one in world.stack.acs.resource.recordings() if one.call.call_id == call.call_id]
    finally:
        world.blobs.create_container(ARCHIVE)
    world.stack.restart_host()  # for half a minute the old one would go by what it saw
    assert world.start(containerUrl=world.url(ARCHIVE)).end(plan(10_000)).whole()["state"] == "complete"
