"""Which checksum an account verifies.

A service that verifies `x-ms-content-crc64` returns it. One that refuses the header (Azurite: 500
`FeatureNotSupported`; others 400 or 501) or says nothing of it (Azurite with `--loose`) gets the same bytes again with
an MD5, and only an MD5 from then on: an answer without the checksum does not count as verified.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError

from shared.domain.errors import StorageCorrupted
from shared.transfer.checksum import crc64

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSALS = {"FeatureNotSupported", "UnsupportedHeader", "APINotImplemented", "NotImplemented"}


class AccountChecksum:
    """What one account verifies: CRC-64 until it shows that it does not, then MD5. Safe for many threads."""

    def __init__(self) -> None:
        self._takes_crc64 = True

    def send(self, data: bytes, request: Callable[..., Any], *, known: int | None = None) -> Any:
        """The answer to `request(**checksum, written=…)`, of which the service verified the checksum.

        `known`: the CRC-64 that the data had when they came; it is computed where there is none.

        `written` is None, or the answer to the same request whose checksum was passed over: what it wrote is there,
        unverified, and is to be written over. StorageCorrupted where the service received other bytes.
        """
        written = None
        if self._takes_crc64:
            wanted = (crc64(data) if known is None else known).to_bytes(8, "little")
            try:
                written = request(transactional_content_crc64=bytearray(wanted), written=None)
            except HttpResponseError as error:
                if not _is_refused(error):
                    raise
            else:
                found = written.get("content_crc64")
                if found == wanted:
                    return written
                if found is not None:
                    raise StorageCorrupted("the service received other bytes than were sent (CRC-64)")
            self._takes_crc64 = False
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        return request(transactional_content_md5=bytearray(digest), written=written)


def _is_refused(error: HttpResponseError) -> bool:
    code = getattr(error, "error_code", None)
    code = str(getattr(code, "value", code) or "")
    names_it = "crc64" in str(error.message).lower() and code != "Crc64Mismatch"
    return code in _REFUSALS or (error.status_code in (400, 501) and names_it)
