"""Every failure the app knows, as one tree.

    RecorderError                  code, blame, retry_after
    ├── InvalidRequest             the caller's body, with every fault named
    ├── EventRejected              an event that cannot be read; kept, never delivered again
    ├── AcsError                   the recording REST API
    ├── MediaError                 bytes at the ACS media host
    │   ├── MediaThrottled … MediaUnavailable     the service says no, for now
    │   └── MediaDistrusted        bytes came, and they are not the recording
    ├── StorageError               a container or queue: of the destination, the fallback or the app itself
    │   ├── StorageRefused         a person must mend it (role, network, policy, space)
    │   └── StorageUnavailable …   passes by itself
    └── DestinationConflict        another file stands where the recording belongs

`blame` says who can mend it: `caller`, `destination` (the customer's container), `acs`, or `app` (this app and
its own storage or configuration). `code` is stable and appears in answers, the ledger and log lines.
Service errors are translated in `shared.adapters` only; a test walks the SDKs' exception trees and fails on one
that is not mapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from shared.domain.redaction import clean

if TYPE_CHECKING:
    from datetime import timedelta


class Blame(StrEnum):
    """Who can mend a failure."""

    CALLER = "caller"
    DESTINATION = "destination"
    ACS = "acs"
    APP = "app"


class RecorderError(Exception):
    """A failure with a stable code. `retry_after`: how long the service asked us to stay away, if it did.

    Its text holds no secret and no personal data, whatever it was made of: it goes into answers, the ledger, log
    lines, alerts, and where it is raised to the host, into the host's own log.
    """

    code: ClassVar[str] = "internal"
    blame: Blame = Blame.APP

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None, trace_id: str | None = None) -> None:
        super().__init__(clean(message) or (type(self).__doc__ or self.code).splitlines()[0])
        self.retry_after = retry_after
        self.trace_id = clean(trace_id)[:100] if trace_id else None


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: the field (JSON pointer-like name) and what to do about it."""

    field: str
    message: str


class InvalidRequest(RecorderError):
    """The request cannot be carried out as written."""

    code = "invalid_request"
    blame = Blame.CALLER

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class EventRejected(RecorderError):
    """An event that cannot be read as a recording status."""

    code = "event_rejected"
    blame = Blame.ACS

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TooManyUntried(RecorderError):
    """There is no room for what an event reports until something that was reported before has been tried."""

    code = "too_many_untried"
    blame = Blame.CALLER


# --- the recording REST API ------------------------------------------------------------------------------------


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


# --- media at ACS ----------------------------------------------------------------------------------------------


class MediaError(RecorderError):
    """The media host did not give the recording's bytes."""

    code = "media_error"
    blame = Blame.ACS


class MediaUnauthorized(MediaError):
    """The media host does not accept our credential (401, 403); a person can mend that inside the window."""

    code = "media_unauthorized"
    blame = Blame.APP


class MediaNotFound(MediaError):
    """The media host does not have it (404): not yet, or no longer."""

    code = "media_not_found"


class MediaBadRequest(MediaError):
    """The media host answered 400 or another 4xx; seen to pass by itself."""

    code = "media_bad_request"


class MediaThrottled(MediaError):
    """The media host asks to slow down (429)."""

    code = "media_throttled"


class MediaUnavailable(MediaError):
    """The media host failed (5xx), could not be reached, or broke off."""

    code = "media_unavailable"


class MediaLocationRefused(MediaError):
    """The location is not an ACS media host over https: never asked."""

    code = "media_location_refused"


class MediaRedirected(MediaError):
    """The media host sent us to a host that is not one of ACS's, nowhere, or on and on."""

    code = "media_redirected"


class MediaDistrusted(MediaError):
    """Bytes came, and they are not the recording."""

    code = "media_distrusted"


class MediaEmpty(MediaDistrusted):
    """The media host answered with no bytes."""

    code = "media_empty"


class MediaTruncated(MediaDistrusted):
    """Fewer bytes came than were announced."""

    code = "media_truncated"


class MediaTooLong(MediaDistrusted):
    """More bytes came than were asked for or announced."""

    code = "media_too_long"


class MediaIsAPage(MediaDistrusted):
    """An HTML or JSON page came in place of media."""

    code = "media_is_a_page"


class MediaUndelimited(MediaDistrusted):
    """The body ends with its connection: nothing shows whether it is whole."""

    code = "media_undelimited"


class MediaWrongRange(MediaDistrusted):
    """Another range came than was asked for."""

    code = "media_wrong_range"


