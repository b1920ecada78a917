"""The generated media: real formats, every part reachable, no two blocks alike."""

from __future__ import annotations

import hashlib
import io
import struct
import wave

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.acs.formats import SHAPES
from local.acs.media import MAX_SIZE, Media, MediaStream

KINDS = tuple(SHAPES)


def media(kind: str, size: int, *, seed: int = 1, document: str = "doc", channels: int = 1, shape: str = "") -> Media:
    return Media(kind, size, seed, document, channels, shape)


def whole(kind: str, size: int, shape: str = "", channels: int = 1) -> bytes:
    return media(kind, size, shape=shape, channels=channels).read(0, MAX_SIZE)


def test_a_wav_opens_in_a_parser_with_its_length_and_channels() -> None:
    made = media("wav", 44 + 5 * 32_000 * 3, channels=5)
    with wave.open(io.BytesIO(made.read(0, made.size))) as opened:
        assert opened.getnchannels() == 5
        assert opened.getframerate() == 16_000
        assert opened.getsampwidth() == 2
        assert opened.getnframes() == 3 * 16_000
        samples = opened.readframes(1000)
    assert max(abs(value) for (value,) in struct.iter_unpack("<h", samples)) < 256, "near silence"


def riff(data: bytes) -> tuple[int, int, int]:
    """The sizes that RIFF and data state, and where the samples begin."""
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
    at = 12
    while data[at : at + 4] != b"data":
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return int.from_bytes(data[4:8], "little"), int.from_bytes(data[at + 4 : at + 8], "little"), at + 8


@settings(max_examples=60, deadline=None)
@given(size=st.integers(64, 3_000), channels=st.integers(1, 5))
def test_the_sizes_of_a_wav_add_up(size: int, channels: int) -> None:
    data = whole("wav", size, channels=channels)
    stated, samples, start = riff(data)
    assert (len(data), stated + 8, start + samples) == (size, size, size)
    if size % 2 == 0:
        assert samples % (2 * channels) == 0, "samples of all channels"


@pytest.mark.parametrize(("shape", "stated"), [("streamed-zero", 0), ("streamed-max", 0xFFFFFFFF)])
def test_a_streamed_wav_does_not_know_its_sizes(shape: str, stated: int) -> None:
    assert riff(whole("wav", 20_000, shape)) == (stated, stated, 44)
    assert whole("wav", 20_000, shape)[44:] == whole("wav", 20_000)[44:]


# Bits a frame of MPEG-2 Layer III may have in a second, in kbit/s, by the header's index (ISO 13818-3).
RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def frames(data: bytes, at: int) -> int:
    """How many frames follow each other from `at` to the very end."""
    count = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], "big")
        assert head >> 21 == 0x7FF, f"sync word at {at} of {len(data)}"
        assert head >> 17 & 0xF == 0b1001, "MPEG-2, Layer III"
        assert head >> 10 & 0x3 == 2, "16 kHz"
        at += 72 * RATES[head >> 12 & 0xF] * 1000 // 16_000 + (head >> 9 & 1)
        count += 1
    assert at == len(data), "the last frame is whole"
    return count


@settings(max_examples=150, deadline=None)
@given(size=st.integers(46, 9_000))
@example(44 + 216 * 10_000)
def test_an_mp3_is_a_tag_and_then_whole_frames_to_the_end(size: int) -> None:
    data = whole("mp3", size)
    start = 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    assert data[:3] == b"ID3"
    assert frames(data, start) == max(1, (size - 44) // 216)


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1_296, 9_000))
@example(1_000_003)
def test_a_bare_mp3_is_frames_from_the_first_byte_to_the_last(size: int) -> None:
    assert frames(whole("mp3", size, "bare"), 0) >= size // 216


@settings(max_examples=60, deadline=None)
@given(size=st.integers(216, 9_000))
def test_an_mp3_may_begin_with_padding(size: int) -> None:
    data = whole("mp3", size, "padded")
    assert frames(data, len(data) - len(data.lstrip(b"\x00"))) >= 1
    if size >= 5 * 216:
        assert data.startswith(bytes(4 * 216))


