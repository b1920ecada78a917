"""Scripted misbehaviour: every kind, and what it strikes."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import ChunkPlan, EndPlan, Fault
from local.acs.content import HTML_PAGE
from local.acs.faults import KINDS, Faults, Target, fault_from_json, fault_json
from tests.local.acs import raw
from tests.local.acs.finished import Finished, start_body
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from local.clock import Clock


def test_a_status_carries_code_headers_and_retry_after(finished: Finished) -> None:
    """In the form of its host; with a service code, or with a body of its own, also at the media store."""
    add, more = finished.acs.add_fault, (("x-more", "1"),)
    add(kind="status", status=404, operation="media", count=1, message="Gone.")
    add(kind="status", status=599, operation="media", tries=(2,))
    add(kind="status", status=429, code="8529", retry_after="3", headers=more, operation="media", tries=(3,))
    add(kind="status", status=500, body="oops", operation="media", tries=(4,))
    add(kind="status", status=503, operation="get")
    first, second, third, fourth = (finished.get() for _ in range(4))
    assert [first.json[name] for name in ("title", "status", "message")] == ["NotFound", 404, "Gone."]
    assert first.json["traceId"] in first.json["instance"]
    assert second.json["title"] == "Error"
    assert (third.status, third.code) == (429, "8529")
    assert (third.headers["retry-after"], third.headers["x-more"]) == ("3", "1")
    assert fourth.body == b"oops"
    assert raw.rest(finished.acs, "GET", _target(finished)).code == "503"


def _target(finished: Finished) -> str:
    return f"/calling/recordings/{finished.recording.recording_id}{raw.VERSION}"


def test_a_401_is_the_host_s_own_and_leaves_the_work_undone(finished: Finished) -> None:
    acs = finished.acs
    acs.add_fault(kind="401")
    answer = finished.get()
    assert (answer.status, answer.json["title"]) == (401, "Unauthorized")
    assert raw.rest(acs, "GET", _target(finished)).code == "7509"
    assert raw.start(acs, start_body(acs)).status == 401
    assert len(acs.resource.recordings()) == 1


def test_an_answer_is_replaced_or_misstated(finished: Finished) -> None:
    data, etag = finished.data, finished.chunk.media.etag
    table: list[tuple[dict[str, Any], str | None, int, bytes | None, dict[str, str]]] = [
        ({"kind": "html400"}, None, 400, HTML_PAGE, {"content-type": "text/html; charset=utf-8"}),
        ({"kind": "html200"}, None, 200, HTML_PAGE, {"content-type": "text/html; charset=utf-8"}),
        ({"kind": "zero-bytes"}, "bytes=0-9", 200, b"", {"content-length": "0"}),
        ({"kind": "ignore-range"}, "bytes=10-19", 200, data, {}),
        ({"kind": "no-length"}, "bytes=10-19", 200, data, {"connection": "close"}),
        ({"kind": "no-length", "bytes": 4321}, "bytes=10-19", 200, data[:4321], {"connection": "close"}),
        ({"kind": "chunked"}, "bytes=10-19", 200, data, {"transfer-encoding": "chunked"}),
        ({"kind": "wrong-range"}, "bytes=10-19", 206, data[10:20], {"content-range": "bytes 11-20/300001"}),
        ({"kind": "etag", "etag": '"mine"'}, "bytes=0-9", 206, data[:10], {"etag": '"mine"'}),
        ({"kind": "etag"}, "bytes=0-9", 206, data[:10], {"etag": f'"{etag[1:9]}-changed"'}),
        ({"kind": "total", "bytes": 5000}, "bytes=0-9", 206, data[:10], {"content-range": "bytes 0-9/5000"}),
        ({"kind": "total", "bytes": 5000}, None, 200, data[:5000], {}),
        (
            {"kind": "redirect", "url": "https://evil.example.org/"},
            None,
            302,
            b"",
            {"location": "https://evil.example.org/"},
        ),
        ({"kind": "throttle", "rate": 0}, "bytes=0-9", 429, None, {"retry-after": "1"}),
    ]
    for fault, asked, status, body, headers in table:
        finished.acs.clear_faults()
        finished.acs.add_fault(operation="media", **fault)
        answer = finished.get(**({"Range": asked} if asked else {}))
        assert answer.status == status, fault
        assert body is None or answer.body == body, fault
        assert headers.items() <= answer.headers.items(), fault
        if fault["kind"] == "no-length":
            assert not {"content-length", "transfer-encoding", "content-range"} & set(answer.headers)
            assert finished.get(method="HEAD").status == 200
        assert status != 206 or fault["kind"] == "etag" or answer.headers["etag"] == etag


def test_a_fault_of_bodies_does_not_count_other_requests(finished: Finished) -> None:
    finished.acs.add_fault(kind="zero-bytes", count=1)
    assert raw.rest(finished.acs, "GET", _target(finished)).status == 200
    assert finished.get().body == b""


@pytest.mark.parametrize("asked", [None, "bytes=100-"])
def test_a_cut_ends_the_body_after_exactly_so_many_bytes(finished: Finished, asked: str | None) -> None:
    finished.acs.add_fault(kind="cut", bytes=1234)
    with pytest.raises(http.client.IncompleteRead) as caught:
        finished.get(**({"Range": asked} if asked else {}))
    start = 100 if asked else 0
    assert caught.value.partial == finished.data[start : start + 1234]


def test_a_drop_closes_without_an_answer(finished: Finished) -> None:
    """Before the work is done, or after it (`lost-answer`), for one request or for a whole service that is out."""
    delete = str(finished.chunk.delete_location)
    for kind, is_done in (("drop", False), ("lost-answer", True)):
        finished.acs.add_fault(kind=kind, operation="delete", count=1)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            raw.media(finished.acs, delete, method="DELETE")
        assert finished.chunk.deleted is is_done


def test_a_lost_answer_leaves_the_work_done(acs: AcsEmulator) -> None:
    acs.add_fault(kind="lost-answer", operation="start", count=1)
    body, headers = start_body(acs), raw.repeat_headers()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        raw.start(acs, body, headers=headers)
    (recording,) = acs.resource.recordings()
    assert raw.start(acs, body, headers=headers).json["recordingId"] == recording.recording_id


def test_a_late_answer_comes_after_the_work_is_done(acs: AcsEmulator) -> None:
    acs.add_fault(kind="late-answer", operation="any", seconds=0.5)
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(raw.start, acs, start_body(acs))
        eventually(acs.resource.recordings)
        assert time.monotonic() - began < 0.5
        assert answer.result().status == 200
    assert time.monotonic() - began >= 0.5


def test_a_failed_start_has_an_answer_and_no_recording(acs: AcsEmulator, events: list[dict[str, Any]]) -> None:
    acs.add_fault(kind="failed-start", count=1)
    body = start_body(acs)
    answer = raw.start(acs, body)
    assert (answer.status, answer.json["recordingState"]) == (200, "active")
    target = f"/calling/recordings/{answer.json['recordingId']}"
    for method, action in (("GET", ""), ("DELETE", ""), ("POST", ":pause")):
        refused = raw.rest(acs, method, f"{target}{action}{raw.VERSION}")
        assert (refused.status, refused.code) == (404, "8522")
    assert acs.truth(answer.json["recordingId"])["state"] == "failed"
    again = raw.start(acs, body)
    assert again.status == 200, "the call can be recorded"
    (recording,) = acs.end_call(acs.resource.calls()[0].call_id)
    acs.wait_idle()
    assert recording.recording_id == again.json["recordingId"]
    assert len(events) == 1


def test_a_stall_or_a_drip_takes_its_time(finished: Finished) -> None:
    """A stall before the answer or in its body."""
    for fault in (
        Fault("stall", seconds=0.3),
        Fault("stall", seconds=0.3, bytes=1000),
        Fault("drip", rate=1_000_000),
    ):
        finished.acs.clear_faults()
        finished.acs.add_fault(fault)
        began = time.monotonic()
        assert finished.get().body == finished.data
        assert time.monotonic() - began >= 0.25


def test_a_large_body_without_a_length_is_sent_whole(acs: AcsEmulator) -> None:
    finished = Finished.make(acs, size=20_000_000)
    acs.add_fault(kind="no-length")
    assert finished.get().body == finished.data


def test_a_body_in_chunks_can_break_off(finished: Finished) -> None:
    finished.acs.add_fault(kind="chunked", bytes=1234)
    with pytest.raises(http.client.IncompleteRead) as caught:
        finished.get()
    assert caught.value.partial == finished.data[:1234]


def test_wrong_bytes_changes_one_byte(finished: Finished) -> None:
    finished.acs.add_fault(kind="wrong-bytes")
    answer = finished.get(Range="bytes=0-999")
    assert len(answer.body) == 1000
    assert sum(a != b for a, b in zip(answer.body, finished.data[:1000], strict=True)) == 1


def test_a_throttle_lets_so_many_a_second_pass(clock: Clock) -> None:
    second = 100.0
    faults = Faults(seconds=lambda: second)
    faults.add(Fault("throttle", rate=3))

    def struck(requests: int) -> list[bool]:
        return [faults.strike(Target("media"), clock.now()) is not None for _ in range(requests)]

    assert struck(6) == [False, False, False, True, True, True]
    second += 0.9
    assert struck(1) == [True]
    second += 0.1
    assert struck(4) == [False, False, False, True]


def test_a_fault_strikes_the_first_tries_or_those_it_names(finished: Finished) -> None:
    for limit, statuses in (({"count": 2}, [500, 500, 200, 200, 200]), ({"tries": (2, 4)}, [200, 500, 200, 500, 200])):
        finished.acs.clear_faults()
        finished.acs.add_fault(kind="status", status=500, operation="media", **limit)
        assert [finished.get().status for _ in range(5)] == statuses


def test_a_fault_strikes_only_what_it_names(acs: AcsEmulator) -> None:
    plan = EndPlan(chunks=(ChunkPlan(size=10), ChunkPlan(size=10)))
    one, other = (Finished.make(acs, plan=plan) for _ in range(2))
    acs.add_fault(kind="status", status=500, recording_id=one.recording.recording_id, chunk=1, operation="media")
    acs.add_fault(kind="status", status=501, document_id=other.chunk.document_id)
    first, second = one.recording.chunks
    assert raw.media(acs, first.content_location).status == 200
    assert raw.media(acs, second.content_location).status == 500
    assert raw.media(acs, second.metadata_location).status == 200
    assert other.get().status == 501


def test_a_fault_has_its_time(finished: Finished, clock: Clock) -> None:
    now = clock.now()
    finished.acs.add_fault(kind="status", status=500, start=now + timedelta(hours=1), end=now + timedelta(hours=2))
    statuses = [finished.get().status]
    for _ in range(2):
        clock.advance(timedelta(hours=1))
        statuses.append(finished.get().status)
    assert statuses == [200, 500, 200]


def test_an_outage_strikes_its_service_until_it_is_over(finished: Finished, clock: Clock) -> None:
    acs = finished.acs
    for service, media, rest in (("media", 503, 200), ("rest", 200, 503), ("all", 503, 503), ("export", 200, 200)):
        acs.add_outage(service, duration=timedelta(minutes=5), retry_after="60")
        answers = finished.get(), raw.rest(acs, "GET", _target(finished))
        assert (answers[0].status, answers[1].status) == (media, rest)
        assert media == 200 or answers[0].json["title"] == "ServiceUnavailable"
        assert rest == 200 or answers[1].code == "9999"
        clock.advance(timedelta(minutes=5))
        assert (finished.get().status, raw.rest(acs, "GET", _target(finished)).status) == (200, 200)
    acs.add_outage("media", duration=timedelta(hours=1), mode="drop")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        finished.get()
    acs.end_outages()
    assert finished.get().status == 200


def test_the_log_tells_what_struck(finished: Finished) -> None:
    finished.acs.add_fault(kind="html400", count=1)
    finished.get(Range="bytes=0-9")
    finished.get(Range="bytes=0-9")
    struck, right = finished.acs.requests()[-2:]
    assert (struck["status"], struck["fault"], struck["range"]) == (400, "html400", "bytes=0-9")
    assert (right["status"], right["fault"], right["bodyBytes"], right["chunk"]) == (206, None, 10, 0)


def test_a_fault_that_makes_no_sense_is_refused() -> None:
    needing = ("status", "cut", "stall", "redirect", "drip", "total", "throttle", "export")
    for kind, operation in (("unknown", "any"), ("drop", "unknown"), *((kind, "any") for kind in needing)):
        with pytest.raises(ValueError, match=r"kind|operation|needs"):
            Fault(kind, operation)


def test_faults_survive_json_and_back(clock: Clock) -> None:
    fault = Fault(
        "status", status=503, headers=(("a", "b"),), tries=(1, 2), start=clock.now(), end=clock.now(), retry_after="1"
    )
    assert fault_from_json(fault_json(fault), now=clock.now()) == fault
    with pytest.raises(ValueError, match="unknown field"):
        fault_from_json({"kind": "drop", "surprise": 1}, now=clock.now())


def test_faults_are_counted_apart_and_removed_by_id(clock: Clock) -> None:
    faults = Faults()
    first, second = faults.add(Fault("drop", count=1)), faults.add(Fault("html400"))
    struck = [faults.strike(Target("media"), clock.now()) for _ in range(2)]
    assert struck == [first, second]
    assert [(one["seen"], one["struck"]) for one in faults.listing()] == [(2, 1), (2, 1)]
    assert faults.remove(first.fault_id) == 1
    assert faults.remove() == 1
    assert faults.strike(Target("media"), clock.now()) is None


def test_every_kind_of_fault_has_a_test_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    text += (Path(__file__).parent / "test_export.py").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []
