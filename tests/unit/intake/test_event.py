"""Events, read with distrust: both envelopes, every chunk, nothing by position."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import EventRejected
from shared.intake.event import (
    MAX_CHUNKS,
    MAX_EVENT_CHARACTERS,
    RECORDING_FILE_STATUS_UPDATED,
    Envelope,
    RecordingFileStatus,
    parse_envelopes,
    parse_recording_file_status,
    parse_subject,
    redacted,
)

CHUNK = {
    "documentId": "0-eus-d12-801b",
    "index": 0,
    "endReason": "SessionEnded",
    "contentLocation": "https://us-api.asm.skype.com/v1/objects/0-eus-d12-801b/content/video",
    "metadataLocation": "https://us-api.asm.skype.com/v1/objects/0-eus-d12-801b/content/acsmetadata",
    "deleteLocation": "https://us-api.asm.skype.com/v1/objects/0-eus-d12-801b",
}
DATA = {
    "recordingStorageInfo": {"recordingChunks": [CHUNK]},
    "recordingStartTime": "2026-11-22T10:14:10.0270003Z",
    "recordingDurationMs": 6620,
    "sessionEndReason": "CallEnded",
    "recordingContentType": "AudioVideo",
    "recordingChannelType": "Mixed",
    "recordingFormatType": "Mp4",
    "storageType": "AzureBlob",
}
SUBJECT = "/recording/call/call-1/serverCallId/aHR0cHM/recordingId/eyJQbGF0"
GRID: dict[str, Any] = {
    "id": "event-1",
    "topic": "/subscriptions/s",
    "subject": SUBJECT,
    "data": DATA,
    "eventType": RECORDING_FILE_STATUS_UPDATED,
    "dataVersion": "1.0",
    "metadataVersion": "1",
    "eventTime": "2026-11-22T10:15:00.1234567Z",
}
CLOUD: dict[str, Any] = {
    "id": "event-1",
    "source": "/subscriptions/s",
    "subject": SUBJECT,
    "data": DATA,
    "type": RECORDING_FILE_STATUS_UPDATED,
    "time": "2026-11-22T10:15:00.1234567Z",
    "specversion": "1.0",
}
MISSPELT = {name: value for name, value in CLOUD.items() if name != "specversion"} | {"specVersion": "1.0"}


def envelope(item: Any) -> Envelope:
    [found] = parse_envelopes(json.dumps(item))
    assert isinstance(found, Envelope)
    return found


def status(*, subject: str = SUBJECT, **data: Any) -> RecordingFileStatus:
    return parse_recording_file_status(envelope(GRID | {"subject": subject, "data": DATA | data}))


def rejected(**changes: Any) -> str:
    with pytest.raises(EventRejected) as caught:
        parse_recording_file_status(envelope(GRID | changes))
    return caught.value.reason


@pytest.mark.parametrize("item", [GRID, CLOUD, MISSPELT], ids=["Event Grid", "CloudEvents", "specVersion misspelt"])
@pytest.mark.parametrize("is_array", [False, True])
def test_both_envelopes_say_the_same(*, item: dict[str, Any], is_array: bool) -> None:
    found = envelope([item] if is_array else item)
    assert found == Envelope(
        "event-1",
        RECORDING_FILE_STATUS_UPDATED,
        SUBJECT,
        datetime(2026, 11, 22, 10, 15, 0, 123000, UTC),
        DATA,
    )


def test_an_event_is_read_whole() -> None:
    found = status()
    assert found.event_id == "event-1"
    assert found.recording_id == "eyJQbGF0"
    assert (found.call_id, found.server_call_id) == ("call-1", "aHR0cHM")
    assert found.recording_start == datetime(2026, 11, 22, 10, 14, 10, 27000, UTC)
    assert found.duration == timedelta(milliseconds=6620)
    assert (found.content_type, found.channel_type, found.format_type) == ("audiovideo", "mixed", "mp4")
    assert (found.session_end_reason, found.storage_type) == ("CallEnded", "AzureBlob")
    [chunk] = found.chunks
    assert (chunk.document_id, chunk.index, chunk.end_reason) == ("0-eus-d12-801b", 0, "SessionEnded")
    assert chunk.content_location == CHUNK["contentLocation"]
    assert chunk.metadata_location == CHUNK["metadataLocation"]
    assert chunk.delete_location == CHUNK["deleteLocation"]
    assert found.faults == ()


def test_every_chunk_counts() -> None:
    chunks = [CHUNK | {"index": index, "documentId": f"d{index}"} for index in (2, 0, 1)]
    assert [chunk.index for chunk in status(recordingStorageInfo={"recordingChunks": chunks}).chunks] == [2, 0, 1]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("/recording/call/c", {"call_id": "c"}),
        ("/recording/call/c/recordingId/r", {"call_id": "c", "recording_id": "r"}),
        ("/recording/call/c/serverCallId/s", {"call_id": "c", "server_call_id": "s"}),
        (SUBJECT, {"call_id": "call-1", "server_call_id": "aHR0cHM", "recording_id": "eyJQbGF0"}),
        ("/recording/recordingId/r/call/c", {"call_id": "c", "recording_id": "r"}),
        ("/RECORDING/CALL/c/RECORDINGID/r", {"call_id": "c", "recording_id": "r"}),
        (
            "/recording/call/c/serverCallId/a/b+c=/recordingId/r",
            {"call_id": "c", "server_call_id": "a/b+c=", "recording_id": "r"},
        ),
        ("/recording/call//recordingId/r", {"recording_id": "r"}),
        ("/recording/call/c/call/d", {"call_id": "c/call/d"}),
        ("recording", {}),
        ("", {}),
        ("/call", {}),
    ],
)
def test_a_subject_is_read_by_its_words(subject: str, expected: dict[str, str]) -> None:
    assert parse_subject(subject) == expected


@given(st.text(max_size=100))
def test_any_subject_is_read(subject: str) -> None:
    assert set(parse_subject(subject)) <= {"call_id", "server_call_id", "recording_id"}


def test_the_recording_id_of_the_data_comes_before_that_of_the_subject() -> None:
    assert status(recordingId="from data").recording_id == "from data"
    assert status(recordingId="").recording_id == "eyJQbGF0"


@pytest.mark.parametrize("subject", ["/recording/call/c", "/recording/serverCallId/s", "/recording/recordingId/r"])
def test_any_one_id_names_the_recording(subject: str) -> None:
    assert status(subject=subject).chunks


def test_an_event_without_any_id_is_kept_aside() -> None:
    assert rejected(subject="") == "no_recording"
    assert rejected(subject=None) == "no_recording"


@pytest.mark.parametrize(
    "storage",
    [
        None,
        [],
        "text",
        {},
        {"recordingChunks": None},
        {"recordingChunks": []},
        {"recordingChunks": "x"},
        {"recordingChunks": [1, None]},
    ],
)
def test_an_event_without_chunks_is_kept_aside(storage: Any) -> None:
    assert rejected(data=DATA | {"recordingStorageInfo": storage}) == "no_chunks"


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_an_event_without_data_is_kept_aside(data: Any) -> None:
    assert rejected(data=data) == "no_chunks"


def test_an_event_with_too_many_chunks_is_kept_aside() -> None:
    chunks = [CHUNK] * (MAX_CHUNKS + 1)
    assert rejected(data=DATA | {"recordingStorageInfo": {"recordingChunks": chunks}}) == "too_many_chunks"
    assert len(status(recordingStorageInfo={"recordingChunks": chunks[1:]}).chunks) == MAX_CHUNKS


@pytest.mark.parametrize(
    ("entry", "index", "document"),
    [
        (CHUNK | {"index": None}, 1, "0-eus-d12-801b"),
        (CHUNK | {"index": "0"}, 1, "0-eus-d12-801b"),
        (CHUNK | {"index": -1}, 1, "0-eus-d12-801b"),
        (CHUNK | {"index": 10**7}, 1, "0-eus-d12-801b"),
        (CHUNK | {"index": True}, 1, "0-eus-d12-801b"),
        (CHUNK | {"index": 7, "documentId": None}, 7, "chunk-7"),
        (CHUNK | {"index": 7, "documentId": " "}, 7, "chunk-7"),
        (CHUNK | {"index": 7, "documentId": 5}, 7, "chunk-7"),
    ],
)
def test_a_chunk_with_a_fault_is_used_as_far_as_it_goes(entry: dict[str, Any], index: int, document: str) -> None:
    found = status(recordingStorageInfo={"recordingChunks": [CHUNK, entry]})
    assert [(chunk.index, chunk.document_id) for chunk in found.chunks] == [(0, "0-eus-d12-801b"), (index, document)]
    assert len(found.faults) == 1


def test_ids_that_cannot_be_of_acs_stay_apart() -> None:
    """Cut or repaired, two of them could become one recording, or one chunk."""
    long = [status(recordingId="x" * 5_000 + end).recording_id for end in "ab"]
    broken = [status(recordingId=f"x{bad}").recording_id for bad in ("\ud800", "\udfff", "?")]
    assert len({*long, *broken}) == 5
    assert all(len(identity or "") <= 4096 and identity and identity.encode() for identity in (*long, *broken))


def test_a_location_is_read_whole_or_not_at_all() -> None:
    """One that was cut names something else."""
    [claim] = status(
        recordingStorageInfo={"recordingChunks": [CHUNK | {"contentLocation": "https://h/" + "x" * 5_000}]}
    ).chunks
    assert claim.content_location is None


def test_one_bad_chunk_loses_no_other() -> None:
    found = status(recordingStorageInfo={"recordingChunks": ["nonsense", CHUNK]})
    assert len(found.chunks) == 1
    assert found.faults == ("chunk 0 is not an object",)


@pytest.mark.parametrize(
    ("field", "value", "is_fault"),
    [
        ("recordingContentType", "audio", False),
        ("recordingContentType", None, False),
        ("recordingContentType", "Hologram", True),
        ("recordingChannelType", "UNMIXED", False),
        ("recordingFormatType", "flac", True),
        ("recordingFormatType", ["mp3"], True),
        ("recordingFormatType", {"a": {"b": 1}}, True),
    ],
)
def test_words_are_read_in_any_case_and_unknown_ones_are_told(*, field: str, value: Any, is_fault: bool) -> None:
    found = status(**{field: value})
    assert bool(found.faults) is is_fault
    reported = {"recordingContentType": found.content_type, "recordingFormatType": found.format_type}.get(field)
    if is_fault or value is None:
        assert reported == ""


@pytest.mark.parametrize("value", [None, "", "soon", 5, True, -1, float(10**12), "6620", [1]])
def test_a_duration_or_start_that_cannot_be_read_is_none(value: Any) -> None:
    found = status(recordingDurationMs=value if value != 5 else "5", recordingStartTime=value)
    assert found.duration is None
    assert found.recording_start is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_time_at_the_edge_of_the_calendar_is_none(text: str) -> None:
    """There is room for a window beside every time that is used."""
    assert status(recordingStartTime=text).recording_start is None
    assert envelope(GRID | {"eventTime": text}).time is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "not_json"),
        ("nonsense", "not_json"),
        ("{", "not_json"),
        ('{"a": NaN}', "not_json"),
        ('{"a": Infinity}', "not_json"),
        ("9" * 5_000, "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_an_event"),
        (" " * (MAX_EVENT_CHARACTERS + 1), "too_large"),
    ],
)
def test_what_cannot_be_read_is_kept_aside_with_the_reason(raw: str, reason: str) -> None:
    with pytest.raises(EventRejected) as caught:
        parse_envelopes(raw)
    assert caught.value.reason == reason


NO_EVENTS = [
    5,
    "text",
    None,
    [],
    {},
    {"eventType": ""},
    {"eventType": 5},
    {"type": RECORDING_FILE_STATUS_UPDATED},  # CloudEvents say which version they are
    {"specversion": "1.0", "eventType": RECORDING_FILE_STATUS_UPDATED},
]


@pytest.mark.parametrize("item", NO_EVENTS)
def test_what_is_no_event_loses_none_beside_it(item: Any) -> None:
    found = parse_envelopes(json.dumps([GRID, item, CLOUD]))
    assert [isinstance(each, EventRejected) for each in found] == [False, True, False]


def test_missing_fields_of_an_envelope_are_empty() -> None:
    found = envelope({"eventType": "x"})
    assert found == Envelope("", "x", "", None, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


@given(JSON, st.dictionaries(st.sampled_from(list(DATA)), JSON), st.dictionaries(st.sampled_from(list(CHUNK)), JSON))
def test_any_data_is_read_or_kept_aside(anything: Any, data: dict[str, Any], chunk: dict[str, Any]) -> None:
    storage = {"recordingChunks": [CHUNK | chunk, anything]}
    for item in (anything, GRID | {"data": anything}, GRID | {"data": DATA | data | {"recordingStorageInfo": storage}}):
        for found in parse_envelopes(json.dumps([item])):
            if isinstance(found, Envelope):
                try:
                    read = parse_recording_file_status(found)
                except EventRejected:
                    continue
                assert read.chunks
                json.dumps([read.recording_id, read.call_id, read.session_end_reason], ensure_ascii=False).encode()


@given(st.text(max_size=300))
def test_any_text_is_read_or_kept_aside(raw: str) -> None:
    try:
        assert parse_envelopes(raw)
    except EventRejected as error:
        assert error.reason in ("not_json", "not_an_event")  # noqa: PT017 - either outcome is well


@pytest.mark.parametrize(
    "location",
    [
        "https://acc.blob.core.windows.net/c/b.mp3?sv=1&sig=SECRET",
        "https:\\/\\/acc.blob.core.windows.net\\/c\\/b.mp3?sv=1&sig=SECRET",
        "https://acc.blob.core.windows.net/c/b.mp3\\u003fsv=1\\u0026sig=SECRET",
        "HTTPS://acc.blob.core.windows.net/c/b.mp3?SECRET",
    ],
)
def test_what_is_kept_of_an_event_has_no_query(location: str) -> None:
    """A SAS would stand there, however the JSON was escaped."""
    kept = redacted('{"contentLocation": "' + location + '"}')
    assert "SECRET" not in kept
    assert "acc.blob.core.windows.net/c/b.mp3" in kept


@given(st.text(max_size=100), st.integers(1, 50))
def test_what_is_kept_of_an_event_is_bounded_and_can_be_written(raw: str, limit: int) -> None:
    kept = redacted(raw, limit=limit)
    assert len(kept) <= limit
    assert kept.encode() is not None
