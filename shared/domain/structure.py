"""The structure of mp4, wav and mp3 files, walked from header to header without reading what lies between.

A walk says which bytes it `wants` next, is given them (fewer where the file ends there), and judges at the end. So the
same code serves a few range reads (`media.check`) and a stream of everything (`media.StructureCheck`). A walk always
moves forward or ends; how far it goes is bounded, and hostile sizes are compared, never allocated.

Sources: ISO/IEC 14496-12 (boxes), EBU Tech 3306 (RF64), ISO/IEC 11172-3 (frames).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from shared.domain import frames

if TYPE_CHECKING:
    from datetime import timedelta

# A fragmented mp4 of four hours, a fragment a second, has 29 000 boxes.
_MOST_BOXES = 200_000
_MOST_CHUNKS = 64
_MOST_ROUNDS = 6
_STREAMED_32 = (0, 0xFFFFFFFF)
_STREAMED_64 = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
# Bytes a second that ACS's mp4 never has: its documentation says 7.5 MB a minute.
_MP4_RATES = (2_500, 6_250_000)


class Verdict(StrEnum):
    """What the structure of a file says of it."""

    WHOLE = "whole"
    BROKEN = "broken"
    UNKNOWN = "unknown"


Judgement = tuple[Verdict, str]


class Walk(Protocol):
    """One file's structure. `wants`: start and length of the bytes it needs next; None: no more."""

    wants: tuple[int, int] | None

    def give(self, data: bytes) -> None:
        """The bytes it wanted, or those up to the file's end."""
        ...

    def needs_tail(self, size: int) -> bool:
        """Whether `judge` looks at the file's last bytes."""
        ...

    def judge(self, size: int, tail: bytes, duration: timedelta | None) -> Judgement:
        """The verdict and its reason; `tail` is empty where it was not needed, or could not be read."""
        ...


class Mp4Walk:
    """Boxes follow one another and end exactly where the file does."""

    def __init__(self) -> None:
        self.wants: tuple[int, int] | None = (0, 16)
        self._offset = 0
        self._count = 0
        self._seen: set[bytes] = set()
        self._fault = ""
        self._is_open = False

    def give(self, data: bytes) -> None:
        """See `Walk`."""
        length, kind, header = int.from_bytes(data[:4], "big"), data[4:8], 8
        if length == 1 and len(data) >= 16:
            length, header = int.from_bytes(data[8:16], "big"), 16
        self._is_open = length == 0 and len(data) >= 8
        if len(data) < 8 or (length < header and not self._is_open):
            self._fault = f"no box where one should begin, at byte {self._offset}"
        elif not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind):
            self._fault = f"no name of a box at byte {self._offset}"
        if kind in (b"moov", b"moof", b"mdat"):
            self._seen.add(kind)
        self._count += 1
        if self._fault or self._is_open or self._count >= _MOST_BOXES:
            self._offset += 0 if self._fault or self._is_open else length
            self.wants = None
            return
        self._offset += length
        self.wants = (self._offset, 16)

    def needs_tail(self, size: int) -> bool:
        """See `Walk`."""
        return not self._fault and not self._is_open and self._offset < size

    def judge(self, size: int, tail: bytes, duration: timedelta | None) -> Judgement:  # noqa: PLR0911 - one a reason
        """See `Walk`."""
        if self._fault:
            return Verdict.BROKEN, self._fault
        if self._is_open:
            return Verdict.UNKNOWN, "the last box runs to the end of the file, wherever that is"
        if self._offset > size:
            return Verdict.BROKEN, f"cut: a box ends at byte {self._offset}, the file at {size}"
        if self._offset < size:
            if self._seen & {b"moov", b"moof"} and _ends_with_index(tail):
                return self._plausible(size, duration, "fragments, with an index at the very end")
            return Verdict.UNKNOWN, "more boxes than are looked at"
        if not self._seen & {b"moov", b"moof"}:
            return Verdict.BROKEN, "no moov box: a recorder that did not finish"
        if b"mdat" not in self._seen:
            return Verdict.BROKEN, "no media data"
        return self._plausible(size, duration, "boxes end where the file does")

    @staticmethod
    def _plausible(size: int, duration: timedelta | None, detail: str) -> Judgement:
        seconds = duration.total_seconds() if duration else 0
        if seconds > 0 and not _MP4_RATES[0] <= size / seconds <= _MP4_RATES[1]:
            return Verdict.UNKNOWN, f"{size} bytes are not plausible for {seconds:.0f} s"
        return Verdict.WHOLE, detail


