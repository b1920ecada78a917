"""The storage SDKs' errors, code by code: each becomes a named error of the container's."""

from __future__ import annotations

import azure.storage.blob as blob_sdk
import azure.storage.queue as queue_sdk
import pytest

from shared.adapters.translate import storage_error
from shared.domain import errors as e
from tests.unit.adapters.translate_rig import http_error

STORAGE_CODES: list[tuple[int, str, type[e.StorageError]]] = [
    (403, "AuthenticationFailed", e.StorageAccessDenied),
    (403, "AuthorizationPermissionMismatch", e.StorageAccessDenied),
    (403, "InsufficientAccountPermissions", e.StorageAccessDenied),
    (401, "NoAuthenticationInformation", e.StorageAccessDenied),
    (400, "InvalidAuthenticationInfo", e.StorageAccessDenied),
    (403, "AuthorizationFailure", e.StorageNetworkDenied),
    (409, "PublicAccessNotPermitted", e.StorageNetworkDenied),
    (403, "AccountIsDisabled", e.StorageNetworkDenied),
    (404, "ContainerNotFound", e.ContainerMissing),
    (409, "ContainerBeingDeleted", e.ContainerMissing),
    (409, "ContainerDisabled", e.ContainerMissing),
    (404, "FilesystemNotFound", e.ContainerMissing),
    (409, "FilesystemBeingDeleted", e.ContainerMissing),
    (404, "QueueNotFound", e.ContainerMissing),
    (409, "QueueBeingDeleted", e.ContainerMissing),
    (409, "QueueDisabled", e.ContainerMissing),
    (404, "BlobNotFound", e.BlobMissing),
    (404, "ResourceNotFound", e.BlobMissing),
    (404, "PathNotFound", e.BlobMissing),
    (409, "BlobAlreadyExists", e.BlobExists),
    (409, "PathAlreadyExists", e.BlobExists),
    (409, "ContainerAlreadyExists", e.BlobExists),
    (409, "QueueAlreadyExists", e.BlobExists),
    (409, "ResourceAlreadyExists", e.BlobExists),
    (409, "InvalidBlobType", e.BlobExists),
    (403, "UnauthorizedBlobOverwrite", e.BlobExists),
    (412, "ConditionNotMet", e.PreconditionFailed),
    (412, "TargetConditionNotMet", e.PreconditionFailed),
    (412, "SourceConditionNotMet", e.PreconditionFailed),
    (400, "InvalidBlockList", e.BlocksMissing),
    (400, "InvalidBlobOrBlock", e.BlocksMissing),
    (400, "InvalidBlockId", e.BlocksMissing),
    (409, "BlobImmutableDueToPolicy", e.StorageImmutable),
    (409, "BlobImmutableDueToLegalHold", e.StorageImmutable),
    (412, "LeaseIdMissing", e.StorageImmutable),
    (412, "LeaseIdMismatchWithBlobOperation", e.StorageImmutable),
    (412, "LeaseIdMismatchWithContainerOperation", e.StorageImmutable),
    (409, "BlobArchived", e.BlobArchived),
    (409, "BlobBeingRehydrated", e.BlobArchived),
    (409, "AccountLimitExceeded", e.StorageFull),
    (507, "InsufficientStorage", e.StorageFull),
    (409, "BlockCountExceedsLimit", e.StorageFull),
    (400, "Md5Mismatch", e.StorageCorrupted),
    (400, "Crc64Mismatch", e.StorageCorrupted),
    (503, "ServerBusy", e.StorageThrottled),
    (500, "OperationTimedOut", e.StorageUnavailable),
    (500, "InternalError", e.StorageUnavailable),
    (409, "AccountBeingCreated", e.StorageUnavailable),
    (409, "PendingCopyOperation", e.StorageUnavailable),
    (409, "SystemInUse", e.StorageUnavailable),
    (403, "CannotVerifyCopySource", e.StorageInvalid),
    (501, "APINotImplemented", e.StorageInvalid),
    (400, "InvalidHeaderValue", e.StorageInvalid),
    (400, "InvalidMd5", e.StorageInvalid),
    (413, "RequestBodyTooLarge", e.StorageInvalid),
    (416, "InvalidRange", e.StorageInvalid),
    (409, "LeaseAlreadyPresent", e.StorageError),
    (409, "SnapshotsPresent", e.StorageError),
    (409, "SomethingNewer", e.StorageError),
    # Without a code the status decides.
    (301, "", e.StorageInvalid),
    (400, "", e.StorageInvalid),
    (401, "", e.StorageAccessDenied),
    (403, "", e.StorageAccessDenied),
    (404, "", e.BlobMissing),
    (408, "", e.StorageUnavailable),
    (409, "", e.StorageError),
    (412, "", e.PreconditionFailed),
    (429, "", e.StorageThrottled),
    (500, "", e.StorageUnavailable),
    (502, "", e.StorageUnavailable),
    (503, "", e.StorageThrottled),
    (504, "", e.StorageUnavailable),
    (507, "", e.StorageFull),
    (200, "", e.StorageUnavailable),
]


@pytest.mark.parametrize(("status", "code", "expected"), STORAGE_CODES)
def test_a_storage_answer_is_read_by_its_code_then_by_its_status(
    status: int, code: str, expected: type[e.StorageError]
) -> None:
    for error in (http_error(status, code=code), http_error(status, **{"x_ms_error_code": code} if code else {})):
        translated = storage_error(error, blame=e.Blame.DESTINATION)
        assert type(translated) is expected
        assert translated.blame is e.Blame.DESTINATION


ALL_CODES = sorted({str(code.value) for sdk in (blob_sdk, queue_sdk) for code in sdk.StorageErrorCode})
EXISTING = {code for _, code, kind in STORAGE_CODES if kind is e.BlobExists}


@pytest.mark.parametrize("code", ALL_CODES)
def test_no_code_of_the_storage_sdks_is_taken_for_another(code: str) -> None:
    """What would go wrong quietly: a conflict taken for our own blob, a refusal for an outage, an error for nothing."""
    kinds = {status: type(storage_error(http_error(status, code=code))) for status in (400, 403, 404, 409, 412, 500)}
    by_status = {status: kind for status, listed, kind in STORAGE_CODES if not listed and status in kinds}
    known = [kind for _, listed, kind in STORAGE_CODES if listed == code]
    assert (kinds[409] is e.BlobExists) is (code in EXISTING)
    # A code is known, and then means the same whatever the status; or the status alone decides.
    assert kinds in (by_status, *(dict.fromkeys(kinds, kind) for kind in known))


def test_the_code_may_be_the_sdks_own_enumeration() -> None:
    error = http_error(404)
    error.error_code = blob_sdk.StorageErrorCode.CONTAINER_NOT_FOUND
    assert type(storage_error(error)) is e.ContainerMissing
