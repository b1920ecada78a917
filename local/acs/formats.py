"""The shapes of the generated media: MP3, WAV and MP4 that a player opens and that differ in every cell.

Rates are those of the service's documentation: mp3 0.36 MB/min, wav 1.92 MB/min and channel, mp4 7.5 MB/min.

- mp3: MPEG-2 Layer III frames, 48 kbit/s, 16 kHz, mono: 216 bytes each. The side information is zero, so a frame
  decodes to silence and the rest of it is ancillary data: ours to fill. Shapes: `id3` (a tag before the frames),
  `bare` (frames from the first byte), `padded` (zeros before the frames).
- wav: 16-bit PCM at 16 kHz whose samples stay below 256: near silence. Shapes: `riff` (the sizes are right),
  `streamed-zero` and `streamed-max` (a writer that could not go back: both sizes are 0, or 0xFFFFFFFF).
- mp4: each sample is an H.264 picture of 64x48 uncompressed macroblocks (I_PCM) behind an SEI message that takes the
  stamp. All samples have one size. Shapes: `progressive` (ftyp, moov, mdat), `fragmented` (ftyp, moov, then a moof
  and an mdat for each picture), `segments` (styp, then the same fragments).

A file of any size is whole: frames, samples and boxes end with its last byte. What the size leaves over goes into the
head (the tag's padding, shorter frames, a JUNK chunk, a free box). Only files too small for one of each are cut.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# The stamp of a cell: the document's key, the tile's number, the cell's number in the tile; 7 bits a digit,
# written as 0x10-0x8F: never 00 (would need escaping in H.264), never FF (would look like an MP3 sync word).
KEY_DIGITS, TILE_DIGITS, CELL_DIGITS = 8, 4, 2

_SAMPLE_RATE = 16_000
_MP3_FRAME = 216
_MP3_UNIT = 36  # a frame of 8 kbit/s; one of n times that rate has n units
_MP3_PADDING = 4 * _MP3_FRAME
_ID3_TITLE = b"TIT2" + struct.pack(">IH", 24, 0) + b"\x00Emulated call recording"
_WAV_CELL = 256
_MP4_SAMPLE = 5_000
_MP4_WIDTH_BLOCKS, _MP4_HEIGHT_BLOCKS = 4, 3
_MP4_SAMPLE_MS = 40
_PCM_BLOCK = 384

BYTES_PER_SECOND = {"mp3": 6_000, "wav": 2 * _SAMPLE_RATE, "mp4": _MP4_SAMPLE * 1000 // _MP4_SAMPLE_MS}
# The first shape of each kind is the one that is made unless another is asked for.
SHAPES = {
    "mp3": ("id3", "bare", "padded"),
    "wav": ("riff", "streamed-zero", "streamed-max"),
    "mp4": ("progressive", "fragmented", "segments"),
}


@dataclass(frozen=True)
class MediaFormat:
    """One format: `head(size=, channels=)` makes the file's head, `tile` holds `cells` cells of `cell_size`."""

    content_type: str
    head: Callable[..., bytes]
    tile: bytes
    cell_size: int
    stamp_at: int
    stamp_step: int = 1

    @property
    def cells(self) -> int:
        """How many cells a tile has."""
        return len(self.tile) // self.cell_size


def bytes_per_second(kind: str, *, channels: int = 1) -> int:
    """The data rate of a kind of media, in bytes a second."""
    return BYTES_PER_SECOND[kind] * (channels if kind == "wav" else 1)


def digits(number: int, count: int) -> bytes:
    """`number` as `count` stamp digits, the lowest first."""
    return bytes(0x10 + (number >> 7 * place & 0x7F) for place in range(count))


@lru_cache(maxsize=16)
def media_format(kind: str, *, seed: int, shape: str = "") -> MediaFormat:
    """The format of `kind` in `shape` (empty: its first), with a tile drawn from `seed`. ValueError: there is none."""
    if kind not in SHAPES:
        raise ValueError(f"unknown media kind {kind!r}: {', '.join(SHAPES)}")
    shape = shape or SHAPES[kind][0]
    if shape not in SHAPES[kind]:
        raise ValueError(f"{kind} has no shape {shape!r}: {', '.join(SHAPES[kind])}")
    return {"mp3": _mp3, "wav": _wav, "mp4": _mp4}[kind](random.Random(f"{seed}/{kind}"), shape)