def _ends_with_index(tail: bytes) -> bool:
    """Whether a mfra box (random access of a fragmented mp4) ends where `tail` does: its last box says its length."""
    length = int.from_bytes(tail[-4:], "big")
    if tail[-12:-8] != b"mfro" or not 16 <= length <= len(tail):
        return False
    box = tail[-length:]
    return box[4:8] == b"mfra" and int.from_bytes(box[:4], "big") == length


class WavWalk:
    """RIFF says how long it is, and so does its data chunk."""

    def __init__(self) -> None:
        self.wants: tuple[int, int] | None = (0, 12)
        self._offset = 0
        self._count = 0
        self._riff = self._rate = self._start = self._length = self._long = 0
        self._is_streamed = self._is_long = self._has_data = self._is_cut = False

    def give(self, data: bytes) -> None:
        """See `Walk`."""
        if self._offset == 0:
            self._riff = int.from_bytes(data[4:8], "little")
            self._is_long = data[:4] != b"RIFF"
            self._is_streamed = not self._is_long and self._riff in _STREAMED_32
            self._next(12)
            return
        if len(data) < 8:
            self._is_cut, self.wants = True, None
            return
        kind, length = data[:4], int.from_bytes(data[4:8], "little")
        if kind == b"fmt ":
            self._rate = int.from_bytes(data[16:20], "little")
        elif kind == b"ds64" and self._is_long:
            self._riff, self._long = (int.from_bytes(data[at : at + 8], "little") for at in (8, 16))
            self._is_streamed = self._riff in _STREAMED_64
        elif kind == b"data":
            self._has_data, self.wants = True, None
            self._start = self._offset + 8
            self._length = self._long if self._is_long and length == 0xFFFFFFFF else length
            return
        self._next(self._offset + 8 + length + length % 2)

    def _next(self, offset: int) -> None:
        self._offset = offset
        self._count += 1
        self.wants = (offset, 36) if self._count <= _MOST_CHUNKS else None

    def needs_tail(self, size: int) -> bool:  # noqa: ARG002 - the protocol's
        """See `Walk`."""
        return False

    def judge(  # noqa: PLR0911 - one a reason
        self,
        size: int,
        tail: bytes,  # noqa: ARG002 - the protocol's
        duration: timedelta | None,
    ) -> Judgement:
        """See `Walk`."""
        if not self._has_data:
            if self._is_cut or self._offset >= size:
                return Verdict.BROKEN, "cut before the data chunk"
            return Verdict.UNKNOWN, "more chunks before the data than are looked at"
        if self._start >= size:
            return Verdict.BROKEN, "no audio behind the header"
        if self._is_streamed or self._length in _STREAMED_64:
            return Verdict.UNKNOWN, "its sizes were left open by a recorder that streams: unproven, not wrong"
        # A writer may count the byte that pads an odd chunk and not write it.
        end = max(self._start + self._length, self._riff + 8 - 1)
        if end > size:
            return Verdict.BROKEN, f"cut: the RIFF ends at byte {max(end, self._riff + 8)}, the file at {size}"
        if size > self._riff + 8 + 1 or self._start + self._length > self._riff + 8:
            return Verdict.UNKNOWN, f"a RIFF of {self._riff + 8} bytes in a file of {size}"
        return self._plausible(duration)

    def _plausible(self, duration: timedelta | None) -> Judgement:
        """A pause makes a recording shorter than its duration says (not documented): unproven, then."""
        wanted = duration.total_seconds() if duration else 0
        if wanted > 0 and self._rate > 0:
            seconds = self._length / self._rate
            if abs(seconds - wanted) > max(2, wanted / 50):
                return Verdict.UNKNOWN, f"{seconds:.1f} s of audio, {wanted:.1f} s were recorded"
        return Verdict.WHOLE, "the RIFF ends where the file does"


