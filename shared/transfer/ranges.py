"""Blocks and ranges: what to ask for next, and whether an answer is what was asked.

A file is cut in cells of one size; a block is one cell or several that follow one another. So tries that chose other
blocks, or other workers, still fit together.

A block's id is its byte offset in fixed width, a tag of the source (its length, ETag and first block) and a CRC of its
bytes: progress can be read back from the uncommitted block list by any worker, blocks of a source that has changed
since do not fit, and after the commit the list says which bytes the blob is made of.
Limits: a block blob has at most 50 000 blocks of at most 4000 MiB (service documentation).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain import media
from shared.domain.errors import (
    MediaChanged,
    MediaEmpty,
    MediaIsAPage,
    MediaTooLarge,
    MediaTooLong,
    MediaTruncated,
    MediaWrongRange,
)
from shared.transfer.checksum import crc64

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.ports import Block, MediaResponse

MAX_BLOCKS = 50_000
_BLOCK_ID = re.compile(r"(\d{13})-([0-9a-f]{10})-([0-9a-f]{16})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


@dataclass(frozen=True)
class Span:
    """`length` bytes from `start`."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.length


def source_tag(*, location: str, total: int, etag: str | None, first: bytes) -> str:
    """Ten hex digits that change when the source's location, length, ETag or first block does.

    The first block is read at every attempt: blocks of other media under the same length, with no ETag, do not fit.
    The location counts without its query (which may be signed anew): blocks of two locations never make one blob.
    """
    place = location.partition("?")[0].partition("#")[0]
    text = f"{total}:{etag or ''}:{crc64(first):016x}:{place}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def block_id(start: int, data: bytes, *, tag: str) -> str:
    """The id (before base64) of the block `data` at offset `start`; 41 characters, always.

    CRC-64 and not a stronger digest: it tells a source that changed unnoticed from one that did not, at a fifteenth of
    SHA-256's price (docs/performance.md). Damage on the way is the transactional checksum's part.
    """
    return f"{start:013d}-{tag}-{crc64(data):016x}"


def crc64_of(block_id: str) -> int:
    """The CRC-64 in the id of a block of ours."""
    return int(block_id[-16:], 16)


def is_our_block(block: Block) -> bool:
    """Whether the block's id has our form."""
    return _BLOCK_ID.fullmatch(block.id) is not None