def _quiet_bytes(rng: random.Random, count: int) -> bytes:
    """Random bytes from 0x10 to 0x8F, the range the stamps keep to as well."""
    return rng.randbytes(count).translate(bytes(0x10 + (value & 0x7F) for value in range(256)))


def _numbered(tile: bytes, *, cell_size: int, stamp_at: int, stamp_step: int = 1) -> bytes:
    """The tile with each cell's own number in the last digits of its stamp."""
    numbered, cells = bytearray(tile), len(tile) // cell_size
    for place in range(CELL_DIGITS):
        at = stamp_at + (KEY_DIGITS + TILE_DIGITS + place) * stamp_step
        numbered[at::cell_size] = bytes(digits(cell, CELL_DIGITS)[place] for cell in range(cells))
    return bytes(numbered)


def _mp3(rng: random.Random, shape: str) -> MediaFormat:
    start = _mp3_frame(6)[:13]
    tile = b"".join(start + _quiet_bytes(rng, _MP3_FRAME - len(start)) for _ in range(4096))
    tile = _numbered(tile, cell_size=_MP3_FRAME, stamp_at=len(start))
    head = {"id3": _id3_head, "bare": _bare_head, "padded": _padded_head}[shape]
    return MediaFormat("audio/mpeg", head, tile, _MP3_FRAME, len(start))


def _mp3_frame(rate: int, *, is_padded: bool = False) -> bytes:
    """A silent frame of `rate` times 8 kbit/s (1 to 6): that many units long, and one byte more with padding."""
    header = bytes((0xFF, 0xF3, rate << 4 | 0x8 | is_padded << 1, 0xC0))
    return header.ljust(rate * _MP3_UNIT + is_padded, b"\x00")


def _id3_head(*, size: int, **_: int) -> bytes:
    shortest = 10 + len(_ID3_TITLE)
    if size >= shortest + _MP3_FRAME:
        return _id3_tag(shortest + (size - shortest) % _MP3_FRAME)
    if size >= 10 + _MP3_UNIT:
        return _id3_tag(size - _MP3_UNIT) + _mp3_frame(1)
    return _id3_tag(shortest)[:size]


