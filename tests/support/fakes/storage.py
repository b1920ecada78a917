"""Containers as Azure's block blobs: staged blocks, one commit where nothing stands, ETags."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.domain.errors import (
    Blame,
    BlobArchived,
    BlobExists,
    BlobMissing,
    BlocksMissing,
    ContainerMissing,
    ContainerNotAllowed,
    PreconditionFailed,
    StorageCorrupted,
    StorageError,
    StorageInvalid,
)
from shared.ports import BlobFacts, Blobs, Block, Container
from shared.transfer import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.domain.locations import AllowList, ContainerUrl

_PIECE = 64 * 1024
_versions = itertools.count(1)


@dataclass(frozen=True)
class Blob:
    """A committed blob; `blocks` is empty where it was written in one go."""

    data: bytes
    etag: str
    content_type: str
    sha256: str | None = None
    blocks: tuple[Block, ...] = ()


class FakeContainer:
    """Port `Container`. `exists`: whether there is one; `refusal`: what every call raises, while it is set.

    `find_limit`: how many blobs one answer names; `copies`: whether its server reads other containers by itself;
    `archived`: names of blobs that cannot be read.
    """

    find_limit = 5000

    def __init__(self, *, blame: Blame = Blame.DESTINATION, exists: bool = True) -> None:
        self.blame = blame
        self.exists = exists
        self.refusal: StorageError | None = None
        self.blobs: dict[str, Blob] = {}
        self.uncommitted: dict[str, dict[str, bytes]] = {}
        self.copies = True
        self.archived: set[str] = set()

    def _check(self) -> None:
        if self.refusal is not None:
            raise type(self.refusal)(str(self.refusal), blame=self.refusal.blame, retry_after=self.refusal.retry_after)
        if not self.exists:
            raise ContainerMissing(blame=self.blame)

    def _blob(self, name: str) -> Blob:
        self._check()
        if name not in self.blobs:
            raise BlobMissing(blame=self.blame)
        return self.blobs[name]

    def _write(self, name: str, blob: Blob) -> None:
        """A blob of that name from now on; what was staged for it is gone."""
        self.blobs[name] = replace(blob, etag=f"0x{next(_versions):X}")
        self.uncommitted.pop(name, None)

    def stat(self, name: str) -> BlobFacts | None:
        self._check()
        blob = self.blobs.get(name)
        return BlobFacts(name, len(blob.data), blob.etag, blob.sha256) if blob else None

    def glance(self, name: str) -> tuple[BlobFacts, bytes] | None:
        facts = self.stat(name)
        return (facts, self._readable(name, None).data[: 2 * _PIECE]) if facts else None

    def find(self, prefix: str, *, cursor: str | None = None) -> Blobs:
        self._check()
        names = sorted(name for name in self.blobs if name.startswith(prefix) and name > (cursor or ""))
        reported = names[: self.find_limit]
        return Blobs(
            filter(None, map(self.stat, reported)), cursor=reported[-1] if len(names) > len(reported) else None
        )

    def _readable(self, name: str, etag: str | None) -> Blob:
        blob = self._blob(name)
        if etag is not None and blob.etag != etag:
            raise PreconditionFailed(blame=self.blame)
        if name in self.archived:
            raise BlobArchived(blame=self.blame)
        return blob

    def read(self, name: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> bytes:
        data = self._readable(name, etag).data
        return data[start:] if length is None else data[start : start + length]

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        data = self._readable(name, etag).data
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]

    def staged(self, name: str) -> list[Block]:
        self._check()
        return [Block(block_id, len(data)) for block_id, data in self.uncommitted.get(name, {}).items()]

    def stage(self, name: str, block_id: str, data: bytes, *, crc64: int | None = None) -> None:
        self._check()
        if crc64 not in (None, checksum.crc64(data)):
            raise StorageCorrupted("the block has another CRC-64", blame=self.blame)
        blocks = self.uncommitted.setdefault(name, {})
        if any(len(known) != len(block_id) for known in blocks):
            raise BlocksMissing("all ids of a blob's blocks have one length", blame=self.blame)
        blocks[block_id] = bytes(data)

    def commit(self, name: str, blocks: Sequence[Block], *, sha256: str | None, content_type: str) -> BlobFacts:
        self._check()
        if name in self.blobs:
            raise BlobExists(blame=self.blame)
        staged = self.uncommitted.get(name, {})
        if any(block.id not in staged for block in blocks):
            raise BlocksMissing(blame=self.blame)
        data = b"".join(staged[block.id] for block in blocks)
        made = tuple(Block(block.id, len(staged[block.id])) for block in blocks)
        self._write(name, Blob(data, "", content_type, sha256, made))
        return BlobFacts(name, len(data), self.blobs[name].etag, sha256)

    def committed(self, name: str) -> list[Block]:
        if self.uncommitted.get(name) and name not in self.blobs:
            self._check()
            return []
        return list(self._blob(name).blocks)

    def note_sha256(self, name: str, sha256: str) -> None:
        self.blobs[name] = replace(self._blob(name), sha256=sha256, etag=f"0x{next(_versions):X}")

    def put(
        self, name: str, data: bytes, *, content_type: str, overwrite: bool, sha256: str | None = None
    ) -> BlobFacts:
        self._check()
        if name in self.blobs and not overwrite:
            raise BlobExists(blame=self.blame)
        self._write(name, Blob(data, "", content_type, sha256))
        return BlobFacts(name, len(data), self.blobs[name].etag, sha256)

    def stage_from(
        self, name: str, block_id: str, source: Container, source_name: str, *, start: int, length: int, etag: str
    ) -> None:
        self._check()
        if not self.copies:
            raise StorageInvalid("this server does not copy", blame=self.blame)
        self.stage(name, block_id, source.read(source_name, start=start, length=length, etag=etag))

    def delete(self, name: str, *, etag: str | None = None) -> None:
        self._check()
        if etag is not None and name in self.blobs and self.blobs[name].etag != etag:
            raise PreconditionFailed(blame=self.blame)
        self.blobs.pop(name, None)

    def probe(self) -> None:
        self._check()


class FakeContainers:
    """Port `Containers`: containers by account and name; on the allow-list, but missing until they are made."""

    def __init__(self, allowed: AllowList) -> None:
        self.allowed = allowed
        self.places: dict[tuple[str, str], FakeContainer] = {}
        self.own = FakeContainer(blame=Blame.APP)

    def at(self, container: ContainerUrl) -> FakeContainer:
        """The container itself, for the test's own hands."""
        return self.places.setdefault((container.account_url, container.container), FakeContainer(exists=False))

    def destination(self, container: ContainerUrl) -> Container:
        if not self.allowed.allows(container):
            raise ContainerNotAllowed(f"{container} is not on the allow-list", blame=Blame.APP)
        return self.at(container)

    def fallback(self) -> Container:
        return self.own
