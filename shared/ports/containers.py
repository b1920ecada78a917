"""Containers for recordings: the customer's, and the fallback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shared.domain.locations import ContainerUrl


@dataclass(frozen=True)
class BlobFacts:
    """A committed blob. `sha256` is the one noted in its metadata by its writer (hex), if any."""

    name: str
    size: int
    etag: str
    sha256: str | None = None


class Blobs(list[BlobFacts]):
    """Committed blobs by name, at most some thousands. `cursor`: where there are more; None where these are all."""

    def __init__(self, blobs: Iterable[BlobFacts] = (), *, cursor: str | None = None) -> None:
        super().__init__(blobs)
        self.cursor = cursor


@dataclass(frozen=True)
class Block:
    """A staged or committed block: its id before base64, and its size in bytes."""

    id: str
    size: int


class Container(Protocol):
    """One container for recordings: the customer's, or the fallback. Names are full names within it.

    Errors: StorageError and below; BlobMissing, BlobExists, BlocksMissing where said. With an `etag` a call works on
    that version of the blob only: PreconditionFailed where it is another. Reading an archived blob: BlobArchived.
    """

    def stat(self, name: str) -> BlobFacts | None:
        """The committed blob, or None; ContainerMissing where there is no container."""
        ...

    def glance(self, name: str) -> tuple[BlobFacts, bytes] | None:
        """The committed blob and its first MiBs (of a small one all), or None; ContainerMissing."""
        ...

    def find(self, prefix: str, *, cursor: str | None = None) -> Blobs:
        """Committed blobs whose name starts with `prefix`, by name: all of them, or those up to where `cursor` of the
        answer goes on. What is not among them is not there only if that is None.
        """
        ...

    def read(self, name: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> bytes:
        """Bytes of a committed blob (for heads and small files), none behind its end; BlobMissing."""
        ...

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        """A committed blob from its start, in pieces of a few MiB; BlobMissing."""
        ...

    def staged(self, name: str) -> list[Block]:
        """The uncommitted blocks; empty where there are none."""
        ...

    def stage(self, name: str, block_id: str, data: bytes, *, crc64: int | None = None) -> None:
        """Stages one block, which travels with a checksum; `crc64`: what it is known to have (StorageCorrupted)."""
        ...

    def commit(self, name: str, blocks: Sequence[Block], *, sha256: str | None, content_type: str) -> BlobFacts:
        """Makes the blob of the blocks, only where there is none (BlobExists); BlocksMissing."""
        ...

    def committed(self, name: str) -> list[Block]:
        """The blocks the blob is made of, in order; none where some are only staged, else BlobMissing."""
        ...

    def note_sha256(self, name: str, sha256: str) -> None:
        """Notes the checksum in the blob's metadata."""
        ...

    def put(
        self, name: str, data: bytes, *, content_type: str, overwrite: bool, sha256: str | None = None
    ) -> BlobFacts:
        """Writes a small blob (at most 100 MiB) in one step, with a checksum as in `stage`.

        BlobExists where there is one and `overwrite` is False. `sha256` is noted in its metadata.
        """
        ...

    def stage_from(
        self, name: str, block_id: str, source: Container, source_name: str, *, start: int, length: int, etag: str
    ) -> None:
        """Stages a block of the source's bytes, read by this container's own server.

        StorageInvalid where the server cannot read the source, or cannot copy blocks at all: then the bytes go
        through this process. PreconditionFailed where the source's ETag is not `etag`.
        """
        ...

    def delete(self, name: str, *, etag: str | None = None) -> None:
        """Removes a blob; one that is gone already is no error."""
        ...

    def probe(self) -> None:
        """Shows that we may write, and leaves nothing that anybody sees; raises what writing would."""
        ...


class Containers(Protocol):
    """Where recordings go."""

    def destination(self, container: ContainerUrl) -> Container:
        """The customer's container; ContainerNotAllowed where it is not on the allow-list."""
        ...

    def fallback(self) -> Container:
        """The app's own container, made if missing."""
        ...
