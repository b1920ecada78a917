"""HTTP/1.1 as a client reads it: the head of an answer, and how its body ends (RFC 9112).

Strict where leniency would mean guessing how long a body is: two lengths that differ, a length that is no number and
a coding other than `chunked` end the connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from azure.core.utils import case_insensitive_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

_LONGEST_HEAD = 64 * 1024
_LONGEST_LINE = 4096
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,15}")
_DECIMAL = re.compile(r"[0-9]{1,18}")


class BadAnswerError(OSError):
    """What came is not HTTP, or not in the form that was asked for."""


class BodyCutError(OSError):
    """The connection ended before the body did."""


@dataclass(frozen=True)
class Head:
    """Status and headers. `length`: bytes of the body; None for one that is chunked, or ends with the connection."""

    status: int
    reason: str
    headers: MutableMapping[str, str]
    length: int | None
    is_chunked: bool
    keeps_alive: bool


class Reader:
    """Buffers what `receive` (`recv_into` of a stream) brings."""

    def __init__(self, receive: Callable[[memoryview], int]) -> None:
        self._receive = receive
        self._buffer = bytearray(16 * 1024)
        self._held = b""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was received that was not asked for yet."""
        return not self._held

    def _more(self) -> bool:
        count = self._receive(memoryview(self._buffer))
        self._held += bytes(memoryview(self._buffer)[:count])
        return count > 0

    def until(self, mark: bytes, *, most: int) -> bytes:
        """What comes before `mark`, which is dropped. BadAnswerError beyond `most` bytes, BodyCutError at the end."""
        while (end := self._held.find(mark)) < 0:
            if len(self._held) > most:
                raise BadAnswerError(f"more than {most} bytes where a line or a head should end")
            if not self._more():
                raise BodyCutError("the connection ended")
        found, self._held = self._held[:end], self._held[end + len(mark) :]
        return found

    def fill(self, view: memoryview) -> int:
        """Fills `view`; how much of it, which is less only at the end of the connection."""
        count = min(len(self._held), len(view))
        view[:count] = self._held[:count]
        self._held = self._held[count:]
        while count < len(view):
            came = self._receive(view[count:])
            if not came:
                break
            count += came
        return count


def read_head(reader: Reader, *, method: str) -> Head:
    """The head of the answer to `method`; interim answers (1xx) are passed over."""
    for _ in range(8):
        first, *lines = reader.until(b"\r\n\r\n", most=_LONGEST_HEAD).split(b"\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise BadAnswerError(f"not an HTTP answer: {first[:40]!r}")
        if status[2][:1] != b"1":
            return _head(status, _headers(lines), method=method)
        if status[2] == b"101":
            break
    raise BadAnswerError("interim answers and no final one")


def _headers(lines: list[bytes]) -> MutableMapping[str, str]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not _NAME.fullmatch(name) or "\r" in value or "\n" in value or "\0" in value:
            raise BadAnswerError("a header that cannot be read")
        found.setdefault(name.lower(), [name]).append(value.strip(" \t"))
    return case_insensitive_dict({values[0]: ", ".join(values[1:]) for values in found.values()})


def _head(status: re.Match[bytes], headers: MutableMapping[str, str], *, method: str) -> Head:
    code = int(status[2])
    coding = headers.get("Transfer-Encoding", "").strip().lower()
    if coding and coding != "chunked":
        raise BadAnswerError("a transfer coding that is not known")
    length = _length(headers.get("Content-Length")) if not coding else None
    if method == "HEAD" or code in (204, 304):
        length, coding = 0, ""
    connection = headers.get("Connection", "").lower()
    keeps_alive = (status[1] == b"1" and "close" not in connection) and (length is not None or bool(coding))
    reason = (status[3] or b"").decode("latin-1")
    return Head(code, reason, headers, length, is_chunked=bool(coding), keeps_alive=keeps_alive)


def _length(value: str | None) -> int | None:
    if value is None:
        return None
    # Said twice, the same, is said once (RFC 9110, 8.6).
    lengths = {each.strip() for each in value.split(",")}
    if len(lengths) != 1 or not _DECIMAL.fullmatch(length := lengths.pop()):
        raise BadAnswerError("a Content-Length that cannot be read")
    return int(length)


def pieces(
    reader: Reader, head: Head, *, size: int, take: Callable[[int], bytearray | memoryview] = bytearray
) -> Iterator[bytes]:
    """The body in pieces of `size` bytes, the last one shorter, in memory from `take`.

    BodyCutError where the connection ends before it.
    """
    if head.is_chunked:
        yield from _gathered(_chunks(reader, size=size), size=size)
        return
    left = head.length
    while left is None or left > 0:
        wanted = size if left is None else min(size, left)
        piece = take(wanted)
        count = reader.fill(memoryview(piece))
        if count < wanted and left is not None:
            raise BodyCutError(f"{left - count} of {head.length} bytes did not come")
        if count < wanted:
            if count:
                yield bytes(memoryview(piece)[:count])
            return
        # Not copied, as it is a block: nothing writes into it, and a caller that needs `bytes` makes them.
        yield cast("bytes", piece)
        left = None if left is None else left - count


def _chunks(reader: Reader, *, size: int) -> Iterator[bytes]:
    while True:
        line = reader.until(b"\r\n", most=_LONGEST_LINE).partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(line):
            raise BadAnswerError("a chunk without a size")
        left = int(line, 16)
        if not left:
            while reader.until(b"\r\n", most=_LONGEST_LINE):
                pass  # trailers
            return
        while left:
            piece = bytearray(min(left, size))
            if reader.fill(memoryview(piece)) < len(piece):
                raise BodyCutError("the connection ended within a chunk")
            left -= len(piece)
            yield bytes(piece)
        if reader.until(b"\r\n", most=1):  # CR and LF may come apart
            raise BadAnswerError("a chunk longer than its size")


def _gathered(chunks: Iterator[bytes], *, size: int) -> Iterator[bytes]:
    held: list[bytes] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += len(chunk)
        if count >= size:
            yield b"".join(held)
            held, count = [], 0
    if held:
        yield b"".join(held)