class Mp3Walk:
    """Whole frames at the beginning, behind padding and tags; and at the very end, before tags.

    A file that was cut between two frames is whole by its structure: there is nothing in it that says otherwise.
    """

    def __init__(self, *, padding: int) -> None:
        self.wants: tuple[int, int] | None = (padding, 10)
        self._offset = padding
        self._rounds = 0
        self._first: frames.Frame | None = None
        self._count = 0

    def give(self, data: bytes) -> None:
        """See `Walk`."""
        self._rounds += 1
        length = self.wants[1] if self.wants else 0
        tag = frames.tag_length(data)
        padding = len(data) - len(data.lstrip(b"\0"))
        if self._rounds > _MOST_ROUNDS:
            self.wants = None
        elif tag or (padding and length > 10):
            self._offset += tag or padding
            self.wants = (self._offset, frames.WINDOW)
        elif length <= 10:
            self.wants = (self._offset, frames.WINDOW)
        else:
            self._count, _, self._first = frames.run(data, 0, most=frames.ENOUGH)
            self.wants = None

    def needs_tail(self, size: int) -> bool:
        """See `Walk`."""
        return self._first is not None and self._offset < size

    def judge(self, size: int, tail: bytes, duration: timedelta | None) -> Judgement:  # noqa: PLR0911 - one a reason
        """See `Walk`."""
        if self._offset >= size:
            return Verdict.BROKEN, f"cut: the tag or padding ends at byte {self._offset}, the file at {size}"
        if self._first is None:
            if self.wants is not None:
                return Verdict.UNKNOWN, "more tags than are looked at"
            return Verdict.BROKEN, f"no mp3 frame at byte {self._offset}"
        if not tail:
            return Verdict.UNKNOWN, "the end was not looked at"
        begins = size - len(tail)
        is_all = self._offset >= begins
        audio = frames.without_end_tags(tail[max(0, self._offset - begins) :])
        if audio is None:
            return Verdict.UNKNOWN, "a tag at the end that is longer than what is looked at"
        if not frames.ends_whole(audio, like=self._first, is_all=is_all):
            return _end_of(audio, like=self._first)
        if self._count < frames.ENOUGH and not is_all:
            return Verdict.BROKEN, "frames at the end, and none at the beginning"
        return self._plausible(size - self._offset, duration)

    def _plausible(self, size: int, duration: timedelta | None) -> Judgement:
        seconds = duration.total_seconds() if duration else 0
        expected = seconds * (self._first.kbits if self._first else 0) * 125
        if expected > 0 and not 1 / 8 <= size / expected <= 8:
            return Verdict.UNKNOWN, f"{size} bytes are not plausible for {seconds:.0f} s"
        return Verdict.WHOLE, "whole frames at both ends"


def _end_of(audio: bytes, *, like: frames.Frame) -> Judgement:
    """What is wrong with the end of an mp3 whose last bytes are not whole frames."""
    end = frames.last_run(audio, like=like)
    if end is None:
        return Verdict.BROKEN, "no whole frames at the end"
    rest = audio[end:]
    if len(rest) < 4 or frames.frame_at(rest, 0):
        return Verdict.BROKEN, "the last frame is cut"
    what = "padding" if not any(rest) else "something else"
    return Verdict.UNKNOWN, f"{len(rest)} bytes of {what} behind the last frame"
