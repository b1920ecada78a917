"""Ledger documents: what is written is what is read, by older and newer versions of the app alike."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.codec import decode, encode, format_time, from_plain, parse_time, to_plain
from shared.domain.recording import Chunk, ChunkState, Recording
from tests.unit.builders import RECORDINGS, chunk, recording


@given(RECORDINGS)
def test_a_recording_survives_its_document(given_recording: Recording) -> None:
    assert decode(Recording, encode(given_recording)) == given_recording


@given(RECORDINGS)
def test_a_reader_ignores_what_it_does_not_know(given_recording: Recording) -> None:
    """A newer version of the app may add fields at any level."""
    plain = json.loads(encode(given_recording))
    plain["invented"] = {"a": [1]}
    plain["manifest"]["invented"] = 1
    for one in plain.get("chunks", []):
        one["invented"] = None
    assert decode(Recording, json.dumps(plain).encode()) == given_recording


def test_a_field_that_is_null_is_none() -> None:
    plain = to_plain(recording(chunk())) | {"callId": None, "closedAt": None, "duration": None}
    read = decode(Recording, json.dumps(plain).encode())
    assert (read.call_id, read.closed_at, read.duration) == (None, None, None)


def test_a_reader_takes_defaults_for_what_is_missing() -> None:
    """An older version of the app wrote less."""
    least = {
        "key": "k",
        "containerUrl": "https://a/b",
        "createdAt": "2026-11-22T12:00:00Z",
        "chunks": [
            {
                "key": "c",
                "documentId": "d",
                "index": 0,
                "state": "pending",
                "atRiskFrom": "2026-11-23T12:00:00Z",
                "abandonAfter": "2026-11-23T13:00:00Z",
                "reportedAt": "2026-11-22T12:00:00Z",
            }
        ],
    }
    read = decode(Recording, json.dumps(least).encode())
    assert read.manifest.state == "pending"
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    day = timedelta(hours=24)
    assert read.chunks == (Chunk("c", "d", 0, ChunkState.PENDING, noon + day, noon + day + timedelta(hours=1), noon),)
    assert read.timeline == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "3",
        "{}",
        '{"key":"k"}',
        '{"key":"k","containerUrl":"u","createdAt":5}',
        '{"key":"k","containerUrl":"u","createdAt":null}',
        '{"key":"k","containerUrl":"u","createdAt":"x"}',
        '{"key":"k","containerUrl":"u","createdAt":"2026-11-22","chunks":7}',
        '{"key":"k","containerUrl":"u","createdAt":"2026-11-22","chunks":[7]}',
        '{"key":"k","containerUrl":"u","createdAt":"2026-11-22","duration":"x"}',
        '{"key":"k","containerUrl":"u","createdAt":"2026-11-22","duration":1e30}',
        '{"key":"k","containerUrl":"u","createdAt":"2026-11-22","chunks":[{"key":"c"}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_document_is_a_value_error(text: str) -> None:
    """One error for whatever is wrong: the sweep goes on to the next recording."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message is not the contract
        decode(Recording, text.encode())


def test_a_document_is_plain_camel_case_without_empty_fields() -> None:
    plain = to_plain(recording(chunk(attempts=2, sha256="ab")))
    assert plain["recordingId"] == "recording-1"
    assert plain["recordingStart"] == "2026-11-22T11:00:00.000Z"
    assert plain["duration"] == 3_600_000
    assert plain["chunks"][0]["sha256"] == "ab"
    assert plain["chunks"][0]["state"] == "pending"
    assert "events" not in plain
    assert "closedAt" not in plain
    assert b'": ' not in encode(recording(chunk()))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        (" 2026-11-22T10:00:00.1234567Z ", datetime(2026, 11, 22, 10, 0, 0, 123000, UTC)),
        ("2026-11-22T10:00:00.1234567+02:00", datetime(2026, 11, 22, 8, 0, 0, 123000, UTC)),
        ("2026-11-22T10:00:00.1Z", datetime(2026, 11, 22, 10, 0, 0, 100000, UTC)),
        ("2026-11-22T10:00:00.123456789", datetime(2026, 11, 22, 10, 0, 0, 123000, UTC)),
        ("2026-11-22T10:00:00-01:30", datetime(2026, 11, 22, 11, 30, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
    ],
)
def test_times_are_read_with_any_number_of_digits(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "now", "1763805600", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "."],
)
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is not the contract
        parse_time(text)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_time(text).tzinfo is UTC


_ZONES = st.sampled_from((UTC, timezone(timedelta(hours=5))))


@given(st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1), timezones=_ZONES))  # noqa: DTZ001 - naive bounds
def test_times_are_written_to_the_millisecond_and_sort_as_text(moment: datetime) -> None:
    text = format_time(moment)
    assert timedelta(0) <= moment - parse_time(text) < timedelta(milliseconds=1)
    assert text.endswith("Z")
    assert len(text) == 24
    assert format_time(moment + timedelta(milliseconds=1)) > text


@pytest.mark.parametrize("plain", [[], "text", 5, None])
def test_a_dataclass_is_made_of_an_object_only(plain: Any) -> None:
    with pytest.raises(TypeError, match="Recording"):
        from_plain(Recording, plain)
