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
from local.acs.faults import KINDS, Faults, Target, fault_from_json, fault_json
from tests.local.acs import raw
from tests.local.acs.finished import Finished, start_body
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from local.clock import Clock


def test_a_status_carries_code_headers_and_retry_after(finished: Finished) -> None:
    finished.acs.add_fault(
        kind="status", status=429, code="8529", message="Slow down.", retry_after="3", headers=(("x-more", "1"),)
    )
    answer = finished.get()
    assert (answer.status, answer.code) == (429, "8529")
    assert (answer.headers["retry-after"], answer.headers["x-more"]) == ("3", "1")


def test_a_status_has_the_form_of_its_host(finished: Finished) -> None:
    """One of the media store that is given a service code too: it is the REST API's then."""
    finished.acs.add_fault(kind="status", status=404, operation="media", count=1, message="Gone.")
    finished.acs.add_fault(kind="status", status=599, operation="media")
    finished.acs.add_fault(kind="status", status=503, operation="get")
    reported = finished.get().json
    assert (reported["title"], reported["status"], reported["message"]) == ("NotFound", 404, "Gone.")
    assert reported["traceId"] in reported["instance"]
    assert finished.get().json["title"] == "Error"
    target = f"/calling/recordings/{finished.recording.recording_id}{raw.VERSION}"
    assert raw.rest(finished.acs, "GET", target).code == "503"


def test_a_status_may_have_any_body(finished: Finished) -> None:
    finished.acs.add_fault(kind="status", status=500, body="oops")
    assert finished.get().body == b"oops"


@pytest.mark.parametrize(("kind", "status"), [("html400", 400), ("html200", 200)])
def test_a_web_page_comes_instead_of_media(finished: Finished, kind: str, status: int) -> None:
    finished.acs.add_fault(kind=kind)
    answer = finished.get()
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")


def test_a_401_is_the_store_s_own(finished: Finished) -> None:
    finished.acs.add_fault(kind="401")
    answer = finished.get()
    assert (answer.status, answer.json["title"]) == (401, "Unauthorized")
    target = f"/calling/recordings/{finished.recording.recording_id}{raw.VERSION}"
    assert raw.rest(finished.acs, "GET", target).code == "7509"


def test_a_401_leaves_the_work_undone(acs: AcsEmulator) -> None:
    acs.add_fault(kind="401", operation="start")
    assert raw.start(acs, start_body(acs)).status == 401
    assert acs.resource.recordings() == []


def test_a_fault_of_bodies_does_not_count_other_requests(finished: Finished) -> None:
    finished.acs.add_fault(kind="zero-bytes", count=1)
    target = f"/calling/recordings/{finished.recording.recording_id}{raw.VERSION}"
    assert raw.rest(finished.acs, "GET", target).status == 200
    assert finished.get().body == b""


@pytest.mark.parametrize("asked", [None, "bytes=100-"])
def test_a_cut_ends_the_body_after_exactly_so_many_bytes(finished: Finished, asked: str | None) -> None:
    finished.acs.add_fault(kind="cut", bytes=1234)
    with pytest.raises(http.client.IncompleteRead) as caught:
        finished.get(**({"Range": asked} if asked else {}))
    start = 100 if asked else 0
    assert caught.value.partial == finished.data[start : start + 1234]


def test_a_drop_closes_without_an_answer(finished: Finished) -> None:
    finished.acs.add_fault(kind="drop")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        finished.get()


def test_a_lost_answer_leaves_the_work_done(acs: AcsEmulator) -> None:
    acs.add_fault(kind="lost-answer", operation="start", count=1)
    body, headers = start_body(acs), raw.repeat_headers()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        raw.start(acs, body, headers=headers)
    (recording,) = acs.resource.recordings()
    assert raw.start(acs, body, headers=headers).json["recordingId"] == recording.recording_id


def test_a_lost_answer_to_a_delete_leaves_it_deleted(finished: Finished) -> None:
    finished.acs.add_fault(kind="lost-answer", operation="delete")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        raw.media(finished.acs, str(finished.chunk.delete_location), method="DELETE")
    assert finished.chunk.deleted


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


@pytest.mark.parametrize("after", [None, 1000])
def test_a_stall_holds_the_answer_or_its_body(finished: Finished, after: int | None) -> None:
    finished.acs.add_fault(kind="stall", seconds=0.3, bytes=after)
    began = time.monotonic()
    assert finished.get().body == finished.data
    assert time.monotonic() - began >= 0.3


def test_a_drip_takes_its_time(finished: Finished) -> None:
    finished.acs.add_fault(kind="drip", rate=1_000_000)
    began = time.monotonic()
    assert finished.get().body == finished.data
    assert time.monotonic() - began >= 0.25


def test_zero_bytes_is_a_200_without_a_body(finished: Finished) -> None:
    finished.acs.add_fault(kind="zero-bytes")
    answer = finished.get(Range="bytes=0-9")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


def test_ignore_range_is_the_whole_for_a_part(finished: Finished) -> None:
    finished.acs.add_fault(kind="ignore-range")
    answer = finished.get(Range="bytes=10-19")
    assert (answer.status, answer.body) == (200, finished.data)


@pytest.mark.parametrize("most", [None, 4321])
def test_a_body_without_a_length_ends_with_the_connection(finished: Finished, most: int | None) -> None:
    """Whole or broken off, it looks the same."""
    finished.acs.add_fault(kind="no-length", bytes=most)
    answer = finished.get(Range="bytes=10-19")
    assert (answer.status, answer.body) == (200, finished.data[:most])
    assert answer.headers["connection"] == "close"
    assert not {"content-length", "transfer-encoding", "content-range"} & set(answer.headers)
    assert finished.get(method="HEAD").status == 200


