"""Containers by the real storage SDK: the customer's, and the app's own fallback."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    BlobBlock,
    BlobSasPermissions,
    BlobServiceClient,
    ContentSettings,
    ExponentialRetry,
    generate_blob_sas,
)

from shared.adapters.connections import LateOnce, seconds_to_send
from shared.adapters.translate import storage_errors
from shared.adapters.transport import pooled_transport
from shared.adapters.verification import AccountChecksum
from shared.domain.errors import (
    Blame,
    BlobExists,
    BlobMissing,
    ContainerMissing,
    ContainerNotAllowed,
    PreconditionFailed,
    StorageInvalid,
    StorageRefused,
)
from shared.ports import BlobFacts, Blobs, Block, Container

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azure.core.credentials import TokenCredential

    from shared.domain.locations import ContainerUrl
    from shared.settings import Settings

MIB = 1024 * 1024
_FIND_LIMIT = 5000  # what the service tells in one answer (its documentation)
# How long a silence may be before the answer to little work of the server; and to a commit or a copied block.
_QUICK_SECONDS = 20
_AT_WORK: dict[str, Any] = {"read_timeout": 60}
_URL_AGE = timedelta(minutes=30)


class _Retry(LateOnce, ExponentialRetry):
    """The SDK's own, for what comes back quickly."""


def blob_service(
    settings: Settings, *, account_url: str | None, connection_string: str | None, credential: TokenCredential | None
) -> BlobServiceClient:
    """The SDK's client for one account, by key or by identity; short timeouts, few retries (the queue has more)."""
    options: dict[str, Any] = {
        "transport": pooled_transport(settings.blocks_in_flight + 8, read_bytes=MIB, read_seconds=_QUICK_SECONDS),
        "retry_policy": _Retry(retry_total=2, initial_backoff=1, increment_base=2),
        "max_single_put_size": 100 * MIB,
        "max_single_get_size": 4 * MIB,
        "max_chunk_get_size": 4 * MIB,
    }
    if connection_string:
        return BlobServiceClient.from_connection_string(connection_string, **options)
    return BlobServiceClient(account_url or "", credential=credential, **options)


