"""The control plane over HTTP: what the README's commands leave out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import AcsConfig, AcsEmulator, ChunkPlan, EndPlan
from tests.local.acs import raw

if TYPE_CHECKING:
    from local.clock import Clock
    from tests.local.acs.finished import Finished


REFUSED: tuple[tuple[str, str, Any, int], ...] = (
    ("GET", "/nothing", None, 404),
    ("PUT", "/calls", {}, 405),
    ("POST", "/calls", {"surprise": 1}, 400),
    ("POST", "/calls", {"state": "odd"}, 400),
    ("POST", "/calls", {"plan": {"export": "odd"}}, 400),
    ("POST", "/calls", {"plan": {"surprise": 1}}, 400),
    ("POST", "/calls", {"plan": {"chunks": [{"hours": 1}]}}, 400),
    ("POST", "/calls", {"plan": {"chunks": [{"bytes": 5_000_000_000}]}}, 400),
    ("POST", "/calls", {"plan": {"chunks": [{"bytes": -1}]}}, 400),
    ("POST", "/calls", {"plan": {"chunks": [{"seconds": 30_000}]}}, 400),
    ("POST", "/calls", {"plan": {"chunks": [{"shape": "odd"}]}}, 400),
    ("POST", "/calls", {"plan": {"chunks": [{"seconds": 1e300}]}}, 400),
    ("POST", "/calls/none/end", {}, 404),
    ("POST", "/calls/none/state", {"state": "connecting"}, 404),
    ("POST", "/calls/none/recordings", {}, 404),
    ("GET", "/recordings/none", None, 404),
    ("POST", "/recordings/none/late-export", {}, 404),
    ("POST", "/faults", {"kind": "odd"}, 400),
    ("POST", "/faults", {"kind": "drop", "fromSeconds": "soon"}, 400),
    ("POST", "/faults", {"kind": "drop", "start": "2026-11-22T00:00:00"}, 400),
    ("POST", "/faults", {"kind": "drop", "start": 5}, 400),
    ("POST", "/faults", {"kind": "status", "status": "abc"}, 400),
    ("POST", "/faults", {"kind": "status", "status": True}, 400),
    ("POST", "/faults", {"kind": "status", "status": 99}, 400),
    ("POST", "/faults", {"kind": "status", "status": 500, "body": {}}, 400),
    ("POST", "/faults", {"kind": "cut", "bytes": -1}, 400),
    ("POST", "/faults", {"kind": "export", "reason": "bogus"}, 400),
    ("DELETE", "/faults/none", None, 404),
    ("GET", "/requests?limit=-1", None, 400),
    ("POST", "/outages", {"service": "media"}, 400),
    ("POST", "/outages", {"service": "odd", "seconds": 1}, 400),
    ("POST", "/outages", {"mode": "odd", "seconds": 1}, 400),
    ("POST", "/clock", {"advanceSeconds": -1}, 400),
    ("POST", "/clock", [1], 400),
    ("POST", "/clock", {"advanceSeconds": 1e300}, 400),
)


def test_what_makes_no_sense_is_refused(acs: AcsEmulator) -> None:
    for method, path, body, status in REFUSED:
        answer = raw.control(acs, method, path, body)
        assert (answer.status, bool(answer.json["error"]["message"])) == (status, True), (path, body)


def test_health_tells_the_published_key_only() -> None:
    with AcsEmulator(AcsConfig(seed=3)) as acs:
        reported = raw.control(acs, "GET", "/health").json
        assert (reported["status"], reported["seed"], reported["connectionString"]) == ("ok", 3, acs.connection_string)
    with AcsEmulator(AcsConfig(access_key="bXkgb3du")) as acs:
        assert b"bXkgb3du" not in raw.control(acs, "GET", "/health").body
    assert "bXkgb3du" not in repr(acs.config)


def test_participants_are_counted_never_shown(acs: AcsEmulator) -> None:
    made = raw.control(acs, "POST", "/calls", {"participants": ["4:+15550100", "8:acs:x"]})
    assert (made.status, made.json["participants"]) == (201, 2)
    assert b"15550100" not in made.body + raw.control(acs, "GET", "/calls").body


def test_a_plan_given_with_the_call_holds_for_a_stop(acs: AcsEmulator) -> None:
    plan = {"chunks": [{"bytes": 10}, {"seconds": 2}], "sessionEndReason": "Odd", "publishEvent": False}
    call = raw.control(acs, "POST", "/calls", {"plan": plan}).json
    made = raw.control(acs, "POST", f"/calls/{call['callId']}/recordings", {"recordingFormatType": "mp3"})
    recording_id = made.json["recordingId"]
    target = f"/calling/recordings/{recording_id}{raw.VERSION}"
    assert raw.rest(acs, "DELETE", target).status == 204
    assert raw.control(acs, "POST", "/idle").json == {"idle": True}
    reported = raw.control(acs, "GET", f"/recordings/{recording_id}?sha256=false").json
    assert [chunk["bytes"] for chunk in reported["chunks"]] == [10, 12_000]
    assert reported["chunks"][0]["sha256"] is None
    assert (reported["state"], reported["events"]) == ("ended", [])
    assert reported["requests"] == {"stop": 1}


def test_a_call_may_be_established_later_and_ended_twice(acs: AcsEmulator) -> None:
    call = f"/calls/{raw.control(acs, 'POST', '/calls', {'state': 'connecting'}).json['callId']}"
    assert raw.control(acs, "POST", f"{call}/recordings").code == "8501"
    for action, body, status in (
        ("state", {"state": "established"}, 200),
        ("recordings", None, 201),
        ("state", {"state": "terminated"}, 400),
    ):
        assert raw.control(acs, "POST", f"{call}/{action}", body).status == status
    ended = [raw.control(acs, "POST", f"{call}/end").json for _ in range(2)]
    assert [(one["state"], len(one["recordings"])) for one in ended] == [("terminated", 1), ("terminated", 0)]


def test_an_end_that_is_refused_changes_nothing(acs: AcsEmulator, events: list[dict[str, object]]) -> None:
    call = acs.create_call()
    raw.control(acs, "POST", f"/calls/{call.call_id}/recordings")
    end = f"/calls/{call.call_id}/end"
    assert raw.control(acs, "POST", end, {"chunks": [{"bytes": 5_000_000_000}]}).status == 400
    (recording,) = acs.resource.recordings()
    assert (call.state, recording.state, recording.chunks) == ("established", "active", [])
    assert raw.control(acs, "POST", end, {"chunks": [{"shape": "bare"}]}).status == 400, "it records an mp4"
    assert len(raw.control(acs, "POST", end, {"chunks": [{"bytes": 10}], "wait": True}).json["recordings"]) == 1
    assert len(events) == 1


def test_a_recording_that_cannot_be_made_does_not_end(clock: Clock) -> None:
    """Here by a chunk limit that the media cannot have."""
    with AcsEmulator(AcsConfig(chunk_limit=timedelta(hours=20)), clock=clock) as acs:
        call = acs.create_call()
        raw.control(acs, "POST", f"/calls/{call.call_id}/recordings")
        clock.advance(timedelta(hours=19))
        with pytest.raises(ValueError, match="a chunk lasts"):
            acs.end_call(call.call_id)
        (recording,) = acs.resource.recordings()
        with pytest.raises(ValueError, match="a chunk lasts"):
            acs.resource.stop(recording.recording_id)
        assert (call.state, recording.state, recording.ended_at) == ("established", "active", None)
        acs.end_call(call.call_id, plan=EndPlan(chunks=(ChunkPlan(size=10),)))
        assert [chunk.media.size for chunk in recording.chunks] == [10]


def test_one_fault_of_several_can_be_ended(acs: AcsEmulator) -> None:
    ids = [raw.control(acs, "POST", "/faults", {"kind": "drop"}).json["faultId"] for _ in range(2)]
    assert raw.control(acs, "DELETE", f"/faults/{ids[0]}").status == 200
    assert [fault["faultId"] for fault in raw.control(acs, "GET", "/faults").json["faults"]] == ids[1:]


def test_idle_says_when_it_waited_in_vain(acs: AcsEmulator) -> None:
    call_id = raw.control(acs, "POST", "/calls").json["callId"]
    raw.control(acs, "POST", f"/calls/{call_id}/recordings")
    raw.control(acs, "POST", f"/calls/{call_id}/end", {"eventDelaySeconds": 60})
    answer = raw.control(acs, "POST", "/idle", {"timeoutSeconds": 0.05})
    assert (answer.status, answer.json) == (504, {"idle": False})


def test_planned_outages_outlive_the_end_of_others(finished: Finished, clock: Clock) -> None:
    acs = finished.acs
    raw.control(acs, "POST", "/outages", {"service": "all", "until": clock.now().isoformat()})
    assert finished.get().status == 200, "it is over already"
    raw.control(acs, "POST", "/outages", {"service": "media", "seconds": 60})
    raw.control(acs, "POST", "/outages", {"service": "rest", "seconds": 60, "fromSeconds": 60})
    (left,) = raw.control(acs, "DELETE", "/outages").json["outages"]
    assert left["service"] == "rest"
    assert raw.control(acs, "GET", "/outages").json["outages"] == [left]


def test_the_list_of_requests_has_a_limit(finished: Finished) -> None:
    for _ in range(3):
        finished.get()
    reported = [raw.control(finished.acs, "GET", f"/requests?limit={limit}").json["requests"] for limit in (0, 2, 9)]
    assert [len(requests) for requests in reported] == [0, 2, 4], "the start is one too"


def test_the_same_seed_gives_the_same_ids_and_media() -> None:
    reported = []
    for _ in range(2):
        with AcsEmulator(AcsConfig(seed=11)) as acs:
            call = acs.create_call()
            recording = raw.control(acs, "POST", f"/calls/{call.call_id}/recordings").json
            acs.end_call(call.call_id)
            reported.append((recording["recordingId"], acs.truth(recording["recordingId"])["chunks"][0]["sha256"]))
    assert reported[0] == reported[1]


def test_a_faulty_configuration_is_refused() -> None:
    for name, value in (
        ("resource_host", "example.org"),
        ("media_host", "example.org"),
        ("access_key", "no base64!"),
    ):
        settings: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=r".+"):
            AcsConfig(**settings)


def test_a_taken_port_is_an_error_at_the_start(acs: AcsEmulator) -> None:
    port = int(acs.origin.rsplit(":", 1)[1])
    with pytest.raises(RuntimeError, match="address already in use"):
        AcsEmulator(AcsConfig(port=port)).start()
