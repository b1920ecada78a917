"""MP3 frames (MPEG audio, layer III) and the tags around them: what a header says, and chains of whole frames.

A frame's header gives its length, so frames form a chain; a chain of three is no accident (ISO/IEC 11172-3 and
13818-3). All searches look at each position of a window once or a few times: time in proportion to the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

_KBITS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_KBITS[0] = _KBITS[2]  # MPEG 2.5 has the bit rates of MPEG 2
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_HEADER = 4
# So many frames in a row show that this is audio and not a chance of bits.
ENOUGH = 3
# Three frames and a header: the longest frame has 1441 bytes (320 kbit/s at 32 kHz, or 160 at 8).
WINDOW = 8192
_MOST_TAGS = 4


@dataclass(frozen=True)
class Frame:
    """What a header says: the frame's `length` in bytes, its MPEG `version` and sample `rate`, and `kbits` a second."""

    length: int
    version: int
    rate: int
    kbits: int

    def is_like(self, other: Frame) -> bool:
        """Whether both can be of one stream."""
        return (self.version, self.rate) == (other.version, other.rate)


def frame_at(data: bytes, at: int) -> Frame | None:
    """The frame whose header begins at `at`, or None where there is no plausible header of layer III."""
    if at < 0 or at + _HEADER > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, third = (data[at + 1] >> 3) & 3, data[at + 2]
    bits, rate = third >> 4, (third >> 2) & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    kbits, hertz = _KBITS[version][bits], _RATES[version][rate]
    length = (144 if version == 3 else 72) * kbits * 1000 // hertz + ((third >> 1) & 1)
    return Frame(length, version, hertz, kbits)


def run(data: bytes, at: int, *, most: int | None = None) -> tuple[int, int, Frame | None]:
    """Whole frames of one stream from `at` on: how many (`most` at the most), where they end, and the first one."""
    first = found = frame_at(data, at)
    count = 0
    while found is not None and first is not None and found.is_like(first) and at + found.length <= len(data):
        count += 1
        at += found.length
        if count == most:
            break
        found = frame_at(data, at)
    return count, at, first


def tag_length(data: bytes) -> int:
    """The length of the ID3v2 tag that `data` begins with; 0 where it begins with none."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)


def without_end_tags(tail: bytes) -> bytes | None:
    """`tail` (the last bytes of a file) without ID3v1 and APE tags; None where a tag is longer than `tail`."""
    for _ in range(_MOST_TAGS):
        if tail[-128:-125] == b"TAG":
            tail = tail[:-128]
        elif tail[-32:-24] == b"APETAGEX":
            length = int.from_bytes(tail[-20:-16], "little") + (32 if tail[-9] & 0x80 else 0)
            if not 32 <= length <= len(tail):
                return None
            tail = tail[:-length]
        else:
            break
    return tail


def ends_whole(tail: bytes, *, like: Frame, is_all: bool) -> bool:
    """Whether whole frames end exactly where `tail` does: three in a row, or (`is_all`: the audio is no longer) all."""
    chains = {len(tail): 0}
    at = tail.rfind(b"\xff")
    while at >= 0:
        found = frame_at(tail, at)
        if found is not None and found.is_like(like) and at + found.length in chains:
            chains[at] = chains[at + found.length] + 1
            if chains[at] >= ENOUGH or (is_all and at == 0):
                return True
        at = tail.rfind(b"\xff", 0, at)
    return False


def last_run(tail: bytes, *, like: Frame) -> int | None:
    """Where in `tail` the last run of at least three whole frames ends; None where there is no such run."""
    end = None
    at = tail.find(b"\xff")
    while at >= 0:
        found = frame_at(tail, at)
        following = at + 1
        if found is not None and found.is_like(like):
            count, reached, _ = run(tail, at)
            if count >= ENOUGH:
                end = following = reached
            elif count:
                following = at + 1
        at = tail.find(b"\xff", following)
    return end
