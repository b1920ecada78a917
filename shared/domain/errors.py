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
    └── DestinationConflict        another file is where the recording belongs

`blame` says who can mend it: `caller`, `destination` (the customer's container), `acs`, or `app` (this app and
its own storage or configuration). `code` is stable and appears in answers, the ledger and log lines.
Service errors are translated in `shared.adapters` only; a test walks the SDKs' exception trees and fails on one
that is not mapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.acs_errors import (
    AcsError,
    AcsForbidden,
    AcsInvalidArgument,
    AcsThrottled,
    AcsTimeout,
    AcsUnauthorized,
    AcsUnavailable,
    ActionNotAllowed,
    CallNotEstablished,
    CallNotFound,
    CallTerminated,
    RecordingConflict,
    RecordingInProgress,
    RecordingNotFound,
)
from shared.domain.failure import Blame, RecorderError
from shared.domain.media_errors import (
    MediaBadRequest,
    MediaChanged,
    MediaDistrusted,
    MediaEmpty,
    MediaError,
    MediaIsAPage,
    MediaLocationRefused,
    MediaNotFound,
    MediaRedirected,
    MediaThrottled,
    MediaTooLarge,
    MediaTooLong,
    MediaTruncated,
    MediaUnauthorized,
    MediaUnavailable,
    MediaUndelimited,
    MediaWrongRange,
)

if TYPE_CHECKING:
    from datetime import timedelta


# The branches that are written in files of their own.
__all__ = [
    "AcsError",
    "AcsForbidden",
    "AcsInvalidArgument",
    "AcsThrottled",
    "AcsTimeout",
    "AcsUnauthorized",
    "AcsUnavailable",
    "ActionNotAllowed",
    "Blame",
    "CallNotEstablished",
    "CallNotFound",
    "CallTerminated",
    "MediaBadRequest",
    "MediaChanged",
    "MediaDistrusted",
    "MediaEmpty",
    "MediaError",
    "MediaIsAPage",
    "MediaLocationRefused",
    "MediaNotFound",
    "MediaRedirected",
    "MediaThrottled",
    "MediaTooLarge",
    "MediaTooLong",
    "MediaTruncated",
    "MediaUnauthorized",
    "MediaUnavailable",
    "MediaUndelimited",
    "MediaWrongRange",
    "RecorderError",
    "RecordingConflict",
    "RecordingInProgress",
    "RecordingNotFound",
]


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
    """Another writer changed it first (ETag)."""

    code = "precondition_failed"


class BlocksMissing(StorageError):
    """Blocks of the list to commit are not there (any more)."""

    code = "blocks_missing"


class ContainerNotReady(RecorderError):
    """The container does not pass the preflight; nothing was started."""

    code = "container_not_ready"
    blame = Blame.DESTINATION


class DestinationConflict(RecorderError):
    """A file with other bytes is where the recording belongs; it is kept as it is."""

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
    """An unforeseen failure: a bug, of ours or of a library's. The log says where."""

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
