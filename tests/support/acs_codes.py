"""What ACS's service codes mean: for the translation alone, and for the adapter over the emulator."""

from __future__ import annotations

from shared.domain import errors as e

SERVICE_CODES: list[tuple[int, str, type[e.AcsError]]] = [
    (404, "8522", e.CallNotFound),
    (400, "8501", e.CallNotEstablished),
    (400, "8528", e.CallTerminated),
    (400, "8523", e.AcsInvalidArgument),
    (400, "8553", e.RecordingInProgress),
    (400, "8559", e.RecordingInProgress),
    (409, "8571", e.RecordingConflict),
    (400, "8573", e.ActionNotAllowed),
    (403, "7504", e.AcsForbidden),
    (401, "7509", e.AcsUnauthorized),
    (401, "7510", e.AcsUnauthorized),
    (429, "8589", e.AcsThrottled),
    (429, "8516", e.AcsThrottled),
    (429, "8529", e.AcsThrottled),
    (400, "8529", e.AcsThrottled),  # the code decides, not the status
    (500, "9999", e.AcsUnavailable),
]
