"""The ledger in the app's own blob storage.

Layout of the ledger container: `open/{key}.json` (metadata: due, risk, state) · `closed/{key}.json` (metadata:
revision) · `ids/…`, `aliases/…`, `finished/…` (indexes) · `starts/…` (idempotency) · `quarantine/…`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core import MatchConditions
from azure.storage.blob import ContentSettings

from shared.adapters.listed import list_page
from shared.adapters.translate import storage_errors
from shared.domain.codec import decode, encode, format_time, parse_time
from shared.domain.errors import BlobExists, BlobMissing, ContainerMissing, PreconditionFailed, StorageCorrupted
from shared.domain.facets import from_metadata, to_metadata
from shared.domain.recording import Recording
from shared.ports import IndexEntry, OpenEntry, RejectedEntry, Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from azure.storage.blob import BlobServiceClient, ContainerClient

T = TypeVar("T")
_JSON = ContentSettings(content_type="application/json")
# Ledger calls sit in front of Event Grid's 30 seconds.
_QUICK: dict[str, Any] = {"timeout": 10, "read_timeout": 10}
_PAGE = 5000
_PROBE = "seen/probe"
_IF_NEW: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}


class BlobLedger:
    """Port `Ledger` on the SDK. Makes its containers when they are missing."""

    def __init__(self, service: BlobServiceClient, *, container: str, rejected: str, page: int = _PAGE) -> None:
        self._client = service.get_container_client(container)
        self._rejected = service.get_container_client(rejected)
        self._page = page
        # A document is read and written several times while its recording is worked on, and making a client for it
        # costs a sixth of a request.
        self._blob = lru_cache(maxsize=64)(self._client.get_blob_client)

    # --- documents

    def load(self, key: str) -> Version | None:
        """See the port."""
        for name, is_open in ((_open(key), True), (_closed(key), False)):
            found = self._read(name)
            if found is not None:
                return Version(self._decoded(key, found[0]), found[1], is_open)
        # No third read: a closed copy is written before the open document goes, and stays when it is opened again.
        return None

    def _read(self, name: str) -> tuple[bytes, str] | None:
        try:
            with storage_errors():
                download = self._blob(name).download_blob(**_QUICK)
                return bytes(download.readall()), str(download.properties.etag)
        except (BlobMissing, ContainerMissing):
            return None

    @staticmethod
    def _decoded(key: str, data: bytes) -> Recording:
        try:
            return decode(Recording, data)
        except ValueError as error:
            raise StorageCorrupted(f"the ledger document {key} cannot be read") from error

    def create(self, recording: Recording, *, entry: OpenEntry, closed: str | None = None) -> str:
        """See the port.

        The closed copy is looked at afterwards: it is written before an open document goes, so whatever had its whole
        way until ours was there shows in it.
        """
        written = self._put(_open(recording.key), recording, _metadata(entry), _IF_NEW)
        if self._etag_of(_closed(recording.key)) != closed:
            self.remove(recording.key, etag=written)
            raise PreconditionFailed("it was opened and closed meanwhile")
        return written

    def _etag_of(self, name: str) -> str | None:
        try:
            with storage_errors():
                return str(self._blob(name).get_blob_properties(**_QUICK).etag)
        except (BlobMissing, ContainerMissing):
            return None

    def save(self, recording: Recording, *, etag: str, entry: OpenEntry) -> str:
        """See the port."""
        return self._put(_open(recording.key), recording, _metadata(entry), _if_match(etag))

    def _put(self, name: str, recording: Recording, metadata: dict[str, str], condition: dict[str, Any]) -> str:
        data = encode(recording)

        def write() -> str:
            answer = self._blob(name).upload_blob(
                data, overwrite=True, content_settings=_JSON, metadata=metadata, **condition, **_QUICK
            )
            return str(answer["etag"])

        try:
            return self._made(self._client, write)
        except (BlobExists, BlobMissing) as error:
            raise PreconditionFailed("it has changed meanwhile") from error

    def archive(self, recording: Recording, *, etag: str | None, closed: str | None = None) -> str:
        """See the port."""
        if etag is not None:
            written = self._put_closed(recording)
            self.remove(recording.key, etag=etag)
            return written
        condition = _IF_NEW if closed is None else _if_match(closed)
        written = self._put(_closed(recording.key), recording, _revision(recording), condition)
        # `create` looks at the closed copy after its write, and this at the open one after its own: of two that write
        # at once, one sees the other.
        if self._etag_of(_open(recording.key)) is not None:
            raise PreconditionFailed("it was opened meanwhile")
        return written

    def _put_closed(self, recording: Recording) -> str:
        """Only over a lower revision: an archiver that was stalled cannot bring an old state back."""
        name, metadata = _closed(recording.key), _revision(recording)
        try:
            return self._put(name, recording, metadata, _IF_NEW)
        except PreconditionFailed:
            found = self._read(name)
        if found is None:
            raise PreconditionFailed("it has changed meanwhile")
        try:
            standing = decode(Recording, found[0]).revision
        except ValueError:
            standing = -1
        if standing >= recording.revision:
            return found[1]
        return self._put(name, recording, metadata, _if_match(found[1]))

    def remove(self, key: str, *, etag: str) -> None:
        """See the port."""
        try:
            with suppress(BlobMissing, ContainerMissing), storage_errors():
                self._blob(_open(key)).delete_blob(**_if_match(etag), **_QUICK)
        except PreconditionFailed:
            # Not every server says of a blob that is gone that it is missing.
            if self._read(_open(key)) is not None:
                raise

    def open_entries(self, *, cursor: str | None = None) -> tuple[list[OpenEntry], str | None]:
        """See the port."""
        blobs, cursor = self._listed("open/", cursor, self._page)
        return [_entry(name, metadata) for name, metadata in blobs], cursor

    def quarantine(self, key: str) -> None:
        """See the port."""
        for name in (_open(key), _closed(key)):
            found = self._read(name)
            if found is None:
                continue
            data, etag = found
            try:
                decode(Recording, data)
            except ValueError:
                target = f"quarantine/{name}"
                self.put_note(target, data)
                with suppress(BlobMissing), storage_errors():
                    self._blob(name).delete_blob(**_if_match(etag), **_QUICK)

    # --- indexes and notes

    def put_entry(self, name: str, metadata: dict[str, str]) -> None:
        """See the port."""
        self._made(
            self._client, lambda: self._client.upload_blob(name, b"", overwrite=True, metadata=metadata, **_QUICK)
        )

    def delete_entry(self, name: str) -> None:
        """See the port."""
        with suppress(BlobMissing, ContainerMissing), storage_errors():
            self._client.delete_blob(name, **_QUICK)

    def entries(
        self, prefix: str, *, cursor: str | None = None, limit: int | None = None
    ) -> tuple[list[IndexEntry], str | None]:
        """See the port."""
        blobs, cursor = self._listed(prefix, cursor, min(limit or self._page, self._page))
        return [IndexEntry(name, metadata) for name, metadata in blobs], cursor

    def folders(self, prefix: str) -> list[str]:
        """See the port."""
        try:
            with storage_errors():
                found = self._client.walk_blobs(name_starts_with=prefix, results_per_page=self._page, **_QUICK)
                names = [str(one.name) for one in found if str(one.name).endswith("/")]
        except ContainerMissing:
            return []
        return sorted(name.removeprefix(prefix).rstrip("/") for name in names)

    def _listed(
        self, prefix: str, cursor: str | None, page: int
    ) -> tuple[list[tuple[str, dict[str, str]]], str | None]:
        try:
            with storage_errors():
                return list_page(self._client, prefix, cursor=cursor, size=page, **_QUICK)
        except ContainerMissing:
            return [], None

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

    def probe(self) -> datetime:
        """See the port."""
        written = self._made(self._client, lambda: self._blob(_PROBE).upload_blob(b"probe", overwrite=True, **_QUICK))
        if self.get_note(_PROBE) != b"probe":
            raise StorageCorrupted("a note that was just written is not read back")
        moment: datetime = written["date"]
        return moment

    def keep_rejected(self, name: str, data: bytes) -> None:
        """See the port."""
        self._made(
            self._rejected,
            lambda: self._rejected.upload_blob(name, data, overwrite=True, content_settings=_JSON, **_QUICK),
        )

    def get_rejected(self, name: str) -> bytes | None:
        """See the port."""
        try:
            with storage_errors():
                return bytes(self._rejected.download_blob(name, **_QUICK).readall())
        except (BlobMissing, ContainerMissing):
            return None

    def rejected_folders(self) -> list[str]:
        """See the port."""
        try:
            with storage_errors():
                found = self._rejected.walk_blobs(delimiter="/", **_QUICK)
                return [str(one.name).rstrip("/") for one in found if str(one.name).endswith("/")]
        except ContainerMissing:
            return []

    def rejected_in(self, folder: str) -> list[RejectedEntry]:
        """See the port."""
        try:
            with storage_errors():
                blobs = self._rejected.list_blobs(name_starts_with=f"{folder}/", results_per_page=_PAGE, **_QUICK)
                return [RejectedEntry(str(blob.name), blob.last_modified) for blob in blobs]
        except ContainerMissing:
            return []

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


def _open(key: str) -> str:
    return f"open/{key}.json"


def _closed(key: str) -> str:
    return f"closed/{key}.json"


def _if_match(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _metadata(entry: OpenEntry) -> dict[str, str]:
    moments = {"due": entry.due, "risk": entry.risk}
    known = to_metadata(entry.facets) if entry.facets else {}
    if entry.owed:
        known["owed"] = str(entry.owed)
    return known | {"state": entry.state} | {name: format_time(moment) for name, moment in moments.items() if moment}


def _entry(name: str, metadata: dict[str, str]) -> OpenEntry:
    key = name.removeprefix("open/").removesuffix(".json")
    due, risk = _moment(metadata.get("due")), _moment(metadata.get("risk"))
    owed = metadata.get("owed", "")
    return OpenEntry(
        key, due, risk, metadata.get("state", ""), from_metadata(metadata), int(owed) if owed.isdecimal() else 0
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def _revision(recording: Recording) -> dict[str, str]:
    return {"revision": str(recording.revision)}