class BlobContainer:
    """Port `Container` on the SDK."""

    def __init__(
        self,
        service: BlobServiceClient,
        name: str,
        *,
        blame: Blame,
        creates: bool,
        checksum: AccountChecksum | None = None,
    ) -> None:
        self._service = service
        self._client = service.get_container_client(name)
        # Kept, because making one costs a sixth of what a Put Block does.
        self._blob = lru_cache(maxsize=64)(self._client.get_blob_client)
        self._blame = blame
        self._checksum = checksum or AccountChecksum()
        self._creates = creates
        self._last_url = ("", datetime.min.replace(tzinfo=UTC), "")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with storage_errors(self._blame):
            yield

    @contextmanager
    def _errors_of(self, name: str, etag: str | None) -> Iterator[None]:
        """The same for a request about one version of a blob. Some servers answer 412 where there is no blob at all."""
        try:
            with self._errors():
                yield
        except PreconditionFailed as error:
            if etag and self.stat(name) is None:
                raise BlobMissing(blame=self._blame) from error
            raise

    def ensure(self) -> None:
        """Makes the container where it is the app's own and missing."""
        if self._creates:
            with self._errors():
                if not self._client.exists():
                    self._client.create_container()

    def stat(self, name: str) -> BlobFacts | None:
        """See the port."""
        try:
            with self._errors():
                facts = self._blob(name).get_blob_properties()
        except BlobMissing as error:
            # A HEAD has no body, and not every server says in a header what is missing: the blob, or all of it.
            cause = error.__cause__
            if isinstance(cause, HttpResponseError) and _code(cause) == "BlobNotFound":
                return None
            with self._errors():
                if not self._client.exists():
                    raise ContainerMissing(blame=self._blame) from None
            return None
        return _facts(facts)

    def glance(self, name: str) -> tuple[BlobFacts, bytes] | None:
        """See the port: one request, `max_single_get_size` of `blob_service`."""
        try:
            with self._errors():
                download = self._blob(name).download_blob()
                return _facts(download.properties), next(download.chunks(), b"")
        except BlobMissing:
            return None

    def find(self, prefix: str, *, cursor: str | None = None) -> Blobs:
        """See the port. The service may answer with few, or none, and go on: its cursor says when that is all."""
        found = Blobs()
        with self._errors():
            listing = self._client.list_blobs(
                name_starts_with=prefix, include=["metadata"], results_per_page=_FIND_LIMIT
            )
            pages: Any = listing.by_page(continuation_token=cursor)
            for page in pages:
                found += map(_facts, page)
                found.cursor = pages.continuation_token or None
                if len(found) >= _FIND_LIMIT:
                    break
        return found

    def read(self, name: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> bytes:
        """See the port."""
        try:
            with self._errors_of(name, etag):
                return bytes(self._blob(name).download_blob(offset=start, length=length, **_only(etag)).readall())
        except StorageInvalid as error:
            # The service refuses any range of an empty blob, and the SDK asks for one.
            if isinstance(error.__cause__, HttpResponseError) and error.__cause__.status_code == 416:
                return b""
            raise

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        """See the port."""
        with self._errors_of(name, etag):
            yield from self._blob(name).download_blob(max_concurrency=1, **_only(etag)).chunks()

    def staged(self, name: str) -> list[Block]:
        """See the port."""
        try:
            with self._errors():
                _, uncommitted = self._blob(name).get_block_list("uncommitted")
        except BlobMissing:
            return []
        return [Block(str(block.id), block.size) for block in uncommitted]

    def stage(self, name: str, block_id: str, data: bytes, *, crc64: int | None = None) -> None:
        """See the port."""

        def stage(*, written: Any, **checksum: Any) -> Any:
            del written  # a block that is staged again replaces itself
            return self._blob(name).stage_block(
                block_id, data, length=len(data), read_timeout=seconds_to_send(len(data)), **checksum
            )

        with self._errors():
            self._checksum.send(data, stage, known=crc64)

    def commit(self, name: str, blocks: Sequence[Block], *, sha256: str | None, content_type: str) -> BlobFacts:
        """See the port."""
        with self._errors():
            answer = self._blob(name).commit_block_list(
                [BlobBlock(block_id=block.id) for block in blocks],
                content_settings=ContentSettings(content_type=content_type),
                metadata={"sha256": sha256} if sha256 else None,
                match_condition=MatchConditions.IfMissing,
                **_AT_WORK,
            )
        return BlobFacts(name, sum(block.size for block in blocks), str(answer["etag"]).strip('"'), sha256)

    def committed(self, name: str) -> list[Block]:
        """See the port."""
        with self._errors():
            committed, _ = self._blob(name).get_block_list("committed")
        return [Block(str(block.id), block.size) for block in committed]

    def note_sha256(self, name: str, sha256: str) -> None:
        """See the port."""
        with self._errors():
            self._blob(name).set_blob_metadata({"sha256": sha256})

    def put(
        self, name: str, data: bytes, *, content_type: str, overwrite: bool, sha256: str | None = None
    ) -> BlobFacts:
        """See the port."""
        whole = bytes(data)  # the SDK takes a bytearray for an iterable of parts

        def upload(*, written: Any, **checksum: Any) -> Any:
            if written is not None:
                checksum |= {"etag": written["etag"], "match_condition": MatchConditions.IfNotModified}
            return self._blob(name).upload_blob(
                whole,
                overwrite=overwrite or written is not None,
                metadata={"sha256": sha256} if sha256 else None,
                content_settings=ContentSettings(content_type=content_type),
                read_timeout=seconds_to_send(len(data)),
                **checksum,
            )

        with self._errors():
            answer = self._checksum.send(whole, upload)
        return BlobFacts(name, len(data), str(answer["etag"]).strip('"'), sha256)

    def stage_from(
        self, name: str, block_id: str, source: Container, source_name: str, *, start: int, length: int, etag: str
    ) -> None:
        """See the port."""
        if not isinstance(source, BlobContainer):
            raise StorageInvalid("the source is no container of a storage account", blame=self._blame)
        try:
            url = source.read_url(source_name)
        except StorageRefused as error:
            raise StorageInvalid(f"no signature for the source: {error}", blame=self._blame) from error
        with self._errors():
            self._blob(name).stage_block_from_url(
                block_id,
                url,
                source_offset=start,
                source_length=length,
                # The SDK has no parameter for it.
                headers={"x-ms-source-if-match": f'"{etag}"'},
                **_AT_WORK,
            )

    def read_url(self, name: str) -> str:
        """A URL by which another account's server can read this one blob for an hour; it carries a signature: secret.

        By account key or user delegation key, and made once for all blocks of a copy.
        """
        blob = self._blob(name)
        now = datetime.now(UTC)
        known, made_at, url = self._last_url
        if known == name and now - made_at < _URL_AGE:
            return url
        times: dict[str, Any] = {"start": now - timedelta(minutes=5), "expiry": now + timedelta(hours=1)}
        with self._errors():
            key = getattr(self._service.credential, "account_key", None)
            signer: dict[str, Any] = {"account_key": key}
            if not key:
                delegation = self._service.get_user_delegation_key(times["start"], times["expiry"])
                signer = {"user_delegation_key": delegation}
            sas = generate_blob_sas(
                str(blob.account_name),
                blob.container_name,
                blob.blob_name,
                permission=BlobSasPermissions(read=True),
                protocol="https" if str(blob.url).startswith("https:") else None,  # an emulator speaks http
                **times,
                **signer,
            )
        self._last_url = (name, now, f"{blob.url}?{sas}")
        return self._last_url[2]

    def delete(self, name: str, *, etag: str | None = None) -> None:
        """See the port."""
        try:
            with self._errors_of(name, etag):
                self._blob(name).delete_blob(**_only(etag))
        except BlobMissing:
            return

    def probe(self) -> None:
        """See the port: an uncommitted block, which no listing shows and the service drops by itself."""
        with self._errors():
            self._client.get_blob_client("acs-byos-recorder-preflight").stage_block(
                "probe".ljust(33, "0"), b"0", connection_timeout=3, read_timeout=5, retry_total=0
            )


def _only(etag: str | None) -> dict[str, Any]:
    """The SDK's options for working on that version only."""
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified} if etag else {}


