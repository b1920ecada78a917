"""Log lines: one JSON object each, and nothing secret or personal in any of them."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Blame
from shared.domain.recording import ChunkState
from shared.domain.redaction import clean, scrub
from shared.logs import describe, log, stack_summary
from tests.unit.builders import NOON

SECRETS = [
    "https://acc.blob.core.windows.net/c/b.mp3?sv=2024&sig=SECRET%3D",
    "HTTPS://acc.blob.core.windows.net/c/b.mp3?SECRET",
    "https://us-api.asm.skype.com/v1/x?a=SECRET&b=SECRET",
    "endpoint=https://n.communication.azure.com/;accesskey=SECRET==",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=SECRET/+==;EndpointSuffix=core.windows.net",
    "BlobEndpoint=https://a;SharedAccessSignature=SECRET",
    "sv=1&sig=SECRET&se=2",
    '{"accessKey": "SECRET"}',
    "Authorization: Bearer SECRET",
    "authorization: bearer SECRET.SECRET.SECRET",
    "HMAC-SHA256 SECRET",
    "SharedKey SECRET",
    "token eyJhbGciOiJ.eyJSECRET.SECRET_SECRET-SECRET here",
    "caller 8:acs:SECRET-1111_2222-3333 left",
    "8:orgid:SECRET",
    "8:dod-acs:SECRET",
    "8:gcch:SECRET",
    "28:orgid:SECRET",
    "8:spool:SECRET",
    "8:teamsvisitor:SECRET",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_and_no_participant_passes(text: str) -> None:
    for cleaned in (clean(text), scrub(text), clean(f"before {text}, after"), clean(f'["{text}"]')):
        assert "SECRET" not in cleaned


@pytest.mark.parametrize("number", ["+15551234567", "4:+15551234567", "4:15551234567", "%2B15551234567"])
def test_no_phone_number_passes(number: str) -> None:
    for text in (number, f"call from {number}.", f"https://h/x/{number}", f'"{number}"'):
        assert "5551234" not in clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "StorageAccessDenied: This request is not authorized",
        "recording 0123456789abcdef0123456789abcdef chunk 3",
        "2026-11-22T10:00:00.000Z",
        "https://acc.blob.core.windows.net/recordings/20261122/call-1/eyJQbGF0-x/0-audiomp3.0-eus-d12-8.mp3",
        "asked for 0-4194303, got bytes 1-4194304/8388608",
        "10:15:00 +02:00",
    ],
)
def test_what_helps_is_kept(text: str) -> None:
    assert clean(text) == text


def test_a_line_is_one_line_of_bounded_length_that_no_terminal_obeys() -> None:
    assert clean(" a\r\nb\t\x1b[2J c\u2028d ") == "a b ·[2J c d"
    assert len(clean("x" * 10_000)) == 2000
    assert clean("\ud800") == "?"


@given(st.text(max_size=200))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert cleaned.encode() is not None


def logged(caplog: pytest.LogCaptureFixture, **fields: Any) -> dict[str, Any]:
    with caplog.at_level(logging.DEBUG, logger="recorder"):
        log("something.happened", **fields)
    line = caplog.records[-1].getMessage()
    assert "\n" not in line
    decoded = json.loads(line)
    assert isinstance(decoded, dict)
    assert next(iter(decoded)) == "event"
    return decoded


def test_a_log_line_is_an_event_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    line = logged(
        caplog,
        at=NOON,
        took=timedelta(milliseconds=1500),
        state=ChunkState.IN_FALLBACK,
        blame=Blame.ACS,
        count=3,
        ratio=0.5,
        is_last=True,
        nothing=None,
        codes=["a", ("b", NOON)],
        error=ValueError("see https://h/x?sig=SECRET"),
    )
    assert line == {
        "event": "something.happened",
        "at": "2026-11-22T12:00:00.000Z",
        "took": 1.5,
        "state": "in_fallback",
        "blame": "acs",
        "count": 3,
        "ratio": 0.5,
        "is_last": True,
        "codes": ["a", ["b", "2026-11-22T12:00:00.000Z"]],
        "error": "see https://h/x?…",
    }


@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=3))
def test_any_field_can_be_logged(text: str, many: list[str]) -> None:
    log("something.happened", text=text, many=many)


def test_an_alert_is_logged_at_its_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="recorder"):
        log("alert.lost", level=logging.ERROR)
    assert caplog.records[-1].levelno == logging.ERROR


def chain(depth: int) -> Exception:
    error: Exception = ValueError(f"cause {depth} sig=SECRET")
    for number in reversed(range(depth)):
        outer = RuntimeError(f"cause {number}" if number else "")
        outer.__cause__ = error
        error = outer
    return error


def test_an_error_is_described_with_its_causes() -> None:
    assert describe(chain(1)) == "RuntimeError <- ValueError: cause 1 sig=…"
    assert describe(chain(9)).count("<-") == 3


def test_where_an_error_was_raised_is_told_without_its_text() -> None:
    def inner() -> None:
        raise ValueError("SECRET")

    try:
        inner()
    except ValueError as error:
        reported = stack_summary(error)
    assert reported.startswith("test_logs.py:")
    assert " inner < " in reported
    assert "SECRET" not in reported
