"""Answers: every failure as a problem document with a stable code, and never an empty body."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.api.body import BodyTooLarge, NotJson, WrongMediaType
from shared.api.rejected import NotReplayable, RejectedEventUnknown
from shared.api.responses import json_response, problem_response
from shared.api.views import RecordingUnknown
from shared.domain import errors as e
from shared.settings import SettingsError

TABLE: list[tuple[Exception, int, str]] = [
    (e.InvalidRequest([e.Fault("a", "is wrong")]), 400, "invalid_request"),
    (e.AcsInvalidArgument(status=400), 400, "acs_invalid_argument"),
    (e.AcsForbidden(status=403), 403, "acs_forbidden"),
    (e.CallNotFound(status=404), 404, "call_not_found"),
    (e.RecordingNotFound(status=404), 404, "recording_not_found"),
    (RecordingUnknown(), 404, "recording_unknown"),
    (NotJson([e.Fault("", "line 1, column 1: Expecting value")]), 400, "not_json"),
    (BodyTooLarge(), 413, "body_too_large"),
    (WrongMediaType(), 415, "wrong_media_type"),
    (RejectedEventUnknown(), 404, "rejected_event_unknown"),
    (NotReplayable(), 409, "not_replayable"),
    (e.ActionNotAllowed(status=400), 409, "action_not_allowed"),
    (e.RecordingInProgress(status=400), 409, "recording_in_progress"),
    (e.CallNotEstablished(status=400), 409, "call_not_established"),
    (e.CallTerminated(status=400), 409, "call_terminated"),
    (e.RecordingConflict(status=409), 409, "recording_conflict"),
    (e.ContainerNotReady(), 409, "container_not_ready"),
    (e.AcsThrottled(status=429), 429, "acs_throttled"),
    (e.AcsUnauthorized(status=401), 502, "acs_unauthorized"),
    (e.AcsError(status=418), 502, "acs_error"),
    (e.AcsUnavailable(status=500), 502, "acs_unavailable"),
    (e.AcsUnavailable(status=503), 503, "acs_unavailable"),
    (e.AcsUnavailable(), 503, "acs_unavailable"),
    (e.AcsTimeout(), 504, "acs_timeout"),
    (e.StorageUnavailable(), 503, "storage_unavailable"),
    (e.StorageAccessDenied(), 503, "storage_access_denied"),
    (e.MediaEmpty(), 500, "media_empty"),
    (SettingsError(["A: b"]), 500, "not_configured"),
    (ValueError("secret things"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "code"), TABLE, ids=lambda value: getattr(value, "code", str(value))[:30])
def test_a_failure_is_a_problem_with_a_status_and_a_stable_code(error: Exception, status: int, code: str) -> None:
    given = problem_response(error)
    document = json.loads(given.body)
    assert given.status == status
    assert given.mimetype == "application/problem+json"
    assert (document["type"], document["status"], document["code"]) == ("about:blank", status, code)
    assert document["title"]
    assert "secret" not in given.body.decode()
    if isinstance(error, e.RecorderError):
        assert document["blame"] == error.blame.value
    assert None not in document.values()


def test_all_faults_of_a_request_are_told() -> None:
    error = e.InvalidRequest([e.Fault("a", "is wrong"), e.Fault("b", "see https://h/x?sig=SECRET")])
    document = json.loads(problem_response(error).body)
    assert document["errors"] == [
        {"field": "a", "message": "is wrong"},
        {"field": "b", "message": "see https://h/x?…"},
    ]


def test_all_faults_of_the_settings_are_told() -> None:
    reported = json.loads(problem_response(SettingsError(["A: b: c", "D: e"])).body)["errors"]
    assert reported == [{"field": "A", "message": "b: c"}, {"field": "D", "message": "e"}]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (e.AcsThrottled(status=429, retry_after=timedelta(seconds=17.4)), "17"),
        (e.AcsThrottled(status=429, retry_after=timedelta(0)), "1"),
        (e.AcsThrottled(status=429), "5"),
        (e.StorageUnavailable(), "5"),
        (e.AcsUnavailable(status=500), None),
        (e.CallNotFound(), None),
    ],
)
def test_who_should_come_again_is_told_when(error: Exception, expected: str | None) -> None:
    assert problem_response(error).headers.get("Retry-After") == expected


def test_what_acs_answered_is_told_without_personal_data() -> None:
    error = e.CallNotFound("call of 8:acs:abc-def", status=404, service_code="8522", trace_id="trace")
    document: dict[str, Any] = json.loads(problem_response(error).body)
    assert document["serviceCode"] == "8522"
    assert document["traceId"] == "trace"
    assert document["detail"] == "call of participant:…"


def test_any_text_can_be_answered() -> None:
    assert json_response({"a": "\ud800ü"}, status=201, headers={"X": "y"}).body == '{"a": "?ü"}'.encode()
    assert json.loads(problem_response(e.InvalidRequest([e.Fault("\ud800", "\ud800")])).body)["errors"]