def test_a_large_body_without_a_length_is_sent_whole(acs: AcsEmulator) -> None:
    finished = Finished.make(acs, size=20_000_000)
    acs.add_fault(kind="no-length")
    assert finished.get().body == finished.data


def test_a_body_in_chunks_says_where_it_ends(finished: Finished) -> None:
    finished.acs.add_fault(kind="chunked", count=1)
    answer = finished.get(Range="bytes=10-19")
    assert (answer.status, answer.body) == (200, finished.data)
    assert answer.headers["transfer-encoding"] == "chunked"
    finished.acs.add_fault(kind="chunked", bytes=1234)
    with pytest.raises(http.client.IncompleteRead) as caught:
        finished.get()
    assert caught.value.partial == finished.data[:1234]


def test_wrong_range_tells_another_range_than_asked(finished: Finished) -> None:
    finished.acs.add_fault(kind="wrong-range")
    answer = finished.get(Range="bytes=10-19")
    assert (answer.status, answer.headers["content-range"]) == (206, "bytes 11-20/300001")


def test_etag_changes_the_tag_only(finished: Finished) -> None:
    finished.acs.add_fault(kind="etag", tries=(2,))
    finished.acs.add_fault(kind="etag", etag='"mine"', tries=(3,))
    tags = [finished.get(Range="bytes=0-9").headers["etag"] for _ in range(3)]
    assert tags[0] == finished.chunk.media.etag
    assert tags[1] not in {tags[0], '"mine"'}
    assert tags[2] == '"mine"'


def test_total_lies_about_the_size(finished: Finished) -> None:
    finished.acs.add_fault(kind="total", bytes=5000)
    assert finished.get(Range="bytes=0-9").headers["content-range"] == "bytes 0-9/5000"
    answer = finished.get()
    assert (answer.status, answer.body) == (200, finished.data[:5000])


def test_wrong_bytes_changes_one_byte(finished: Finished) -> None:
    finished.acs.add_fault(kind="wrong-bytes")
    answer = finished.get(Range="bytes=0-999")
    assert len(answer.body) == 1000
    assert sum(a != b for a, b in zip(answer.body, finished.data[:1000], strict=True)) == 1


def test_a_redirect_names_its_url(finished: Finished) -> None:
    finished.acs.add_fault(kind="redirect", url="https://evil.example.org/")
    answer = finished.get()
    assert (answer.status, answer.headers["location"]) == (302, "https://evil.example.org/")


def test_a_throttle_answers_429(finished: Finished) -> None:
    finished.acs.add_fault(kind="throttle", operation="media", rate=0)
    answer = finished.get(Range="bytes=0-9")
    assert (answer.status, answer.json["title"], answer.headers["retry-after"]) == (429, "TooManyRequests", "1")


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


def test_a_fault_strikes_the_first_so_many_tries(finished: Finished) -> None:
    finished.acs.add_fault(kind="status", status=404, operation="media", count=2)
    assert [finished.get().status for _ in range(4)] == [404, 404, 200, 200]


def test_a_fault_strikes_the_tries_it_names(finished: Finished) -> None:
    finished.acs.add_fault(kind="status", status=500, tries=(2, 4))
    assert [finished.get().status for _ in range(5)] == [200, 500, 200, 500, 200]


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


@pytest.mark.parametrize(
    ("service", "media", "rest"), [("media", 503, 200), ("rest", 200, 503), ("all", 503, 503), ("export", 200, 200)]
)
def test_an_outage_strikes_its_service_until_it_is_over(
    finished: Finished, clock: Clock, service: str, media: int, rest: int
) -> None:
    acs = finished.acs
    acs.add_outage(service, duration=timedelta(minutes=5), retry_after="60")
    target = f"/calling/recordings/{finished.recording.recording_id}{raw.VERSION}"
    answers = finished.get(), raw.rest(acs, "GET", target)
    assert (answers[0].status, answers[1].status) == (media, rest)
    if media == 503:
        assert answers[0].json["title"] == "ServiceUnavailable"
    if rest == 503:
        assert answers[1].code == "9999"
    clock.advance(timedelta(minutes=5))
    assert (finished.get().status, raw.rest(acs, "GET", target).status) == (200, 200)


def test_an_outage_may_drop_connections_and_be_ended_early(finished: Finished) -> None:
    finished.acs.add_outage("media", duration=timedelta(hours=1), mode="drop")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        finished.get()
    finished.acs.end_outages()
    assert finished.get().status == 200


def test_the_log_tells_what_struck(finished: Finished) -> None:
    finished.acs.add_fault(kind="html400", count=1)
    finished.get(Range="bytes=0-9")
    finished.get(Range="bytes=0-9")
    struck, right = finished.acs.requests()[-2:]
    assert (struck["status"], struck["fault"], struck["range"]) == (400, "html400", "bytes=0-9")
    assert (right["status"], right["fault"], right["bodyBytes"], right["chunk"]) == (206, None, 10, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "unknown"},
        {"kind": "drop", "operation": "unknown"},
        {"kind": "status"},
        {"kind": "cut"},
        {"kind": "stall"},
        {"kind": "redirect"},
        {"kind": "drip"},
        {"kind": "total"},
        {"kind": "throttle"},
        {"kind": "export"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|operation|needs"):
        Fault(**fields)


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
