"""Bytes on their way: a body of known length, a stream cut in blocks, a blob read back or copied by this process."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shared.domain.errors import MediaUnavailable, StorageCorrupted
from shared.ports import Block
from shared.transfer import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.ports import Container, MediaResponse

CONTENT_TYPES = {"mp3": "audio/mpeg", "mp4": "video/mp4", "wav": "audio/wav"}


def read_exactly(response: MediaResponse, length: int | None, *, is_late: Callable[[], bool]) -> bytes:
    """The body, which must have `length` bytes (a partial answer always says how many).

    MediaUnavailable when it `is_late` and there is more to come. What is whole is taken, however late.
    """
    wanted = length or 0
    pieces: list[bytes] = []
    received = 0
    for piece in response.pieces:
        received += len(piece)
        if received > wanted:
            ranges.check_length(received, wanted)
        pieces.append(piece)
        if received < wanted and is_late():
            raise MediaUnavailable(f"too slow: {received} of {wanted} bytes came in time")
    ranges.check_length(received, wanted)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def in_time(pieces: Iterator[bytes], *, is_late: Callable[[], bool]) -> Iterator[bytes]:
    """The same pieces; MediaUnavailable with the first that `is_late`."""
    for piece in pieces:
        if is_late():
            raise MediaUnavailable("too slow for a source that gives no ranges")
        yield piece


def cut(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in blocks of `size`, the last one shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(memoryview(held)[:size])
            del held[:size]
    if held:
        yield bytes(held)


def read_back(container: Container, name: str, *, size: int) -> str:
    """SHA-256 of a committed blob, read from its start; StorageCorrupted unless it has `size` bytes."""
    digest = hashlib.sha256()
    count = 0
    for piece in container.pieces(name):
        digest.update(piece)
        count += len(piece)
    if count != size:
        raise StorageCorrupted(f"the blob has {count} bytes, {size} were sent")
    return digest.hexdigest()


def relay(source: Container, source_name: str, target: Container, name: str, *, block_bytes: int) -> None:
    """Copies a blob through this process, where the target's server cannot read the source by itself. BlobExists."""
    blocks: list[Block] = []
    digest = hashlib.sha256()
    start = 0
    for data in cut(source.pieces(source_name), block_bytes):
        block = Block(ranges.block_id(start, data, tag="0" * 10), len(data))
        target.stage(name, block.id, data)
        digest.update(data)
        blocks.append(block)
        start += len(data)
    kind = CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    target.commit(name, blocks, sha256=digest.hexdigest(), content_type=kind)