class MediaChanged(MediaDistrusted):
    """The media's length or ETag changed while it was being read."""

    code = "media_changed"


class MediaTooLarge(MediaDistrusted):
    """The media is larger than a block blob of this block size can be."""

    code = "media_too_large"


# --- storage ---------------------------------------------------------------------------------------------------


class StorageError(RecorderError):
    """A container or queue failed us. `blame` follows from whose it is."""

    code = "storage_error"

    def __init__(
        self,
        message: str = "",
        *,
        blame: Blame = Blame.APP,
        retry_after: timedelta | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after, trace_id=trace_id)
        self.blame = blame


class StorageRefused(StorageError):
    """Storage refuses until a person mends something."""

    code = "storage_refused"


class StorageAccessDenied(StorageRefused):
    """Our identity may not do this: the role Storage Blob Data Contributor is missing, or a key is wrong."""

    code = "storage_access_denied"


class StorageNetworkDenied(StorageRefused):
    """The account's firewall does not let us in."""

    code = "storage_network_denied"


class ContainerMissing(StorageRefused):
    """The container does not exist (or is being deleted, or disabled)."""

    code = "container_missing"


class StorageImmutable(StorageRefused):
    """An immutability policy or a lease forbids this change."""

    code = "storage_immutable"


class StorageFull(StorageRefused):
    """The account or the blob has reached a limit."""

    code = "storage_full"


class StorageInvalid(StorageRefused):
    """Storage does not accept the request as it is."""

    code = "storage_invalid"


class ContainerNotAllowed(StorageRefused):
    """The container is not on the allow-list (any more): setting RECORDING_CONTAINERS_ALLOWED."""

    code = "container_not_allowed"


class StorageThrottled(StorageError):
    """Storage asks to slow down (429, 503)."""

    code = "storage_throttled"


class StorageUnavailable(StorageError):
    """Storage failed (5xx), could not be reached, or broke off."""

    code = "storage_unavailable"


class StorageCorrupted(StorageError):
    """What storage holds, or received, is not what was sent (checksum or size)."""

    code = "storage_corrupted"


class BlobArchived(StorageError):
    """The blob is there, in the archive tier: it cannot be read before a person rehydrates it."""

    code = "blob_archived"


class DigestLate(StorageError):
    """The time for reading a blob back ran out before its end."""

    code = "digest_late"


class BlobMissing(StorageError):
    """There is no such blob."""

    code = "blob_missing"


class BlobExists(StorageError):
    """A blob of that name exists already."""

    code = "blob_exists"


class PreconditionFailed(StorageError):
    """Somebody else changed it first (ETag)."""

    code = "precondition_failed"


class BlocksMissing(StorageError):
    """Blocks of the list to commit are not there (any more)."""

    code = "blocks_missing"


class ContainerNotReady(RecorderError):
    """The container does not pass the preflight; nothing was started."""

    code = "container_not_ready"
    blame = Blame.DESTINATION


class DestinationConflict(RecorderError):
    """A file with other bytes stands where the recording belongs; it is kept as it is."""

    code = "destination_conflict"
    blame = Blame.DESTINATION


class ExportNotFound(RecorderError):
    """ACS says it exported the chunk, and the container does not have it."""

    code = "export_not_found"
    blame = Blame.ACS


class ExportEmpty(RecorderError):
    """ACS says it exported the chunk, and the blob has no bytes."""

    code = "export_empty"
    blame = Blame.ACS


class ExportBroken(RecorderError):
    """A file is where ACS says it exported the chunk, and it is not whole media."""

    code = "export_broken"
    blame = Blame.ACS


class FallbackMissing(RecorderError):
    """The bytes of a chunk are not in the fallback any more."""

    code = "fallback_missing"
    blame = Blame.APP


class AlertNotSent(RecorderError):
    """The alert topic did not take an alert."""

    code = "alert_not_sent"
    blame = Blame.APP


class Unexpected(RecorderError):
    """Something failed that nobody thought of: a bug, of ours or of a library's. The log says where."""

    code = "unexpected"
    blame = Blame.APP


class WorkerCrashed(RecorderError):
    """The process working on this chunk went away before it could say how it went."""

    code = "worker_crashed"
    blame = Blame.APP


# What a person has to mend (a role, a network, a setting, a file in the way): an alert at once.
_NEEDS_PERSON = (StorageRefused, DestinationConflict, MediaUnauthorized, MediaLocationRefused)


def needs_person(error: RecorderError) -> bool:
    """Whether the failure goes away only when a person mends something."""
    return isinstance(error, _NEEDS_PERSON)
