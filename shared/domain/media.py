"""Are these bytes a recording, and all of it? Pure: bytes in, verdicts out.

`sniff` names a format by its first bytes, whatever an event says of it. `check` looks at the structure of a whole file
by a few reads; `StructureCheck` at the same structure while everything passes by. Both end in the same code
(`structure`). Structure proves less than a length that the source announced, and that less than equal digests:
hence `Proof`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.domain import frames
from shared.domain.structure import Mp3Walk, Mp4Walk, Verdict, WavWalk

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from shared.domain.structure import Walk

__all__ = ["Checked", "Proof", "StructureCheck", "Verdict", "check", "is_page", "sniff"]

_MP4_FIRST = (b"ftyp", b"styp", b"moof", b"moov")
# Enough for the padding, tags and headers that media begin with; and for the tags and the index that they end with.
_HEAD = 65_536
_TAIL = 32_768
_SMALL_READ = 4096
# No file of these formats is as small.
_LEAST = 12
_PAGE = re.compile(rb"<[!?a-z]|[{\[]", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class Proof(StrEnum):
    """How it is known that a blob is the whole recording, from nothing to the most."""

    NONE = "none"
    STRUCTURE = "structure"  # the file is whole in itself
    LENGTH = "length"  # it has the length that ACS announced
    DIGEST = "digest"  # two copies have one SHA-256

    def at_least(self, other: Proof) -> bool:
        """Whether this proves as much as `other`."""
        order = list(Proof)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Checked:
    """What a look at a file's structure says. `format`: mp3, mp4, wav, or None where its bytes are not recognised."""

    verdict: Verdict
    format: str | None
    detail: str


def sniff(first: bytes) -> str | None:
    """The format by a file's first bytes (some KiB, or all of it): mp3, mp4 or wav; None where it is none of these.

    Zeros before an mp3 are padding.
    """
    if first[:4] in (b"RIFF", b"RF64", b"BW64") and first[8:12] == b"WAVE":
        return "wav"
    if first[4:8] in _MP4_FIRST:
        return "mp4"
    bare = first.lstrip(b"\0")[:10]
    return "mp3" if bare[:3] == b"ID3" or frames.frame_at(bare, 0) else None


def is_page(first: bytes) -> bool:
    """Whether the bytes are the beginning of an HTML, XML or JSON text, such as a server's error page."""
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        first = first[:2048].decode("utf-16", "replace").encode()
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:512]
    return _PAGE.match(text) is not None and _CONTROL.search(text) is None


def _walk_of(head: bytes) -> Walk | None:
    found = sniff(head)
    if found == "mp3":
        return Mp3Walk(padding=len(head) - len(head.lstrip(b"\0")))
    if found == "mp4":
        return Mp4Walk()
    return WavWalk() if found == "wav" else None


def _unrecognised(head: bytes, size: int, *, is_zero: bool) -> Checked:
    """The verdict on bytes that begin as no known format does."""
    if is_page(head):
        return Checked(Verdict.BROKEN, None, "a page in place of media")
    if is_zero:
        return Checked(Verdict.BROKEN, None, "nothing but zeros")
    if size < _LEAST:
        return Checked(Verdict.BROKEN, None, f"{size} bytes are no media")
    return Checked(Verdict.UNKNOWN, None, "not a known format")


class _SpentError(Exception):
    """No more reads."""


class _ShortError(Exception):
    """Fewer bytes came than the file should have."""


class _Reads:
    """Ranges of a file of `size` bytes, by at most so many reads; what is known already costs none."""

    def __init__(self, read: Callable[[int, int], bytes], *, size: int, first: bytes, most: int) -> None:
        self._read = read
        self._size = size
        self._known = [(0, first), (0, b"")]
        self._left = most

    def get(self, start: int, length: int, *, spare: int = 0) -> bytes:
        """Those bytes, fewer where the file ends. _SpentError where that takes one of the last `spare` reads."""
        length = max(0, min(length, self._size - start))
        for begin, data in self._known:
            if begin <= start and start + length <= begin + len(data):
                return data[start - begin : start - begin + length]
        if self._left <= spare:
            raise _SpentError
        self._left -= 1
        data = self._read(start, min(max(length, _SMALL_READ), self._size - start))
        if len(data) < length:
            raise _ShortError
        self._known[1] = (start, data)
        return data[:length]


