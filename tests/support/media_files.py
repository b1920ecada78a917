"""Small real media: files whose structure is that of a recorder's, and whose payload is noise."""

from __future__ import annotations

import random
import struct

FRAME = b"\xff\xfb\x34\x00"  # MPEG 1 layer III, 48 kbit/s at 48 kHz: ACS's own rate
FRAME_BYTES = 144
WAV_RATE = 32_000  # bytes a second: 16 kHz, 16 bit, one channel


def noise(size: int, *, seed: int = 1) -> bytes:
    """Bytes in which no frame's header can be found."""
    return random.Random(seed).randbytes(size).replace(b"\xff", b"\x7f")  # noqa: S311 - bytes of a made-up file


def mp3(
    frames: int = 100, *, tag: bytes = b"ID3\x04\x00\x00\x00\x00\x00\x00", end: bytes = b"", seed: int = 1
) -> bytes:
    """So many frames of 144 bytes, behind `tag` and before `end`."""
    body = noise(frames * (FRAME_BYTES - 4), seed=seed)
    cut = (body[at : at + FRAME_BYTES - 4] for at in range(0, len(body), FRAME_BYTES - 4))
    return tag + b"".join(FRAME + part for part in cut) + end


def wav(audio: int = 32_000, *, riff: int | None = None, data: int | None = None, before: bytes = b"") -> bytes:
    """A RIFF of `audio` bytes. `riff` and `data`: sizes to claim instead; `before`: chunks before the data."""
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, WAV_RATE, 2, 16)
    body = b"WAVE" + form + before + b"data" + struct.pack("<I", audio if data is None else data) + noise(audio)
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def rf64(audio: int = 32_000, *, riff: int | None = None) -> bytes:
    """A wav in the form for more than 4 GiB."""
    plain = wav(audio, riff=0xFFFFFFFF, data=0xFFFFFFFF)
    sizes = struct.pack("<QQQI", len(plain) + 36 - 8 if riff is None else riff, audio, audio // 2, 0)
    return b"RF64" + plain[4:12] + b"ds64" + struct.pack("<I", 28) + sizes + plain[12:]


def box(kind: bytes, body: bytes = b"", *, is_long: bool = False, length: int | None = None) -> bytes:
    """One box. `length`: to claim instead."""
    size = len(body) + (16 if is_long else 8) if length is None else length
    head = struct.pack(">I", 1) + kind + struct.pack(">Q", size) if is_long else struct.pack(">I", size) + kind
    return head + body


FTYP = box(b"ftyp", b"isom\x00\x00\x02\x00isommp42")


def mp4(media: int = 50_000, *, is_long: bool = False) -> bytes:
    """ftyp, mdat, moov: as a recorder writes it."""
    return FTYP + box(b"mdat", noise(media), is_long=is_long) + box(b"moov", noise(300))


def fragmented(count: int = 5, *, has_index: bool = False, media: int = 2_000) -> bytes:
    """A fragmented mp4; with an index (mfra) at its end or not."""
    one = box(b"moof", noise(100)) + box(b"mdat", noise(media))
    body = FTYP + box(b"moov", noise(300)) + one * count
    inner = box(b"tfra", noise(60))
    index = box(b"mfra", inner + box(b"mfro", struct.pack(">II", 0, len(inner) + 24)))
    return body + (index if has_index else b"")
