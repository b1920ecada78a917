"""Errors of ACS's REST API for recordings: a branch of the tree in `errors.py`, and imported from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.failure import Blame, RecorderError

if TYPE_CHECKING:
    from datetime import timedelta


class AcsError(RecorderError):
    """ACS refused or failed the call. `status` and `service_code` are what it answered, where it answered."""

    code = "acs_error"
    blame = Blame.ACS

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        service_code: str | None = None,
        retry_after: timedelta | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after, trace_id=trace_id)
        self.status = status
        self.service_code = service_code


class CallNotFound(AcsError):
    """ACS knows no such call (8522)."""

    code = "call_not_found"
    blame = Blame.CALLER


class RecordingNotFound(AcsError):
    """ACS knows no such recording."""

    code = "recording_not_found"
    blame = Blame.CALLER


class CallNotEstablished(AcsError):
    """The call is not established yet (8501)."""

    code = "call_not_established"
    blame = Blame.CALLER


class CallTerminated(AcsError):
    """The call has ended (8528)."""

    code = "call_terminated"
    blame = Blame.CALLER


class RecordingInProgress(AcsError):
    """The call is being recorded already (8553, 8559)."""

    code = "recording_in_progress"
    blame = Blame.CALLER


class RecordingConflict(AcsError):
    """Another operation on the recording is under way (8571)."""

    code = "recording_conflict"
    blame = Blame.CALLER


class ActionNotAllowed(AcsError):
    """ACS does not pause or resume the recording as it is (8573): it is paused already, or it is not paused."""

    code = "action_not_allowed"
    blame = Blame.CALLER


class AcsInvalidArgument(AcsError):
    """ACS does not accept an argument (8523)."""

    code = "acs_invalid_argument"
    blame = Blame.CALLER


class AcsForbidden(AcsError):
    """ACS does not allow this app to record (7504): a matter of configuration."""

    code = "acs_forbidden"
    blame = Blame.APP


class AcsUnauthorized(AcsError):
    """ACS does not accept this app's key (7509) or identity (7510): a matter of configuration."""

    code = "acs_unauthorized"
    blame = Blame.APP


class AcsThrottled(AcsError):
    """ACS asks to slow down (429)."""

    code = "acs_throttled"


class AcsUnavailable(AcsError):
    """ACS failed (5xx) or could not be reached."""

    code = "acs_unavailable"


class AcsTimeout(AcsError):
    """ACS did not answer in time."""

    code = "acs_timeout"