def check(
    read: Callable[[int, int], bytes],
    *,
    size: int,
    first: bytes | None = None,
    duration: timedelta | None = None,
    most_reads: int = 8,
) -> Checked:
    """The structure of a whole file of `size` bytes, by at most `most_reads` calls of `read(start, length)`.

    `first`: its first bytes, where they are known. `duration`: what the file should play for; a mismatch leaves it
    unproven. What `read` raises is not caught.
    """
    if size <= 0:
        return Checked(Verdict.BROKEN, None, "no bytes")
    reads = _Reads(read, size=size, first=first or b"", most=most_reads)
    try:
        return _checked(reads, size=size, first=first, duration=duration)
    except _ShortError:
        return Checked(Verdict.BROKEN, sniff(first or b""), f"not all of {size} bytes can be read")


def _checked(reads: _Reads, *, size: int, first: bytes | None, duration: timedelta | None) -> Checked:
    try:
        # What is known will do where it is more than a header.
        head = first if first and len(first) >= _SMALL_READ else reads.get(0, _HEAD)
    except _SpentError:
        head = first or b""
    walk = _walk_of(head)
    if walk is None:
        return _unrecognised(head, size, is_zero=not any(head) and _ends_in_zeros(reads, size))
    tail = b""
    try:
        while walk.wants is not None and walk.wants[0] < size:
            walk.give(reads.get(*walk.wants, spare=1))
    except _SpentError:
        pass
    if walk.needs_tail(size):
        try:
            tail = reads.get(max(0, size - _TAIL), _TAIL)
        except _SpentError:
            tail = b""
    verdict, detail = walk.judge(size, tail, duration)
    return Checked(verdict, sniff(head), detail)


def _ends_in_zeros(reads: _Reads, size: int) -> bool:
    try:
        return not any(reads.get(max(0, size - _TAIL), _TAIL))
    except _SpentError:
        return False


class StructureCheck:
    """`check` for a file that passes by from its start to its end: `update` with each piece, then `verdict`."""

    def __init__(self, *, duration: timedelta | None = None) -> None:
        self._duration = duration
        self._walk: Walk | None = None
        self._head = b""
        self._size = 0
        self._start = 0
        # The last bytes that passed by, at least _TAIL of them: more than any walk wants at once.
        self._held = bytearray()
        self._is_zero = True

    def update(self, piece: bytes) -> None:
        """The next bytes of the file."""
        self._held += piece
        self._size += len(piece)
        self._is_zero = self._is_zero and piece.count(0) == len(piece)
        if not self._head and self._size >= _HEAD:
            self._begin()
        self._go_on(is_over=False)
        if self._head and len(self._held) > 4 * _TAIL:
            del self._held[:-_TAIL]
            self._start = self._size - _TAIL

    def _begin(self) -> None:
        self._head = bytes(self._held[:_HEAD])
        self._walk = _walk_of(self._head)

    def _go_on(self, *, is_over: bool) -> None:
        while self._walk is not None and self._walk.wants is not None:
            start, length = self._walk.wants
            if start >= self._size or (start + length > self._size and not is_over):
                return
            self._walk.give(bytes(self._held[start - self._start : start - self._start + length]))

    def verdict(self, total: int) -> Checked:
        """The verdict on a file that should have `total` bytes; to be asked once, at the end."""
        if not self._size:
            return Checked(Verdict.BROKEN, None, "no bytes")
        if not self._head:
            self._begin()
        self._go_on(is_over=True)
        if self._size != total:
            return Checked(Verdict.BROKEN, sniff(self._head), f"{self._size} of {total} bytes")
        if self._walk is None:
            return _unrecognised(self._head, self._size, is_zero=self._is_zero)
        tail = bytes(self._held[-_TAIL:])
        verdict, detail = self._walk.judge(self._size, tail, self._duration)
        return Checked(verdict, sniff(self._head), detail)