@dataclass(frozen=True)
class BlockSizes:
    """How large blocks are, in bytes: the first of a file, before anything is known of its source; then `least` where
    a connection is slow, so that many share the memory, and `most` where it is quick, so that requests are few.

    `first` and `most` are multiples of `least`, which is the size of a cell.
    """

    least: int
    first: int
    most: int

    @classmethod
    def up_to(cls, most: int) -> BlockSizes:
        """A quarter, a half and the whole of `most`."""
        least = max(1, most // 4)
        return cls(least, 2 * least, 4 * least)


def plan(*, total: int, block_bytes: int) -> list[Span]:
    """The cells of a file of `total` bytes. MediaEmpty for none, MediaTooLarge beyond a block blob's limit."""
    if total <= 0:
        raise MediaEmpty
    if total > block_bytes * MAX_BLOCKS:
        raise MediaTooLarge(f"{total} bytes are more than {MAX_BLOCKS} blocks of {block_bytes}")
    return [Span(start, min(block_bytes, total - start)) for start in range(0, total, block_bytes)]


def usable_blocks(staged: Iterable[Block], cells: list[Span], *, tag: str) -> dict[int, Block]:
    """The staged blocks that are made of whole cells (our id, this source's tag), by offset; none overlap.

    Two different blocks of the same cells (a source that changed and did not say so): neither is used.
    """
    starts, ends = {cell.start for cell in cells}, {cell.end for cell in cells}
    found: dict[Span, Block] = {}
    doubtful: set[Span] = set()
    for block in staged:
        match = _BLOCK_ID.fullmatch(block.id)
        if match is None or match[2] != tag:
            continue
        span = Span(int(match[1]), block.size)
        if span.length <= 0 or span.start not in starts or span.end not in ends:
            continue
        if span in found and found[span].id != block.id:
            doubtful.add(span)
        found[span] = block
    chosen: dict[int, Block] = {}
    end = 0
    for span in sorted(set(found) - doubtful, key=lambda span: (span.start, -span.length)):
        if span.start >= end:
            chosen[span.start] = found[span]
            end = span.end
    return chosen


def missing(cells: list[Span], kept: Mapping[int, Block]) -> list[Span]:
    """The cells that are in none of the blocks `kept` (by offset)."""
    found: list[Span] = []
    end = 0
    for cell in cells:
        if cell.start in kept:
            end = cell.start + kept[cell.start].size
        if cell.start >= end:
            found.append(cell)
    return found


def join(cells: Iterable[Span], *, most: int) -> list[Span]:
    """Blocks of up to `most` bytes, each of cells that follow one another."""
    joined: list[Span] = []
    for cell in cells:
        last = joined[-1] if joined else None
        if last is not None and last.end == cell.start and last.length + cell.length <= most:
            joined[-1] = Span(last.start, last.length + cell.length)
        else:
            joined.append(cell)
    return joined


def check_no_page(first: bytes) -> None:
    """Raises MediaIsAPage where the bytes begin an HTML, XML or JSON text and no media."""
    if media.sniff(first) is None and media.is_page(first):
        raise MediaIsAPage("the bytes are a page, not media")


@dataclass(frozen=True)
class Head:
    """What an accepted answer says: where its bytes begin, how many follow (None: unknown), and the whole's length."""

    start: int
    length: int | None
    total: int | None
    etag: str | None
    is_partial: bool


def accept(response: MediaResponse, asked: Span, *, total: int | None, etag: str | None) -> Head:
    """Checks the head of an answer to a request for `asked`.

    `total` and `etag`: what earlier answers said; None: not known yet. A 200 means that the server ignored Range:
    its bytes begin at 0. Raises MediaIsAPage, MediaWrongRange, MediaChanged, MediaEmpty.
    """
    kind = response.content_type.partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml", "application/problem+json", "application/json"):
        raise MediaIsAPage(f"{kind} came in place of media")
    if etag is not None and response.etag is not None and response.etag != etag:
        raise MediaChanged("the ETag changed")
    head = _partial(response, asked) if response.status == 206 else _whole(response)
    if total is not None and head.total is not None and head.total != total:
        raise MediaChanged(f"{head.total} bytes in all, {total} before")
    return head


def _partial(response: MediaResponse, asked: Span) -> Head:
    match = _CONTENT_RANGE.fullmatch(response.content_range or "")
    if match is None:
        raise MediaWrongRange("206 without a readable Content-Range")
    first, last = int(match[1]), int(match[2])
    if match[3] == "*":
        raise MediaWrongRange("206 that does not say how long the whole is")
    total = int(match[3])
    if first != asked.start or last < first or last >= asked.end or last >= total:
        raise MediaWrongRange(f"asked for {asked.start}-{asked.end - 1}, got {response.content_range}")
    length = last - first + 1
    if length < min(asked.length, total - first):
        raise MediaWrongRange(f"asked for {asked.length} bytes, got a range of {length}")
    if response.content_length is not None and response.content_length != length:
        raise MediaWrongRange("Content-Length and Content-Range disagree")
    return Head(first, length, total, response.etag, is_partial=True)


def _whole(response: MediaResponse) -> Head:
    if response.content_length == 0:
        raise MediaEmpty
    return Head(0, response.content_length, response.content_length, response.etag, is_partial=False)


def check_length(received: int, announced: int) -> None:
    """Raises MediaTruncated or MediaTooLong unless the two are equal."""
    if received < announced:
        raise MediaTruncated(f"{received} of {announced} bytes came")
    if received > announced:
        raise MediaTooLong(f"more than the announced {announced} bytes came")
