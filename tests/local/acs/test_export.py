"""The export into Azurite with the real storage SDK, and the events that tell of it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from azure.storage.blob import BlobClient

from local.acs import AcsConfig, AcsEmulator, ChunkPlan, EndPlan
from local.acs.content import HTML_PAGE
from local.acs.request import read_start_request
from tests.local.acs import raw
from tests.local.acs.finished import Finished, start_body

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from local.azurite import Azurite
    from local.clock import Clock

Events = list[dict[str, Any]]
TWO = (ChunkPlan(size=5_000_000), ChunkPlan(size=300_001))
DEFAULT_HOST = "us-storage.asm.skype.com"


def sha256(container: ContainerClient, name: str) -> str:
    return hashlib.sha256(container.download_blob(name).readall()).hexdigest()


def chunks(event: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = event["data"]["recordingStorageInfo"]["recordingChunks"]
    return found


@pytest.mark.parametrize("prefix", ["", "/a/place", "/a%20place/"])
def test_an_export_writes_the_documented_layout(
    exporting: AcsEmulator, container: ContainerClient, events: Events, prefix: str
) -> None:
    finished = Finished.make(exporting, plan=EndPlan(chunks=TWO), container_url=container.url + prefix)
    recording = finished.recording
    day = recording.chunks[0].started_at.strftime("%Y%m%d")
    start = f"{unquote(prefix).strip('/')}/{day}/{recording.call.call_id}/eyJQbGF0-".lstrip("/")
    names = sorted(str(name) for name in container.list_blob_names())
    assert len(names) == 4
    assert all(name.startswith(start) for name in names)
    for chunk, reported in zip(recording.chunks, chunks(events[0]), strict=True):
        (media,) = [name for name in names if name.endswith(f"/{chunk.index}-audiomp3.{chunk.document_id}.mp3")]
        (metadata,) = [name for name in names if name.endswith(f"/{chunk.index}-acsmetadata.{chunk.document_id}.json")]
        assert sha256(container, media) == chunk.media.sha256
        assert json.loads(container.download_blob(metadata).readall())["chunkIndex"] == chunk.index
        assert unquote(urlsplit(reported["contentLocation"]).path).endswith(media)
        assert unquote(urlsplit(reported["metadataLocation"]).path).endswith(metadata)
        assert "deleteLocation" not in reported
    assert (
        finished.get(url=f"https://{DEFAULT_HOST}/v1/objects/{recording.chunks[0].document_id}/content/video").status
        == 404
    )


def test_the_event_has_all_documented_fields(
    exporting: AcsEmulator, container: ContainerClient, events: Events
) -> None:
    finished = Finished.make(exporting, plan=EndPlan(chunks=TWO), container_url=container.url)
    (event,) = events
    recording, call = finished.recording, finished.recording.call
    assert set(event) == {"id", "topic", "subject", "data", "eventType", "dataVersion", "metadataVersion", "eventTime"}
    assert event["eventType"] == "Microsoft.Communication.RecordingFileStatusUpdated"
    assert event["subject"] == (
        f"/recording/call/{call.call_id}/serverCallId/{call.server_call_id}/recordingId/{recording.recording_id}"
    )
    data = event["data"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", data["recordingStartTime"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", event["eventTime"])
    assert data["recordingDurationMs"] == sum(c.duration // timedelta(milliseconds=1) for c in recording.chunks)
    kinds = ("recordingContentType", "recordingChannelType", "recordingFormatType", "sessionEndReason", "storageType")
    assert [data[name] for name in kinds] == ["Audio", "Mixed", "Mp3", "CallEnded", "AzureBlob"]
    assert data["recordingId"] == recording.recording_id
    assert [chunk["endReason"] for chunk in chunks(event)] == ["ChunkMaximumSizeExceeded", "SessionEnded"]


@pytest.mark.parametrize("kind", ["container-missing", "role-missing", "firewall", "service-outage"])
def test_a_failed_export_leaves_the_media_at_acs(
    exporting: AcsEmulator, container: ContainerClient, events: Events, kind: str
) -> None:
    plan = EndPlan(chunks=TWO, export=kind)
    finished = Finished.make(exporting, plan=plan, container_url=container.url)
    assert list(container.list_blob_names()) == []
    for chunk, reported in zip(finished.recording.chunks, chunks(events[0]), strict=True):
        assert chunk.export == kind
        assert reported["contentLocation"] == f"https://{DEFAULT_HOST}/v1/objects/{chunk.document_id}/content/video"
        assert reported["metadataLocation"].endswith("/content/acsmetadata")
        assert reported["deleteLocation"] == f"https://{DEFAULT_HOST}/v1/objects/{chunk.document_id}"
        assert finished.get(url=reported["contentLocation"], Range="bytes=0-9").status == 206
    assert events[0]["data"]["storageType"] == "acsstorage"


def test_an_export_that_cannot_be_fails_by_itself(exporting: AcsEmulator, container: ContainerClient) -> None:
    """Into a container that is not there, or into an account that is another's."""
    for url, failure in (
        (f"{container.url}-gone", "container-missing"),
        ("https://other.blob.core.windows.net/c", "role-missing"),
        ("http://127.0.0.1:1/devstoreaccount1/c", "role-missing"),
    ):
        finished = Finished.make(exporting, container_url=url)
        assert (finished.chunk.export, finished.get().status) == (failure, 200)