def _code(error: HttpResponseError) -> str:
    headers: Any = getattr(error.response, "headers", {})
    return str(headers.get("x-ms-error-code"))


def _facts(facts: Any) -> BlobFacts:
    noted = (facts.metadata or {}).get("sha256")
    return BlobFacts(str(facts.name), int(facts.size or 0), str(facts.etag or "").strip('"'), noted)


class BlobContainers:
    """Port `Containers`: one client an account, one adapter a container, kept for the process."""

    def __init__(
        self, settings: Settings, *, app_service: BlobServiceClient, credential: TokenCredential | None
    ) -> None:
        self._settings = settings
        self._app_service = app_service
        self._credential = credential
        self._service = lru_cache(maxsize=64)(self._make_service)
        self._checksum = lru_cache(maxsize=64)(lambda _account_url: AccountChecksum())
        self._container = lru_cache(maxsize=256)(self._make_container)
        self._fallback: BlobContainer | None = None

    def _make_service(self, account_url: str) -> BlobServiceClient:
        key = self._settings.recording_storage
        service = None
        if key:
            service = blob_service(self._settings, account_url=None, connection_string=key.reveal(), credential=None)
        if service is None or service.url.rstrip("/") != account_url:
            service = blob_service(
                self._settings, account_url=account_url, connection_string=None, credential=self._credential
            )
        return service

    def _make_container(self, account_url: str, name: str) -> BlobContainer:
        return BlobContainer(
            self._service(account_url),
            name,
            blame=Blame.DESTINATION,
            checksum=self._checksum(account_url),
            creates=False,
        )

    def destination(self, container: ContainerUrl) -> Container:
        """See the port."""
        if not self._settings.allowed.allows(container):
            raise ContainerNotAllowed(f"{container} is not on the allow-list", blame=Blame.APP)
        return self._container(container.account_url, container.container)

    def fallback(self) -> Container:
        """See the port."""
        if self._fallback is None:
            fallback = BlobContainer(
                self._app_service,
                self._settings.fallback_container,
                blame=Blame.APP,
                checksum=self._checksum(self._app_service.url),
                creates=True,
            )
            with suppress(BlobExists):  # another worker made it at the same moment
                fallback.ensure()
            self._fallback = fallback
        return self._fallback
