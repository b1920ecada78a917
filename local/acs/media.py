"""Media that players open, made from (seed, documentId): any size up to 4 GiB, any part of it, nothing kept.

A recording is a short real header and then cells of one fixed size: an MP3 frame, a piece of PCM, an H.264
picture. About a megabyte of cells (a tile) is made once per format; every copy of it is stamped with the
document's key and the tile's number, so no two cells of any two recordings are equal, and a block that
landed in the wrong place, or twice, shows in the checksum. How a cell looks per format: `formats.py`.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

from local.acs.formats import KEY_DIGITS, TILE_DIGITS, MediaFormat, digits, media_format

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE = 4 * 1024**3 - 1


@dataclass(frozen=True)
class Media:
    """The bytes of one chunk: `size` of them. `kind` and `shape`: see `formats.SHAPES`. `channels`: of wav only."""

    kind: str
    size: int
    seed: int
    document_id: str
    channels: int = 1
    shape: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"size must be from 0 to {MAX_SIZE} bytes, not {self.size}")
        _ = self._format  # an unknown kind or shape is an error now, not at the first read

    @cached_property
    def _format(self) -> MediaFormat:
        return media_format(self.kind, seed=self.seed, shape=self.shape)

    @cached_property
    def _head(self) -> bytes:
        return self._format.head(size=self.size, channels=self.channels)

    @cached_property
    def _key(self) -> bytes:
        """The key that marks this document's cells."""
        digest = hashlib.sha256(f"{self.seed}/{self.document_id}".encode()).digest()
        return bytes(0x10 + (byte & 0x7F) for byte in digest[:KEY_DIGITS])

    @property
    def content_type(self) -> str:
        """The MIME type of this media."""
        return self._format.content_type

    @property
    def etag(self) -> str:
        """A strong entity tag; the same as long as seed, document and size are."""
        name = f"{self.seed}/{self.document_id}/{self.size}/{self.shape}"
        return f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"'

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `stop` (default: the end), at most a tile at a time."""
        stop = self.size if stop is None else min(stop, self.size)
        head, form = self._head, self._format
        if start < min(len(head), stop):
            yield head[start:stop]
            start = len(head)
        while start < stop:
            number, offset = divmod(start - len(head), len(form.tile))
            end = min(len(form.tile), offset + stop - start)
            yield self._part(number, offset, end)
            start += end - offset

    def _part(self, number: int, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop` of the tile with this number."""
        form = self._format
        first = start // form.cell_size * form.cell_size
        last = -(-stop // form.cell_size) * form.cell_size
        if self.size < len(form.tile):
            # Not worth its own tile: storms of small recordings are read once each.
            cells = _stamp(form, form.tile[first:last], self._key, first_digit=0)
        else:
            keyed = _keyed_tile(form, self._key)
            cells = bytearray(keyed[first:last])
        cells = _stamp(form, cells, digits(number, TILE_DIGITS), first_digit=KEY_DIGITS)
        return bytes(memoryview(cells)[start - first : stop - first])

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer at the end."""
        return b"".join(self.blocks(start, start + length))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the whole, in hex. Computed on first use: takes seconds for gigabytes."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


def _stamp(form: MediaFormat, cells: bytes | bytearray, stamp: bytes, *, first_digit: int) -> bytearray:
    """The cells with these digits written into the stamp of each, from `first_digit` on."""
    copy = cells if isinstance(cells, bytearray) else bytearray(cells)
    count = len(copy) // form.cell_size
    for number, digit in enumerate(stamp, first_digit):
        at = form.stamp_at + number * form.stamp_step
        copy[at :: form.cell_size] = bytes((digit,)) * count
    return copy


@lru_cache(maxsize=24)
def _keyed_tile(form: MediaFormat, key: bytes) -> bytes:
    """The format's tile with a document's key in every cell: about a megabyte, so only the last few are kept."""
    return bytes(_stamp(form, form.tile, key, first_digit=0))


class Readable(Protocol):
    """What `MediaStream` reads from."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer at the end."""


@dataclass(frozen=True)
class Zeros:
    """Zeros in place of media."""

    size: int

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer at the end."""
        return bytes(max(0, min(length, self.size - start)))


@dataclass(frozen=True)
class Beginning:
    """The first `size` bytes of media."""

    media: Media
    size: int

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer at the end."""
        return self.media.read(start, max(0, min(length, self.size - start)))


class MediaStream(io.RawIOBase):
    """A binary file of `Media`, `Zeros` or a `Beginning`."""

    def __init__(self, media: Readable) -> None:
        super().__init__()
        self._media = media
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: the storage SDK rewinds before it tries a block again."""
        return True

    def tell(self) -> int:
        """The present position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves the position, as files do."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._media.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all that is left when negative."""
        left = max(0, self._media.size - self._at)
        data = self._media.read(self._at, left if size < 0 else min(size, left))
        self._at += len(data)
        return data
