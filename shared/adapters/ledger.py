"""The ledger in the app's own blob storage: a JSON document a recording, markers, notes, kept events.

Layout of the ledger container: `recordings/{key}.json` · `open/{deadline}-{key}` · `calls/…` · `starts/…`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core import MatchConditions
from azure.storage.blob import ContentSettings

from shared.adapters.translate import storage_errors
from shared.domain.codec import decode, encode
from shared.domain.errors import BlobExists, BlobMissing, ContainerMissing, PreconditionFailed, StorageCorrupted
from shared.domain.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob import BlobServiceClient, ContainerClient

T = TypeVar("T")
_JSON = ContentSettings(content_type="application/json")
# Ledger calls sit in front of Event Grid's 30 seconds.
_QUICK: dict[str, Any] = {"timeout": 10, "read_timeout": 10}


class BlobLedger:
    """Port `Ledger` on the SDK. Makes its containers when they are missing."""

    def __init__(self, service: BlobServiceClient, *, container: str, rejected: str) -> None:
        self._client = service.get_container_client(container)
        self._rejected = service.get_container_client(rejected)
        # A document is read and written several times while its recording is worked on, and making a client for it
        # costs a sixth of a request.
        self._blob = lru_cache(maxsize=64)(self._client.get_blob_client)

    def load(self, key: str) -> tuple[Recording, str] | None:
        """See the port."""
        try:
            with storage_errors():
                download = self._blob(_document(key)).download_blob(**_QUICK)
                data = download.readall()
        except (BlobMissing, ContainerMissing):
            return None
        try:
            return decode(Recording, bytes(data)), str(download.properties.etag)
        except ValueError as error:
            # Only somebody's hand makes such a document; it must not stop the sweep for all others.
            raise StorageCorrupted(f"the ledger document {key} cannot be read") from error

    def save(self, recording: Recording, *, etag: str | None) -> str:
        """See the port."""
        condition: dict[str, Any] = (
            {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            if etag
            else {"match_condition": MatchConditions.IfMissing}
        )
        data = encode(recording)

        def write() -> str:
            answer = self._blob(_document(recording.key)).upload_blob(
                data, overwrite=True, content_settings=_JSON, **condition, **_QUICK
            )
            return str(answer["etag"])

        try:
            return self._made(self._client, write)
        except BlobExists as error:
            raise PreconditionFailed("it was new a moment ago") from error

    def put_marker(self, name: str) -> None:
        """See the port."""
        self._made(self._client, lambda: self._blob(name).upload_blob(b"", overwrite=True, **_QUICK))

    def delete_marker(self, name: str) -> None:
        """See the port."""
        try:
            with storage_errors():
                self._blob(name).delete_blob(**_QUICK)
        except (BlobMissing, ContainerMissing):
            return

    def markers(self, *, limit: int, cursor: str | None = None) -> tuple[list[str], str | None]:
        """See the port."""
        try:
            with storage_errors():
                listing = self._client.list_blobs(name_starts_with="open/", results_per_page=limit)
                pages = listing.by_page(continuation_token=cursor)
                names = [str(blob.name) for blob in next(pages, [])]
        except ContainerMissing:
            return [], None
        return names, getattr(pages, "continuation_token", None) or None

    def put_note(self, name: str, data: bytes, *, is_new_only: bool = False) -> None:
        """See the port."""
        self._made(
            self._client,
            lambda: self._client.upload_blob(name, data, overwrite=not is_new_only, **_QUICK),
        )

    def get_note(self, name: str) -> bytes | None:
        """See the port."""
        try:
            with storage_errors():
                return bytes(self._client.download_blob(name, **_QUICK).readall())
        except (BlobMissing, ContainerMissing):
            return None

    def keep_rejected(self, name: str, data: bytes) -> None:
        """See the port."""
        self._made(
            self._rejected,
            lambda: self._rejected.upload_blob(name, data, overwrite=True, content_settings=_JSON, **_QUICK),
        )

    @staticmethod
    def _made(client: ContainerClient, action: Callable[[], T]) -> T:
        """`action`; where the container is missing, again after making it."""
        try:
            with storage_errors():
                return action()
        except ContainerMissing:
            try:
                with storage_errors():
                    client.create_container()
            except BlobExists:
                pass  # another worker made it
        with storage_errors():
            return action()


def _document(key: str) -> str:
    return f"recordings/{key}.json"
