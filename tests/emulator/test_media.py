"""The generated media: real formats, every part reachable, no two blocks alike."""

from __future__ import annotations

import hashlib
import io
import struct
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.acs.media import MAX_SIZE, Media

KINDS = ("mp3", "wav", "mp4")


def media(kind: str, size: int, *, seed: int = 1, document: str = "doc", channels: int = 1) -> Media:
    return Media(kind, size, seed, document, channels)


def test_a_wav_opens_in_a_parser_with_its_length_and_channels() -> None:
    made = media("wav", 44 + 5 * 32_000 * 3, channels=5)
    with wave.open(io.BytesIO(made.read(0, made.size))) as opened:
        assert opened.getnchannels() == 5
        assert opened.getframerate() == 16_000
        assert opened.getsampwidth() == 2
        assert opened.getnframes() == 3 * 16_000
        samples = opened.readframes(1000)
    assert max(abs(value) for (value,) in struct.iter_unpack("<h", samples)) < 256, "near silence"


def test_an_mp3_is_a_tag_and_then_whole_frames_to_the_end() -> None:
    data = media("mp3", 44 + 216 * 10_000).read(0, MAX_SIZE)
    tag_size = int.from_bytes(bytes(data[6:10]), "big") + 10
    assert data[:3] == b"ID3"
    frames = 0
    for at in range(tag_size, len(data), 216):
        head = int.from_bytes(data[at : at + 4], "big")
        assert head >> 21 == 0x7FF, "sync word"
        assert head >> 12 & 0xF == 6, "48 kbit/s in MPEG-2 Layer III"
        assert head >> 10 & 0x3 == 2, "16 kHz"
        frames += 1
    assert frames == 10_000
    assert b"\xff" not in data[tag_size + 4 : tag_size + 216], "no false sync word inside a frame"


def boxes(data: bytes, start: int, stop: int) -> dict[str, tuple[int, int]]:
    """The boxes between two offsets: name → span of the content."""
    found = {}
    while start < stop:
        size, head = int.from_bytes(data[start : start + 4], "big"), 8
        name = data[start + 4 : start + 8].decode()
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        assert size >= head
        found[name] = (start + head, start + size)
        start += size
    assert start == stop, "boxes fill their parent"
    return found


def test_an_mp4_has_boxes_that_fit_and_pictures_where_its_index_says() -> None:
    data = media("mp4", 1_234_567).read(0, MAX_SIZE)
    top = boxes(data, 0, len(data))
    assert list(top) == ["ftyp", "moov", "mdat"]
    span = top["moov"]
    for name in ("trak", "mdia", "minf", "stbl"):
        span = boxes(data, *span)[name]
    table = boxes(data, *span)
    (size, count) = struct.unpack_from(">II", data, table["stsz"][0] + 4)
    (first,) = struct.unpack_from(">I", data, table["stco"][0] + 8)
    assert first == top["mdat"][0]
    assert count == (len(data) - first) // size
    for number in range(count):
        picture = data[first + number * size : first + (number + 1) * size]
        at, types = 0, []
        while at < size:
            length = int.from_bytes(picture[at : at + 4], "big")
            unit = picture[at + 4 : at + 4 + length]
            types.append(unit[0] & 0x1F)
            assert b"\0\0\0" not in unit
            assert b"\0\0\1" not in unit, "no start code inside a unit"
            at += 4 + length
        assert at == size
        assert types == [6, 5], "an SEI message, then an IDR picture"


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_blocks_of_a_recording_are_alike(kind: str) -> None:
    made = media(kind, 40_000_000)
    sums = {hashlib.sha256(made.read(at, 16_384)).digest() for at in range(0, made.size, 16_384)}
    assert len(sums) == -(-made.size // 16_384)


@pytest.mark.parametrize("kind", KINDS)
def test_two_documents_share_no_block(kind: str) -> None:
    one, other = (media(kind, 3_000_000, document=name) for name in ("a", "b"))
    assert all(one.read(at, 5_000) != other.read(at, 5_000) for at in range(0, one.size, 5_000))


def test_seed_and_document_decide_the_bytes() -> None:
    assert media("mp3", 100_000).sha256 == media("mp3", 100_000).sha256
    assert media("mp3", 100_000).sha256 != media("mp3", 100_000, seed=2).sha256


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    size=st.integers(0, 2_500_000),
    start=st.integers(0, 2_600_000),
    length=st.integers(0, 1_200_000),
)
def test_every_part_equals_that_part_of_the_whole(kind: str, size: int, start: int, length: int) -> None:
    made = media(kind, size)
    whole = b"".join(made.blocks())
    assert len(whole) == size
    assert made.read(start, length) == whole[start : start + length]


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_the_largest_recording_is_as_near_as_its_beginning(kind: str) -> None:
    made = media(kind, MAX_SIZE)
    assert len(made.read(MAX_SIZE - 10, 100)) == 10
    assert len(made.read(3 * 1024**3, 1_000_000)) == 1_000_000


def test_the_stream_reads_seeks_and_tells_like_a_file() -> None:
    made = media("mp3", 50_000)
    with made.open() as stream:
        assert stream.readable()
        assert stream.seekable()
        assert stream.read(10) == made.read(0, 10)
        assert stream.seek(-5, io.SEEK_END) == 49_995
        assert stream.read() == made.read(49_995, 5)
        assert stream.read() == b""
        assert stream.tell() == 50_000


@pytest.mark.parametrize(("kind", "size"), [("ogg", 1), ("mp3", -1), ("mp3", MAX_SIZE + 1)])
def test_what_cannot_be_made_is_refused_at_once(kind: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"kind|size"):
        media(kind, size)
