"""The one place where the SDKs' errors become `shared.domain.errors`.

By status and service code where there was an answer, by class where there was none. Every class of the SDKs' trees
is met by one of the branches; `tests/unit/test_translate.py` walks the trees and fails where one is not.

A transport does not translate all that is raised below it: an OSError for a bundle of CAs that is not there may pass
it. That is an outage like others.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    IncompleteReadError,
    SerializationError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)

from shared.domain import errors as e

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ACS_CODES: dict[str, type[e.AcsError]] = {
    "8522": e.CallNotFound,
    "8501": e.CallNotEstablished,
    "8528": e.CallTerminated,
    "8523": e.AcsInvalidArgument,
    "8553": e.RecordingInProgress,
    "8559": e.RecordingInProgress,
    "8571": e.RecordingConflict,
    "8573": e.ActionNotAllowed,
    "7504": e.AcsForbidden,
    "7509": e.AcsUnauthorized,
    "7510": e.AcsUnauthorized,
    "8589": e.AcsThrottled,
    "8516": e.AcsThrottled,
    "8529": e.AcsThrottled,
}
_BLOB_CODES: dict[str, type[e.StorageError]] = {
    "AuthenticationFailed": e.StorageAccessDenied,
    "AuthorizationPermissionMismatch": e.StorageAccessDenied,
    "InsufficientAccountPermissions": e.StorageAccessDenied,
    "InvalidAuthenticationInfo": e.StorageAccessDenied,
    "NoAuthenticationInformation": e.StorageAccessDenied,
    "AuthorizationFailure": e.StorageNetworkDenied,
    "PublicAccessNotPermitted": e.StorageNetworkDenied,
    "AccountIsDisabled": e.StorageNetworkDenied,
    "ContainerNotFound": e.ContainerMissing,
    "ContainerBeingDeleted": e.ContainerMissing,
    "ContainerDisabled": e.ContainerMissing,
    "FilesystemNotFound": e.ContainerMissing,
    "FilesystemBeingDeleted": e.ContainerMissing,
    "QueueNotFound": e.ContainerMissing,
    "QueueBeingDeleted": e.ContainerMissing,
    "QueueDisabled": e.ContainerMissing,
    "BlobNotFound": e.BlobMissing,
    "ResourceNotFound": e.BlobMissing,
    "BlobAlreadyExists": e.BlobExists,
    "PathAlreadyExists": e.BlobExists,
    "InvalidBlobType": e.BlobExists,  # a page or append blob is there
    "ContainerAlreadyExists": e.BlobExists,
    "QueueAlreadyExists": e.BlobExists,
    "ResourceAlreadyExists": e.BlobExists,
    "UnauthorizedBlobOverwrite": e.BlobExists,
    "ConditionNotMet": e.PreconditionFailed,
    "TargetConditionNotMet": e.PreconditionFailed,
    "InvalidBlockList": e.BlocksMissing,
    "InvalidBlobOrBlock": e.BlocksMissing,
    "InvalidBlockId": e.BlocksMissing,
    "BlobImmutableDueToPolicy": e.StorageImmutable,
    "BlobImmutableDueToLegalHold": e.StorageImmutable,
    "LeaseIdMissing": e.StorageImmutable,
    "LeaseIdMismatchWithBlobOperation": e.StorageImmutable,
    "LeaseIdMismatchWithContainerOperation": e.StorageImmutable,
    "BlobArchived": e.BlobArchived,
    "BlobBeingRehydrated": e.BlobArchived,
    "AccountLimitExceeded": e.StorageFull,
    "InsufficientStorage": e.StorageFull,
    "BlockCountExceedsLimit": e.StorageFull,
    "Md5Mismatch": e.StorageCorrupted,
    "Crc64Mismatch": e.StorageCorrupted,
    "ServerBusy": e.StorageThrottled,
    "OperationTimedOut": e.StorageUnavailable,
    "InternalError": e.StorageUnavailable,
    "AccountBeingCreated": e.StorageUnavailable,
    "PendingCopyOperation": e.StorageUnavailable,
    "SystemInUse": e.StorageUnavailable,
    "CannotVerifyCopySource": e.StorageInvalid,
    "APINotImplemented": e.StorageInvalid,
}
_LONGEST_REFUSAL = 65_536  # bytes
# What may come from below the SDKs. (Sockets' and TLS's own errors are OSErrors, and those of requests, too.)
NETWORK_ERRORS = (OSError,)
_LATE = (ServiceRequestTimeoutError, ServiceResponseTimeoutError)
_BLOB_STATUSES: dict[int, type[e.StorageError]] = {
    401: e.StorageAccessDenied,
    403: e.StorageAccessDenied,
    404: e.BlobMissing,
    409: e.StorageError,  # a conflict of another kind: by far not always that a blob exists
    412: e.PreconditionFailed,
    429: e.StorageThrottled,
    501: e.StorageInvalid,
    503: e.StorageThrottled,
    507: e.StorageFull,
}


def retry_after(response: Any, *, now: datetime | None = None) -> timedelta | None:
    """The answer's Retry-After, in seconds or as a date; None where there is none or it cannot be read."""
    value = (_header(response, "Retry-After") or "").strip()
    if not value:
        return None
    if value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - (now or datetime.now(UTC)), timedelta(0)), timedelta(days=1))


