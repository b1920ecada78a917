"""HTTP answers: JSON, and every failure as RFC 9457 `application/problem+json` with a stable code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from shared.api.body import BodyTooLarge, NotJson, WrongMediaType
from shared.api.rejected import NotReplayable, RejectedEventUnknown
from shared.api.views import RecordingUnknown
from shared.domain import errors as e
from shared.domain.redaction import clean
from shared.settings import SettingsError


@dataclass(frozen=True)
class Response:
    """What an HTTP function answers. The body is never empty."""

    status: int
    body: bytes
    mimetype: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


_STATUSES: tuple[tuple[type[e.RecorderError], int, str], ...] = (
    (NotJson, 400, "The body must be JSON"),
    (e.InvalidRequest, 400, "The request cannot be carried out as written"),
    (e.CallNotFound, 404, "ACS knows no such call"),
    (RecordingUnknown, 404, "No such recording"),
    (e.RecordingNotFound, 404, "ACS knows no such recording"),
    (e.RecordingInProgress, 409, "The call is being recorded already"),
    (e.CallNotEstablished, 409, "The call is not established yet"),
    (e.CallTerminated, 409, "The call has ended"),
    (e.RecordingConflict, 409, "Another operation on the recording is under way"),
    (e.ContainerNotReady, 409, "The container is not ready"),
    (BodyTooLarge, 413, "The body is too large"),
    (WrongMediaType, 415, "The body must be JSON"),
    (RejectedEventUnknown, 404, "No such rejected event"),
    (NotReplayable, 409, "It cannot be replayed"),
    (e.ActionNotAllowed, 409, "The recording is not in a state for this"),
    (e.AcsInvalidArgument, 400, "ACS does not accept an argument"),
    (e.AcsForbidden, 403, "This app may not record: its permissions at ACS are not set up"),
    (e.AcsUnauthorized, 502, "ACS does not accept this app's credential: its configuration is wrong"),
    (e.AcsThrottled, 429, "ACS asks to slow down"),
    (e.AcsTimeout, 504, "ACS did not answer in time"),
    (e.AcsUnavailable, 503, "ACS is not available"),
    (e.AcsError, 502, "ACS failed"),
    (e.StorageError, 503, "The app's own storage is not available"),
)


def json_response(body: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), headers=headers or {})


def problem(
    status: int, code: str, title: str, *, detail: str | None = None, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A problem document; `more` are its extension members, left out where None."""
    document = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail} | more
    body = {name: value for name, value in document.items() if value is not None}
    return Response(
        status,
        json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        "application/problem+json",
        headers or {},
    )


def problem_response(error: Exception) -> Response:
    """The problem that `error` is to the caller. No stack, no secret, no personal data."""
    if isinstance(error, SettingsError):
        named = [dict(zip(("field", "message"), fault.split(": ", 1), strict=False)) for fault in error.faults]
        return problem(500, "not_configured", "The app's settings are not usable", errors=named)
    if not isinstance(error, e.RecorderError):
        return problem(500, "internal", "The app failed; its log says how")
    status, title = next(
        ((status, title) for kind, status, title in _STATUSES if isinstance(error, kind)), (500, "The app failed")
    )
    faults = None
    if isinstance(error, e.InvalidRequest):
        faults = [{"field": clean(fault.field), "message": clean(fault.message)} for fault in error.faults]
    if isinstance(error, e.AcsUnavailable) and error.status and error.status != 503:
        status = 502
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after.total_seconds())))
    elif status in (429, 503):
        headers["Retry-After"] = "5"
    return problem(
        status,
        error.code,
        title,
        detail=clean(str(error)),
        headers=headers,
        blame=error.blame.value,
        errors=faults,
        serviceCode=getattr(error, "service_code", None),
        traceId=error.trace_id,
    )