def boxes(data: bytes, start: int, stop: int) -> dict[str, tuple[int, int]]:
    """The boxes between two offsets: name → span of the content of the last of this name."""
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


@settings(max_examples=150, deadline=None)
@given(size=st.integers(40, 30_000), shape=st.sampled_from(SHAPES["mp4"]))
def test_the_boxes_of_an_mp4_add_up_to_the_file(size: int, shape: str) -> None:
    data = whole("mp4", size, shape)
    assert len(data) == size
    assert next(iter(boxes(data, 0, size))) in {"ftyp", "styp"}


@pytest.mark.parametrize("size", [40_000, 40_001, 45_103, 1_200_000])
@pytest.mark.parametrize(("shape", "first"), [("fragmented", ["ftyp", "moov"]), ("segments", ["styp"])])
def test_a_fragmented_mp4_has_a_picture_in_each_fragment(shape: str, first: list[str], size: int) -> None:
    data = whole("mp4", size, shape)
    top = boxes(data, 0, size)
    assert [name for name in top if name != "free"] == [*first, "moof", "mdat"]
    start, stop = top["mdat"]
    assert (stop, stop - start) == (size, 5_000)
    track = boxes(data, *boxes(data, *top["moof"])["traf"])
    flags, count, offset, duration, length = struct.unpack_from(">5I", data, track["trun"][0])
    assert (flags, count, duration, length) == (0x301, 1, 40, 5_000)
    assert top["moof"][0] - 8 + offset == start, "the sample is the mdat that follows"
    if shape == "fragmented":
        assert "mvex" in boxes(data, *top["moov"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_blocks_of_a_recording_are_alike(kind: str) -> None:
    made = media(kind, 40_000_000)
    sums = {hashlib.sha256(made.read(at, 16_384)).digest() for at in range(0, made.size, 16_384)}
    assert len(sums) == -(-made.size // 16_384)


def test_seed_and_document_decide_the_bytes() -> None:
    """Two documents share no block."""
    assert media("mp3", 100_000).sha256 == media("mp3", 100_000).sha256
    assert media("mp3", 100_000).sha256 != media("mp3", 100_000, seed=2).sha256
    for kind in KINDS:
        one, other = (media(kind, 3_000_000, document=name) for name in ("a", "b"))
        assert all(one.read(at, 5_000) != other.read(at, 5_000) for at in range(0, one.size, 5_000))


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from([(kind, shape) for kind, shapes in SHAPES.items() for shape in shapes]),
    size=st.integers(0, 2_500_000),
    start=st.integers(0, 2_600_000),
    length=st.integers(0, 1_200_000),
)
def test_every_part_equals_that_part_of_the_whole(form: tuple[str, str], size: int, start: int, length: int) -> None:
    made = media(form[0], size, shape=form[1])
    data = b"".join(made.blocks())
    assert len(data) == size
    assert made.read(start, length) == data[start : start + length]


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_the_largest_recording_is_as_near_as_its_beginning(kind: str) -> None:
    made = media(kind, MAX_SIZE)
    assert len(made.read(MAX_SIZE - 10, 100)) == 10
    assert len(made.read(3 * 1024**3, 1_000_000)) == 1_000_000


def test_the_stream_reads_seeks_and_tells_like_a_file() -> None:
    made = media("mp3", 50_000)
    with MediaStream(made) as stream:
        assert stream.readable()
        assert stream.seekable()
        assert stream.read(10) == made.read(0, 10)
        assert stream.seek(-5, io.SEEK_END) == 49_995
        assert stream.read() == made.read(49_995, 5)
        assert stream.read() == b""
        assert stream.tell() == 50_000


@pytest.mark.parametrize(
    ("kind", "size", "shape"), [("ogg", 1, ""), ("mp3", -1, ""), ("mp3", MAX_SIZE + 1, ""), ("mp3", 1, "fragmented")]
)
def test_what_cannot_be_made_is_refused_at_once(kind: str, size: int, shape: str) -> None:
    with pytest.raises(ValueError, match=r"kind|size|shape"):
        media(kind, size, shape=shape)