def _id3_tag(length: int) -> bytes:
    """An ID3v2.3 tag of this length: a title, if there is room, and padding."""
    content = _ID3_TITLE if length - 10 >= len(_ID3_TITLE) else b""
    size = bytes((length - 10) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return (b"ID3\x03\x00\x00" + size + content).ljust(length, b"\x00")


def _bare_head(*, size: int, **_: int) -> bytes:
    """As many padded frames as `size` is over whole units, and a short one for the units over whole frames."""
    odd = size % _MP3_UNIT
    units = (size - odd * (_MP3_UNIT + 1)) // _MP3_UNIT
    if units < 0:
        return _mp3_frame(6)[:size]
    short = units % 6
    return _mp3_frame(1, is_padded=True) * odd + (_mp3_frame(short) if short else b"")


def _padded_head(*, size: int, **_: int) -> bytes:
    if size < _MP3_FRAME:
        return _mp3_frame(6)[:size]
    return bytes(size % _MP3_FRAME + (_MP3_PADDING if size >= _MP3_PADDING + _MP3_FRAME else 0))


def _wav(rng: random.Random, shape: str) -> MediaFormat:
    tile = bytearray(_WAV_CELL * 4096)
    tile[::2] = _quiet_bytes(rng, len(tile) // 2)
    numbered = _numbered(bytes(tile), cell_size=_WAV_CELL, stamp_at=0, stamp_step=2)
    head = partial(_wav_head, stated={"streamed-zero": 0, "streamed-max": 0xFFFFFFFF}.get(shape))
    return MediaFormat("audio/wav", head, numbered, _WAV_CELL, stamp_at=0, stamp_step=2)


def _wav_head(*, size: int, channels: int, stated: int | None) -> bytes:
    """`stated`: what both sizes say; None: the truth."""
    align = 2 * channels
    over = max(0, size - 44) % align
    # Samples of all channels are whole: the rest goes into a chunk that players skip. An odd byte cannot.
    junk = _chunk(b"JUNK", bytes((over - 8) % align)) if over and over % 2 == 0 and size >= 52 + align else b""
    data = max(0, size - 44 - len(junk))
    form = struct.pack("<HHIIHH", 1, channels, _SAMPLE_RATE, _SAMPLE_RATE * align, align, 16)
    riff = struct.pack("<4sI4s", b"RIFF", data + len(junk) + 36 if stated is None else stated, b"WAVE")
    opened = struct.pack("<4sI", b"data", data if stated is None else stated)
    return (riff + _chunk(b"fmt ", form) + junk + opened)[:size]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content


def _mp4(rng: random.Random, shape: str) -> MediaFormat:
    # In the SEI message: length (4), NAL type, payload type, payload size (2), UUID (16); then ours.
    stamp_at = 4 + 1 + 1 + 2 + 16
    pictures = [_picture(rng, idr_pic_id=cell % 2) for cell in range(210)]
    if shape == "progressive":
        tile = _numbered(b"".join(pictures), cell_size=_MP4_SAMPLE, stamp_at=stamp_at)
        return MediaFormat("video/mp4", _mp4_head, tile, _MP4_SAMPLE, stamp_at)
    fragments = [_moof(number) + _box(b"mdat", picture) for number, picture in enumerate(pictures, 1)]
    cell_size = len(fragments[0])
    stamp_at += cell_size - _MP4_SAMPLE
    tile = _numbered(b"".join(fragments), cell_size=cell_size, stamp_at=stamp_at)
    head = partial(_fragments_head, cell_size=cell_size, is_segment=shape == "segments")
    return MediaFormat("video/mp4", head, tile, cell_size, stamp_at)


class _Bits:
    """A writer of H.264's bit strings."""

    def __init__(self) -> None:
        self._text = ""

    def fixed(self, value: int, width: int) -> _Bits:
        """`value` in `width` bits."""
        self._text += f"{value:0{width}b}"
        return self

    def golomb(self, *values: int) -> _Bits:
        """Unsigned Exp-Golomb codes, ue(v)."""
        for value in values:
            code = f"{value + 1:b}"
            self._text += "0" * (len(code) - 1) + code
        return self

    def aligned(self, *, stop_bit: bool = False) -> bytes:
        """All bits so far, filled up to whole bytes; with the trailing stop bit where asked."""
        text = self._text + ("1" if stop_bit else "")
        text += "0" * (-len(text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def _picture(rng: random.Random, *, idr_pic_id: int) -> bytes:
    """One MP4 sample: an SEI message and an IDR picture; neighbours must differ in `idr_pic_id`."""
    # first_mb 0, slice type I (7), picture parameter set 0, frame number 0, idr_pic_id, no marking flags,
    # no change of QP; then the first macroblock's type, I_PCM (25).
    head = _Bits().golomb(0, 7, 0).fixed(0, 4).golomb(idr_pic_id).fixed(0, 2).golomb(0, 25).aligned()
    block = _Bits().golomb(25).aligned()
    blocks = [_quiet_bytes(rng, _PCM_BLOCK) for _ in range(_MP4_WIDTH_BLOCKS * _MP4_HEIGHT_BLOCKS)]
    picture = b"\x65" + head + block.join(blocks) + b"\x80"
    room = _MP4_SAMPLE - 8 - len(picture)
    payload = _quiet_bytes(rng, room - 5)
    message = bytes((6, 5, 255, len(payload) - 255)) + payload + b"\x80"
    return struct.pack(">I", len(message)) + message + struct.pack(">I", len(picture)) + picture


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, name) + content


def _ftyp(name: bytes = b"ftyp") -> bytes:
    return _box(name, b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")


def _mp4_head(*, size: int, **_: int) -> bytes:
    kind = _ftyp()
    empty = len(kind + _moov(samples=0, at=0)) + 16
    if size < empty:
        return _small(kind, size)
    samples = (size - empty) // _MP4_SAMPLE
    # The 64-bit form of mdat's size, always, so that the head's length does not depend on the recording's.
    return kind + _moov(samples=samples, at=empty) + struct.pack(">I4sQ", 1, b"mdat", size - empty + 16)


def _fragments_head(*, size: int, cell_size: int, is_segment: bool, **_: int) -> bytes:
    head = _ftyp(b"styp") if is_segment else _ftyp() + _moov(samples=0, at=0, is_fragmented=True)
    over = (size - len(head)) % cell_size
    if 0 < over < 8:
        over += cell_size
    if size < len(head) + over:
        return _small(_ftyp(), size)
    return head + _box(b"free", bytes(over - 8)) if over else head


def _small(kind: bytes, size: int) -> bytes:
    """A file that has no room for an index: its type and a free box."""
    room = size - len(kind) - 8
    return kind[:size] if room < 0 else kind + _box(b"free", bytes(room))


def _moof(number: int) -> bytes:
    """The index of a fragment of one picture, whose mdat follows."""

    def box(offset: int) -> bytes:
        # The track's data begin relative to this box; each sample has its duration and size here.
        run = struct.pack(">5I", 0x301, 1, offset, _MP4_SAMPLE_MS, _MP4_SAMPLE)
        track = _box(b"traf", _box(b"tfhd", struct.pack(">II", 0x020000, 1)), _box(b"trun", run))
        return _box(b"moof", _box(b"mfhd", struct.pack(">II", 0, number)), track)

    return box(len(box(0)) + 8)


def _moov(*, samples: int, at: int, is_fragmented: bool = False) -> bytes:
    """The index: `samples` pictures of one size in one run that starts at file offset `at`, or those of fragments."""
    runs = 0 if is_fragmented else 1
    width, height = _MP4_WIDTH_BLOCKS * 16, _MP4_HEIGHT_BLOCKS * 16
    length = samples * _MP4_SAMPLE_MS
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mvhd = struct.pack(">5IIH10x", 0, 0, 0, 1000, length, 0x10000, 0x100) + matrix + bytes(24)
    mvhd += struct.pack(">I", 2)
    tkhd = struct.pack(">6I8xHHHH", 3, 0, 0, 1, 0, length, 0, 0, 0, 0) + matrix
    tkhd += struct.pack(">II", width << 16, height << 16)
    sample = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1)
    table = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">II", 0, 1), _box(b"avc1", sample, _box(b"avcC", _decoder_settings()))),
        _box(b"stts", struct.pack(">II", 0, runs), runs * struct.pack(">II", samples, _MP4_SAMPLE_MS)),
        _box(b"stsc", struct.pack(">II", 0, runs), runs * struct.pack(">III", 1, max(1, samples), 1)),
        _box(b"stsz", struct.pack(">3I", 0, runs * _MP4_SAMPLE, samples)),
        _box(b"stco", struct.pack(">II", 0, runs), runs * struct.pack(">I", at)),
    )
    here = _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1), _box(b"url ", struct.pack(">I", 1))))
    media = _box(
        b"mdia",
        _box(b"mdhd", struct.pack(">5IHH", 0, 0, 0, 1000, length, 0x55C4, 0)),
        _box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"video\x00"),
        _box(b"minf", _box(b"vmhd", struct.pack(">I8x", 1)), here, table),
    )
    extended = _box(b"mvex", _box(b"trex", struct.pack(">6I", 0, 1, 1, _MP4_SAMPLE_MS, _MP4_SAMPLE, 0)))
    track = _box(b"trak", _box(b"tkhd", tkhd), media)
    return _box(b"moov", _box(b"mvhd", mvhd), track, extended if is_fragmented else b"")


def _decoder_settings() -> bytes:
    """The avcC record: baseline profile, level 3, one sequence and one picture parameter set."""
    sequence = _Bits().fixed(0x67_42_C0_1E, 32).golomb(0, 0, 2, 1).fixed(0, 1)
    sequence.golomb(_MP4_WIDTH_BLOCKS - 1, _MP4_HEIGHT_BLOCKS - 1).fixed(0b1100, 4)
    picture = _Bits().fixed(0x68, 8).golomb(0, 0).fixed(0, 2).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0, 0)
    sps, pps = sequence.aligned(stop_bit=True), picture.fixed(0, 3).aligned(stop_bit=True)
    lengths = struct.pack(">BBBBBBH", 1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, len(sps))
    return lengths + sps + struct.pack(">BH", 1, len(pps)) + pps