def _header(response: Any, name: str) -> str | None:
    headers = getattr(response, "headers", None)
    return headers.get(name) if headers is not None else None


def _status(error: AzureError) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status_code", None)


def _said(error: AzureError) -> str:
    return (str(error.message) or type(error).__name__).splitlines()[0][:300]


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


# --- storage


def storage_error(error: Exception, *, blame: e.Blame = e.Blame.APP) -> e.StorageError:
    """What a storage SDK raised, as one of ours."""
    if isinstance(error, NETWORK_ERRORS):
        return e.StorageUnavailable(_named(error), blame=blame)
    if not isinstance(error, AzureError):
        return e.StorageInvalid(_named(error), blame=blame)
    kind = _storage_kind(error)
    response = getattr(error, "response", None)
    trace = _header(response, "x-ms-request-id")
    return kind(_said(error), blame=blame, retry_after=retry_after(response), trace_id=trace)


def _storage_kind(error: AzureError) -> type[e.StorageError]:
    status = _status(error)
    if status is None or isinstance(error, IncompleteReadError):
        # No answer: a token that cannot be had is a matter of configuration, all else of the network.
        return e.StorageAccessDenied if isinstance(error, ClientAuthenticationError) else e.StorageUnavailable
    code = getattr(error, "error_code", None) or _header(getattr(error, "response", None), "x-ms-error-code")
    code = str(getattr(code, "value", code) or "")
    if code in _BLOB_CODES:
        return _BLOB_CODES[code]
    if status in _BLOB_STATUSES:
        return _BLOB_STATUSES[status]
    if status == 408 or status >= 500 or 200 <= status < 300:
        return e.StorageUnavailable
    return e.StorageInvalid


@contextmanager
def storage_errors(blame: e.Blame = e.Blame.APP) -> Iterator[None]:
    """Within it, what the storage SDKs raise comes out as StorageError."""
    try:
        yield
    except (*NETWORK_ERRORS, AzureError, SerializationError, DeserializationError, ValueError, TypeError) as error:
        raise storage_error(error, blame=blame) from error


# --- the recording REST API


def acs_error(error: Exception) -> e.AcsError:
    """What the call automation SDK raised on a REST call, as one of ours."""
    is_late = isinstance(error, _LATE) or "timed out" in str(error).lower()
    if isinstance(error, NETWORK_ERRORS):
        return (e.AcsTimeout if is_late else e.AcsUnavailable)(_named(error))
    if not isinstance(error, AzureError):
        return e.AcsError(_named(error))
    status = _status(error)
    if status is None:
        if isinstance(error, ClientAuthenticationError):
            return e.AcsUnauthorized(_said(error))
        return (e.AcsTimeout if is_late else e.AcsUnavailable)(_said(error))
    response = getattr(error, "response", None)
    code, message = _acs_answer(error)
    kind = _ACS_CODES.get(code or "") or _acs_kind(status)
    return kind(
        message or _said(error),
        status=status,
        service_code=code,
        retry_after=retry_after(response),
        trace_id=_header(response, "x-ms-client-request-id"),
    )


