"""Bytes on their way: a body of known length, and a stream cut in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.errors import MediaUnavailable
from shared.transfer import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.ports import MediaResponse

_CONTENT_TYPES = {"mp3": "audio/mpeg", "mp4": "video/mp4", "wav": "audio/wav"}


def content_type_of(name: str) -> str:
    """The MIME type that a blob's extension stands for; octets where it stands for none of ours."""
    return _CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


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


def kept(pieces: Iterator[bytes], keep: Callable[[], None]) -> Iterator[bytes]:
    """The same pieces; `keep` is called with each."""
    for piece in pieces:
        keep()
        yield piece


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
