"""The call automation SDK's errors, code by code: each becomes a named error of ACS's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.translate import acs_error
from shared.domain import errors as e
from tests.support.acs_codes import SERVICE_CODES
from tests.unit.adapters.translate_rig import http_error

ACS_CODES: list[tuple[int, str | None, type[e.AcsError]]] = [
    *SERVICE_CODES,
    (400, None, e.AcsInvalidArgument),
    (401, None, e.AcsUnauthorized),
    (403, None, e.AcsForbidden),
    (404, None, e.RecordingNotFound),
    (408, None, e.AcsTimeout),
    (409, None, e.RecordingConflict),
    (418, None, e.AcsError),
    (429, None, e.AcsThrottled),
    (500, None, e.AcsUnavailable),
    (502, None, e.AcsUnavailable),
    (504, None, e.AcsTimeout),
    (302, None, e.AcsError),
]


@pytest.mark.parametrize(("status", "code", "expected"), ACS_CODES)
def test_an_answer_of_acs_is_read_by_its_code_then_by_its_status(
    status: int, code: str | None, expected: type[e.AcsError]
) -> None:
    body = {"error": {"code": code, "message": "No such thing"}}
    translated = acs_error(http_error(status, body=body, Retry_After="7", x_ms_client_request_id="trace"))
    assert type(translated) is expected
    assert (translated.status, translated.service_code) == (status, code)
    assert str(translated) == "No such thing"
    assert translated.retry_after == timedelta(seconds=7)
    assert translated.trace_id == "trace"


@pytest.mark.parametrize("body", [None, [], "text", {"error": "text"}, {"error": None}, {"error": {}}])
def test_an_answer_of_acs_without_a_readable_body_is_read_by_its_status(body: Any) -> None:
    translated = acs_error(http_error(403, body=body))
    assert type(translated) is e.AcsForbidden
    assert "the service says no" in str(translated)