def _acs_kind(status: int) -> type[e.AcsError]:
    kinds: dict[int, type[e.AcsError]] = {
        400: e.AcsInvalidArgument,
        401: e.AcsUnauthorized,
        403: e.AcsForbidden,
        404: e.RecordingNotFound,
        408: e.AcsTimeout,
        409: e.RecordingConflict,
        429: e.AcsThrottled,
        504: e.AcsTimeout,
    }
    return kinds.get(status) or (e.AcsUnavailable if status >= 500 else e.AcsError)


def _acs_answer(error: AzureError) -> tuple[str | None, str | None]:
    """Code and message of ACS's error body, where it has one."""
    response: Any = getattr(error, "response", None)
    try:
        body = response.json()
    except (AttributeError, ValueError, AzureError):
        return None, None
    inner = body.get("error") if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        return None, None
    code, message = inner.get("code"), inner.get("message")
    return (str(code) if code is not None else None), (str(message)[:300] if message else None)


@contextmanager
def acs_errors() -> Iterator[None]:
    """Within it, what the call automation SDK raises on REST calls comes out as AcsError."""
    try:
        yield
    except (*NETWORK_ERRORS, AzureError, SerializationError, DeserializationError, ValueError, TypeError) as error:
        raise acs_error(error) from error


# --- media


def media_error(error: Exception) -> e.MediaError:
    """What the call automation SDK raised on a download or deletion, as one of ours."""
    if isinstance(error, IncompleteReadError):
        return e.MediaTruncated(_said(error))
    if isinstance(error, NETWORK_ERRORS):
        return e.MediaUnavailable(_named(error))
    if not isinstance(error, AzureError):
        return e.MediaLocationRefused(_named(error))
    status = _status(error)
    if status is None or isinstance(error, ServiceRequestError | ServiceResponseError | DecodeError):
        kind = e.MediaUnauthorized if isinstance(error, ClientAuthenticationError) else e.MediaUnavailable
        return kind(_said(error))
    response = getattr(error, "response", None)
    return _media_kind(status)(f"{status} {_said(error)}", retry_after=retry_after(response), trace_id=_trace(error))


def _media_kind(status: int) -> type[e.MediaError]:
    kinds: dict[int, type[e.MediaError]] = {
        401: e.MediaUnauthorized,
        403: e.MediaUnauthorized,
        404: e.MediaNotFound,
        408: e.MediaUnavailable,
        410: e.MediaNotFound,
        416: e.MediaWrongRange,
        429: e.MediaThrottled,
    }
    if 300 <= status < 400:
        return e.MediaRedirected
    # 2xx: the head was well and the body was not.
    return kinds.get(status) or (e.MediaUnavailable if status >= 500 or status < 300 else e.MediaBadRequest)


def _trace(error: AzureError) -> str | None:
    """The media host's trace id (body of its 401, or a header): what Microsoft's support asks for."""
    response: Any = getattr(error, "response", None)
    try:
        # A download's refusal is not read yet; one of unknown or great length is not worth it.
        if hasattr(response, "read") and int(response.headers["Content-Length"]) <= _LONGEST_REFUSAL:
            response.read()
        body = response.json()
    except Exception:  # noqa: BLE001 - whatever a half-read or closed answer raises: there is no trace id then
        body = None
    found = body.get("traceId") if isinstance(body, dict) else None
    return str(found)[:100] if found else _header(response, "x-ms-request-id")


@contextmanager
def media_errors() -> Iterator[None]:
    """Within it, what the call automation SDK raises on media comes out as MediaError."""
    try:
        yield
    except e.RecorderError:
        raise
    except (*NETWORK_ERRORS, AzureError, ValueError, TypeError) as error:
        raise media_error(error) from error


TRANSLATORS: tuple[Callable[[Exception], e.RecorderError], ...] = (storage_error, acs_error, media_error)
