"""The media store, request by request."""

from __future__ import annotations

import http.client
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.local.acs import raw
from tests.local.acs.finished import Finished

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from local.clock import Clock

SIZE = 300_000


def test_the_whole_comes_with_its_length_type_and_etag(finished: Finished) -> None:
    answer = finished.get()
    assert (answer.status, answer.body) == (200, finished.data)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == finished.chunk.media.etag
    assert "content-range" not in answer.headers


def test_a_range_is_206_with_exactly_those_bytes(finished: Finished) -> None:
    """416 and the size behind the end; 400 for another form."""
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100-199", 100, 200),
        ("bytes=299999-", 299_999, SIZE),
        ("bytes=299990-400000", 299_990, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=-400000", 0, SIZE),
    ):
        answer = finished.get(Range=asked)
        assert (answer.status, answer.body) == (206, finished.data[start:stop]), asked
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    for asked in ("bytes=300000-", "bytes=300000-300001", "bytes=-0"):
        answer = finished.get(Range=asked)
        assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{SIZE}")
    for asked in ("bytes=0-1,5-6", "items=0-1", "bytes=-", "bytes=5-4", "0-1"):
        assert finished.get(Range=asked).status == 400, asked


def test_if_range_holds_the_range_to_its_etag(finished: Finished) -> None:
    etag = finished.chunk.media.etag
    assert finished.get(**{"Range": "bytes=0-9", "If-Range": etag}).status == 206
    assert finished.get(**{"Range": "bytes=0-9", "If-Range": '"other"'}).status == 200


def test_head_tells_the_length_without_the_bytes(finished: Finished) -> None:
    answer = finished.get(method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(SIZE)


def test_a_plain_get_is_401_in_the_store_s_own_form(finished: Finished) -> None:
    path = f"/v1/objects/{finished.chunk.document_id}/content/video"
    answer = raw.send(finished.acs, "GET", path, {"Host": "us-storage.asm.skype.com"})
    reported = answer.json
    assert (answer.status, reported["title"], reported["status"]) == (401, "Unauthorized", 401)
    assert reported["instance"] == f"/microsoft/ic3/ams///trace-id/{reported['traceId']}"


def test_all_three_families_of_media_hosts_answer(finished: Finished) -> None:
    for host in ("eu-api.asm.skype.com", "x.asyncgw.teams.microsoft.com", "x.ams.gov.teams.microsoft.us"):
        assert finished.get(url=finished.url.replace("us-storage.asm.skype.com", host)).body == finished.data


def test_the_metadata_tells_of_the_chunk(acs: AcsEmulator) -> None:
    finished = Finished.make(acs, recordingChannelType="unmixed", recordingFormatType="wav")
    reported = raw.media(acs, finished.chunk.metadata_location).json
    assert reported["callId"] == finished.recording.call.call_id
    assert reported["chunkDocumentId"] == finished.chunk.document_id
    assert reported["recordingInfo"]["format"] == "wav"
    assert [participant["channel"] for participant in reported["participants"]] == [0, 1]


def test_a_delete_in_either_form_is_200_and_then_the_object_is_gone(acs: AcsEmulator) -> None:
    for behind in ("", "/content/deletedata"):
        finished = Finished.make(acs)
        url = f"{finished.chunk.delete_location}{behind}"
        assert raw.media(acs, url, method="DELETE").status == 200
        assert finished.get().status == raw.media(acs, url, method="DELETE").status == 404
        assert acs.truth(finished.recording.recording_id)["chunks"][0]["deleted"]


def test_what_is_not_there_is_said(acs: AcsEmulator) -> None:
    for method, path, status in (
        ("GET", "/v1/objects/0-eus-d1-00000000000000000000000000000000/content/video", 404),
        ("GET", "/v1/other", 404),
        ("POST", "/v1/objects/x/content/video", 405),
    ):
        assert raw.media(acs, f"https://us-storage.asm.skype.com{path}", method=method).status == status


def test_media_are_kept_for_24_hours_of_the_clock(finished: Finished, clock: Clock) -> None:
    clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert finished.get().status == 200
    clock.advance(timedelta(seconds=1))
    assert finished.get().status == 404
    assert raw.media(finished.acs, finished.chunk.metadata_location).status == 404
    target = f"/calling/recordings/{finished.recording.recording_id}{raw.VERSION}"
    assert raw.rest(finished.acs, "GET", target).status == 404
    assert finished.acs.truth(finished.recording.recording_id)["expired"]


def test_several_requests_share_a_connection(finished: Finished) -> None:
    """What one answer leaves on the wire would spoil the next."""
    parts = urlsplit(finished.url)
    address = urlsplit(finished.acs.origin)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=raw.TIMEOUT)
    for method in ("GET", "HEAD", "GET", "GET"):
        headers = {"Host": parts.netloc, "x-ms-host": finished.acs.config.resource_host, "Range": "bytes=5-70004"}
        connection.request(method, parts.path, headers=headers | raw.signed(finished.acs, method, parts.path))
        answer = connection.getresponse()
        assert answer.status == 206
        assert answer.read() == (b"" if method == "HEAD" else finished.data[5:70_005])
    connection.close()
