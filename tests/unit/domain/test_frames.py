"""MP3 headers, against the tables of ISO/IEC 11172-3 and 13818-3; the length of a tag in front."""

from __future__ import annotations

import pytest

from shared.domain.frames import Frame, ends_whole, frame_at, run, tag_length

MPEG_1, MPEG_2, MPEG_25 = 3, 2, 0
LOW = [*range(8, 65, 8), *range(80, 161, 16)]
KBITS = {MPEG_1: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320], MPEG_2: LOW, MPEG_25: LOW}
RATES = {MPEG_1: [44_100, 48_000, 32_000], MPEG_2: [22_050, 24_000, 16_000], MPEG_25: [11_025, 12_000, 8_000]}


def header(version: int, bits: int, rate: int, *, padding: int = 0, second: int = 0xE2) -> bytes:
    return bytes([0xFF, second | version << 3 | 1, bits << 4 | rate << 2 | padding << 1, 0])


@pytest.mark.parametrize("version", KBITS)
def test_each_header_says_the_rates_and_the_length_of_the_standard(version: int) -> None:
    samples = 1152 if version == MPEG_1 else 576
    for bits, kbits in enumerate(KBITS[version], 1):
        for rate, hertz in enumerate(RATES[version]):
            length = samples * kbits * 125 // hertz
            assert frame_at(header(version, bits, rate), 0) == Frame(length, version, hertz, kbits)
            assert frame_at(b"." + header(version, bits, rate, padding=1), 1) == Frame(
                length + 1, version, hertz, kbits
            )


@pytest.mark.parametrize(
    "data",
    [
        header(1, 5, 0),  # a reserved version
        header(MPEG_1, 0, 0),  # a free bit rate
        header(MPEG_1, 15, 0),
        header(MPEG_1, 5, 3),
        header(MPEG_1, 5, 0, second=0xE4),  # layer II
        header(MPEG_1, 5, 0)[:3],
    ],
)
def test_what_is_no_header_of_layer_iii_is_none(data: bytes) -> None:
    assert frame_at(data, 0) is None
    assert frame_at(header(MPEG_1, 5, 0) + data, -len(data)) is None


def test_a_run_ends_where_a_frame_is_of_another_stream_or_not_whole() -> None:
    frame = header(MPEG_2, 8, 1).ljust(192, b"\0")
    other = header(MPEG_2, 8, 0).ljust(208, b"\0")
    first = frame_at(frame, 0)
    assert first is not None
    assert run(frame * 3 + other, 0) == (3, 576, first)
    assert run(frame * 3, 0, most=2) == (2, 384, first)
    assert run(frame * 2 + frame[:-1], 0) == (2, 384, first)
    for count, is_all, is_whole in ((3, False, True), (2, False, False), (2, True, True)):
        assert ends_whole(frame * count, like=first, is_all=is_all) is is_whole
    assert not ends_whole(b"." + frame * 2, like=first, is_all=True)


@pytest.mark.parametrize(("flags", "length"), [(0, 10 + 128 + 5), (0x10, 20 + 128 + 5), (0x80, 10 + 128 + 5)])
def test_a_tag_says_its_length_in_seven_bits_a_byte_and_whether_it_has_a_footer(flags: int, length: int) -> None:
    assert tag_length(b"ID3\x04\0" + bytes([flags]) + b"\0\0\1\5") == length
    assert tag_length(b"ID3\x04\0" + bytes([flags]) + b"\0\0\1") == 0