def test_an_account_may_be_named_as_in_the_cloud(
    exporting: AcsEmulator, container: ContainerClient, events: Events
) -> None:
    url = f"https://devstoreaccount1.blob.core.windows.net/{container.container_name}"
    Finished.make(exporting, container_url=url)
    assert chunks(events[0])[0]["contentLocation"].startswith(url)
    assert len(list(container.list_blob_names())) == 2


def test_an_account_that_does_not_answer_is_a_service_outage(azurite: Azurite) -> None:
    text = azurite.connection_string.replace(f":{azurite.blob_port}/", ":1/")
    with AcsEmulator(AcsConfig(storage_connection_string=text)) as acs:
        finished = Finished.make(acs, container_url="http://127.0.0.1:1/devstoreaccount1/rec")
    assert finished.chunk.export == "service-outage"


def test_an_account_that_hangs_does_not_keep_the_emulator_from_stopping() -> None:
    """A storage account that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        base = f"http://127.0.0.1:{hanging.getsockname()[1]}/devstoreaccount1"
        text = f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;BlobEndpoint={base};"
        began = time.monotonic()
        with AcsEmulator(AcsConfig(storage_connection_string=text)) as acs:
            call = acs.create_call()
            raw.start(
                acs,
                start_body(acs, container_url=f"{base}/rec")
                | {"callLocator": None, "callConnectionId": call.call_connection_id},
            )
            acs.end_call(call.call_id)
            with pytest.raises(TimeoutError):
                acs.wait_idle(0.2)
        assert time.monotonic() - began < 10


def test_one_chunk_of_three_may_fail(exporting: AcsEmulator, container: ContainerClient, events: Events) -> None:
    plan = EndPlan(chunks=(ChunkPlan(size=1000),) * 3, export_failed_chunks=frozenset({1}))
    finished = Finished.make(exporting, plan=plan, container_url=container.url)
    assert [chunk.export for chunk in finished.recording.chunks] == ["ok", "service-outage", "ok"]
    hosts = [urlsplit(chunk["contentLocation"]).hostname for chunk in chunks(events[0])]
    assert hosts == ["127.0.0.1", DEFAULT_HOST, "127.0.0.1"]
    assert ["deleteLocation" in chunk for chunk in chunks(events[0])] == [False, True, False]


def test_a_fault_or_an_outage_fails_exports_as_well(exporting: AcsEmulator, container: ContainerClient) -> None:
    exporting.add_fault(kind="export", operation="export", reason="firewall", count=1)
    exports = [Finished.make(exporting, container_url=container.url).chunk.export for _ in range(2)]
    exporting.add_outage("export", duration=timedelta(hours=1))
    exports.append(Finished.make(exporting, container_url=container.url).chunk.export)
    assert exports == ["firewall", "ok", "service-outage"]


CLAIMS: list[tuple[str, int | None, Any]] = [
    ("claimed-empty", None, lambda _: b""),
    ("claimed-truncated", None, lambda data: data[:500]),
    ("claimed-truncated", 260, lambda data: data[:260]),
    ("claimed-one-byte", None, lambda data: data[:1]),
    ("claimed-zeros", None, lambda data: bytes(len(data))),
    ("claimed-html", None, lambda _: HTML_PAGE),
]


def test_a_claimed_export_may_be_a_lie(exporting: AcsEmulator, container: ContainerClient, events: Events) -> None:
    Finished.make(exporting, plan=EndPlan(export="claimed-missing"), container_url=container.url)
    assert chunks(events[0])[0]["contentLocation"].startswith(container.url)
    assert list(container.list_blobs()) == []
    for kind, most, expected in CLAIMS:
        plan = EndPlan(chunks=(ChunkPlan(size=1000),), export=kind, export_bytes=most, keep_media=True)
        finished = Finished.make(exporting, plan=plan, container_url=container.url)
        document = finished.chunk.document_id
        [name] = [str(one) for one in container.list_blob_names() if str(one).endswith(f"{document}.mp3")]
        assert container.download_blob(name).readall() == expected(finished.data)
        kept = f"https://{DEFAULT_HOST}/v1/objects/{document}/content/video"
        assert finished.get(url=kept).body == finished.data, "ACS still has the media"


def test_a_good_export_may_be_published_with_acs_urls(
    exporting: AcsEmulator, container: ContainerClient, events: Events
) -> None:
    finished = Finished.make(exporting, plan=EndPlan(export="ok-but-media-url"), container_url=container.url)
    assert urlsplit(chunks(events[0])[0]["contentLocation"]).hostname == DEFAULT_HOST
    assert len(list(container.list_blob_names())) == 2
    assert finished.get().status == 200


def test_the_export_may_come_late(exporting: AcsEmulator, container: ContainerClient, events: Events) -> None:
    plan = EndPlan(chunks=TWO, export="service-outage")
    finished = Finished.make(exporting, plan=plan, container_url=container.url)
    recording_id = finished.recording.recording_id
    exporting.late_export(recording_id, chunks=frozenset({1}))
    assert len(list(container.list_blob_names())) == 2
    exporting.late_export(recording_id, event=True)
    assert len(list(container.list_blob_names())) == 4
    assert finished.recording.chunks[0].export == "late"
    assert len(events) == 2
    assert events[0]["id"] != events[1]["id"]
    with BlobClient.from_blob_url(chunks(events[1])[0]["contentLocation"]) as reported:
        assert reported.blob_name.endswith(".mp3")
    assert chunks(events[0])[0]["contentLocation"].startswith("https://us-storage")


def test_without_external_storage_nothing_is_exported(acs: AcsEmulator, events: Events) -> None:
    Finished.make(acs)
    assert urlsplit(chunks(events[0])[0]["contentLocation"]).hostname == DEFAULT_HOST


def test_an_event_may_come_twice_or_not_at_all(acs: AcsEmulator, events: Events) -> None:
    finished = Finished.make(acs, plan=EndPlan(duplicate_events=1))
    assert events[0] == events[1]
    silent = Finished.make(acs, plan=EndPlan(publish_event=False))
    assert len(events) == 2
    acs.publish_again(silent.recording.recording_id)
    acs.publish_again(finished.recording.recording_id)
    assert [event["data"]["recordingId"] for event in events[2:]] == [
        silent.recording.recording_id,
        finished.recording.recording_id,
    ]
    assert events[3]["id"] != events[0]["id"]


def test_an_event_waits_for_its_delay_on_the_clock(acs: AcsEmulator, events: Events, clock: Clock) -> None:
    call = acs.create_call()
    acs.resource.start(_request(call.server_call_id), body=b"", repeat_id=None)
    acs.end_call(call.call_id, plan=EndPlan(event_delay=timedelta(minutes=3)))
    with pytest.raises(TimeoutError):
        acs.wait_idle(0.1)
    assert events == []
    clock.advance(timedelta(minutes=3))
    acs.wait_idle(5)
    assert len(events) == 1


def _request(server_call_id: str) -> Any:
    body = {"callLocator": {"kind": "serverCallLocator", "serverCallId": server_call_id}}
    return read_start_request(body)


def test_a_long_call_has_several_chunks(acs: AcsEmulator, clock: Clock, events: Events) -> None:
    call = acs.create_call()
    acs.resource.start(_request(call.server_call_id), body=b"", repeat_id=None)
    began = clock.now()
    clock.advance(timedelta(hours=20, minutes=30))
    (recording,) = acs.end_call(call.call_id)
    acs.wait_idle()
    assert [chunk.duration for chunk in recording.chunks] == [timedelta(hours=4)] * 5 + [timedelta(minutes=30)]
    assert recording.chunks[0].started_at == began
    assert recording.chunks[0].media.size == 4 * 60 * 7_500_000, "7.5 MB a minute"
    assert events[0]["data"]["recordingDurationMs"] == 20.5 * 3_600_000
