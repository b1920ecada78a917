"""The blobs of `memory_storage`: conditional writes, ranges, block lists with one id length and a week of life."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.memory_storage import MemoryStorage

_BLOCK_LIFE = timedelta(days=7)


@dataclass
class StoredBlob:
    """A committed blob."""

    data: bytes
    etag: str
    content_type: str
    metadata: dict[str, str]
    blocks: list[tuple[str, int]] = field(default_factory=list)
    modified: datetime | None = None


@dataclass
class Container:
    """Committed blobs, and staged blocks with the time of the first."""

    blobs: dict[str, StoredBlob] = field(default_factory=dict)
    staged: dict[str, tuple[datetime, dict[str, bytes]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request, as the SDK made it."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


class RefusedError(Exception):
    """The service answers with this status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Blobs:
    """The blobs of one container."""

    def __init__(self, storage: MemoryStorage, container: Container) -> None:
        self._storage = storage
        self._of = container

    def answer(self, request: Request, name: str) -> Answer:
        kind = request.query.get("comp", "")
        if request.method in ("GET", "HEAD"):
            return self._block_list(request, name) if kind == "blocklist" else self._read(request, name)
        if request.method == "DELETE":
            self._match(request, self._there(name))
            del self._of.blobs[name]
            return Answer(202)
        if kind == "block":
            return self._stage(request, name)
        if kind == "metadata":
            blob = self._there(name)
            self._match(request, blob)
            blob.metadata, blob.etag = _metadata(request), self._storage.etag()
            return Answer(200, {"ETag": blob.etag})
        self._match(request, self._of.blobs.get(name))
        if kind == "blocklist":
            return self._commit(request, name)
        _check_md5(request)
        return self._write(request, name, request.body, [])

    def _there(self, name: str) -> StoredBlob:
        if name not in self._of.blobs:
            raise RefusedError(404, "BlobNotFound")
        return self._of.blobs[name]

    @staticmethod
    def _match(request: Request, blob: StoredBlob | None) -> None:
        wanted, unwanted = request.headers.get("If-Match"), request.headers.get("If-None-Match")
        if unwanted == "*" and blob is not None:
            raise RefusedError(409, "BlobAlreadyExists")
        if wanted is not None and (blob is None or wanted.strip('"') != blob.etag.strip('"')):
            raise RefusedError(412, "ConditionNotMet")

    def _write(self, request: Request, name: str, data: bytes, blocks: list[tuple[str, int]]) -> Answer:
        kind = request.headers.get("x-ms-blob-content-type") or "application/octet-stream"
        blob = StoredBlob(data, self._storage.etag(), kind, _metadata(request), blocks, self._storage.now())
        self._of.blobs[name] = blob
        self._of.staged.pop(name, None)
        return Answer(201, self._storage.plain() | {"ETag": blob.etag} | _checksum(request))

    def _staged(self, name: str) -> dict[str, bytes]:
        at, blocks = self._of.staged.get(name, (self._storage.now(), {}))
        return blocks if self._storage.now() - at <= _BLOCK_LIFE else {}

    def _stage(self, request: Request, name: str) -> Answer:
        data, block_id = request.body, request.query["blockid"]
        source = request.headers.get("x-ms-copy-source")
        if source:
            data = self._source(request, source)
        _check_md5(request)
        blocks = self._staged(name)
        if any(len(known) != len(block_id) for known in blocks):
            raise RefusedError(400, "InvalidBlobOrBlock")
        self._of.staged[name] = (self._storage.now(), {**blocks, block_id: data})
        return Answer(201, _checksum(request))

    def _source(self, request: Request, url: str) -> bytes:
        parts = urlsplit(url)
        container, _, name = parts.path.strip("/").partition("/")
        of = self._storage.containers.get((parts.netloc, container))
        blob = of.blobs.get(unquote(name)) if of else None
        if blob is None:
            raise RefusedError(404, "CannotVerifyCopySource")
        wanted = request.headers.get("x-ms-source-if-match")
        if wanted and wanted.strip('"') != blob.etag.strip('"'):
            raise RefusedError(412, "SourceConditionNotMet")
        first, last = request.headers["x-ms-source-range"].removeprefix("bytes=").split("-")
        return blob.data[int(first) : int(last) + 1]

    def _commit(self, request: Request, name: str) -> Answer:
        staged = self._staged(name)
        wanted = [one.text or "" for one in ET.fromstring(request.body)]  # noqa: S314 - the SDK's own
        if any(one not in staged for one in wanted):
            raise RefusedError(400, "InvalidBlockList")
        blocks = [(one, len(staged[one])) for one in wanted]
        return self._write(request, name, b"".join(staged[one] for one in wanted), blocks)

    def _block_list(self, request: Request, name: str) -> Answer:
        staged, blob = self._staged(name), self._of.blobs.get(name)
        if blob is None and not staged:
            raise RefusedError(404, "BlobNotFound")
        kinds = {"CommittedBlocks": blob.blocks if blob else [], "UncommittedBlocks": _sizes(staged)}
        if request.query.get("blocklisttype") != "all":
            kinds = {
                kind: one for kind, one in kinds.items() if kind.lower().startswith(request.query["blocklisttype"])
            }
        text = "".join(f"<{kind}>{''.join(_block(*one) for one in found)}</{kind}>" for kind, found in kinds.items())
        return xml(f"<BlockList>{text}</BlockList>")

    def _read(self, request: Request, name: str) -> Answer:
        blob = self._there(name)
        self._match(request, blob)
        facts = {f"x-ms-meta-{key}": value for key, value in blob.metadata.items()} | {
            "ETag": blob.etag,
            "Content-Type": blob.content_type,
            "x-ms-blob-type": "BlockBlob",
            "Last-Modified": format_datetime(self._storage.now().astimezone(UTC), usegmt=True),
        }
        asked = request.headers.get("x-ms-range") or request.headers.get("Range")
        if request.method == "HEAD" or not asked:
            return Answer(200, facts | {"Content-Length": str(len(blob.data))}, blob.data)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first)
        if start >= len(blob.data):
            raise RefusedError(416, "InvalidRange")
        data = blob.data[start : int(last) + 1 if last else None]
        facts["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{len(blob.data)}"
        return Answer(206, facts, data)


def _sizes(staged: dict[str, bytes]) -> list[tuple[str, int]]:
    return [(block_id, len(data)) for block_id, data in staged.items()]


def _block(name: str, size: int) -> str:
    return f"<Block><Name>{name}</Name><Size>{size}</Size></Block>"


def _metadata(request: Request) -> dict[str, str]:
    prefix = "x-ms-meta-"
    return {key[len(prefix) :]: value for key, value in request.headers.items() if key.lower().startswith(prefix)}


def _check_md5(request: Request) -> None:
    sent = request.headers.get("Content-MD5")
    if sent and sent != base64.b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode():
        raise RefusedError(400, "Md5Mismatch")


def _checksum(request: Request) -> dict[str, str]:
    """The service answers with the checksum that it was sent, once it has compared it."""
    return {name: request.headers[name] for name in ("x-ms-content-crc64", "Content-MD5") if name in request.headers}


def xml(text: str, *, status: int = 200) -> Answer:
    """An answer in XML."""
    return Answer(status, {"Content-Type": "application/xml"}, f"<?xml version='1.0' encoding='utf-8'?>{text}".encode())
