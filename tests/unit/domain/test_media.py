"""Formats by their bytes, and whether a file is whole: by a few reads and by a stream, with one verdict."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.media import Checked, Proof, StructureCheck, Verdict, check, is_page, sniff
from tests.support import media_files as made

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
WHOLE, BROKEN, UNKNOWN = Verdict.WHOLE, Verdict.BROKEN, Verdict.UNKNOWN
ID3V1 = b"TAG".ljust(128, b"x")


def ape(items: bytes) -> bytes:
    """An APE tag with a header and a footer."""
    head = b"APETAGEX" + (2000).to_bytes(4, "little") + (len(items) + 32).to_bytes(4, "little") + b"\1\0\0\0"
    return head + b"\0\0\0\xa0" + bytes(8) + items + head + b"\0\0\0\x80" + bytes(8)


def by_reads(data: bytes, *, first: bytes | None = None, duration: timedelta | None = None, most: int = 8) -> Checked:
    """What a few reads say; no more of them than allowed, and none outside the file."""
    asked = []

    def read(start: int, length: int) -> bytes:
        assert 0 <= start < len(data)
        assert 0 < length <= len(data) - start
        asked.append(length)
        return data[start : start + length]

    found = check(read, size=len(data), first=first, duration=duration, most_reads=most)
    assert len(asked) <= most
    assert sum(asked) <= 400_000
    return found


def by_stream(data: bytes, *, piece: int, duration: timedelta | None = None) -> Checked:
    found = StructureCheck(duration=duration)
    for at in range(0, len(data), piece):
        found.update(data[at : at + piece])
    return found.verdict(len(data))


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (made.mp3(), "mp3"),
        (made.mp3(tag=b""), "mp3"),
        (made.mp3(tag=bytes(5_000)), "mp3"),
        (made.mp3(tag=bytes(700) + b"ID3\x03\0\0\0\0\0\0"), "mp3"),
        (b"\xff\xe3\x18\xc4", "mp3"),  # MPEG 2.5
        (made.wav(), "wav"),
        (made.rf64(), "wav"),
        (made.mp4(), "mp4"),
        (made.box(b"styp", b"msdh"), "mp4"),
        (made.box(b"moof"), "mp4"),
        (made.box(b"moov"), "mp4"),
        (b"", None),
        (b"\xff", None),
        (b"\xff\xfb", None),
        (bytes(5_000), None),
        (b"RIFF\x24\0\0\0AVI ", None),
        (b"OggS", None),
        (b"\xff\xf1\x50\x80", None),  # AAC
        (b"\xff\xd8\xff\xe0", None),  # JPEG
        ("{}".encode("utf-16"), None),
        (b"\xff\xff\xff\xff", None),
        (b"<html>", None),
    ],
)
def test_a_format_is_known_by_its_bytes(first: bytes, expected: str | None) -> None:
    assert sniff(first) == expected


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"<!DOCTYPE html><html>", True),
        (b"\xef\xbb\xbf \r\n<HTML>", True),
        (b"<?xml version='1.0'?>", True),
        (b"<Error><Code>x</Code></Error>", True),
        (b'{"error": "no"}', True),
        (b"[]", True),
        (b" " * 100_000 + b"<html>", True),
        ('{"error": "nein"}'.encode("utf-16"), True),
        (b"", False),
        (b"{\x00\x01\x02binary", False),
        (b"[\xff\xfb\x90\x00", False),
        (b"<3 plain text", False),
        (made.mp4(), False),
        (made.wav(), False),
    ],
)
def test_a_page_is_told_from_unknown_bytes(first: bytes, *, expected: bool) -> None:
    assert is_page(first) is expected


def test_proofs_have_an_order() -> None:
    assert [proof.at_least(Proof.LENGTH) for proof in Proof] == [False, False, True, True]
    assert list(Proof) == ["none", "structure", "length", "digest"]


FILES: list[tuple[str, bytes, Verdict, str | None]] = [
    ("mp3", made.mp3(), WHOLE, "mp3"),
    ("mp3 large", made.mp3(3_000), WHOLE, "mp3"),
    ("mp3 without a tag", made.mp3(tag=b""), WHOLE, "mp3"),
    ("mp3 behind padding", made.mp3(tag=bytes(9_000)), WHOLE, "mp3"),
    ("mp3 behind a large tag", made.mp3(tag=b"ID3\x04\0\0\0\x06\x00\x00" + bytes(98_304)), WHOLE, "mp3"),
    ("mp3 with padding behind its tag", made.mp3(tag=b"ID3\x04\0\0\0\0\0\0" + bytes(20_000)), WHOLE, "mp3"),
    ("mp3 with ID3v1", made.mp3(1_000, end=ID3V1), WHOLE, "mp3"),
    ("mp3 with APE", made.mp3(1_000, end=ape(b"y" * 500)), WHOLE, "mp3"),
    ("mp3 with APE and ID3v1", made.mp3(1_000, end=ape(b"y" * 500) + ID3V1), WHOLE, "mp3"),
    ("mp3 of one frame", made.mp3(1), WHOLE, "mp3"),
    ("mp3 of two frames", made.mp3(2), WHOLE, "mp3"),
    ("mp3 cut at a frame", made.mp3(3_000)[: 10 + 2_000 * made.FRAME_BYTES], WHOLE, "mp3"),
    ("mp3 cut in a frame", made.mp3(3_000)[:-50], BROKEN, "mp3"),
    ("mp3 cut in a frame's header", made.mp3(3_000)[:-141], BROKEN, "mp3"),
    ("mp3 of half a frame", made.mp3(1)[:-70], BROKEN, "mp3"),
    ("mp3 with a tag and no more", made.mp3(0), BROKEN, "mp3"),
    ("mp3 with a tag that is cut", b"ID3\x04\0\0\0\x06\x00\x00" + bytes(50_000), BROKEN, "mp3"),
    ("mp3 tag before noise", made.mp3(0, end=made.noise(200_000)), BROKEN, "mp3"),
    ("mp3 that ends in noise", made.mp3(1_000, end=made.noise(100_000)), BROKEN, "mp3"),
    ("mp3 that ends in zeros", made.mp3(1_000, end=bytes(100_000)), BROKEN, "mp3"),
    ("mp3 with a little padding at its end", made.mp3(1_000, end=bytes(500)), UNKNOWN, "mp3"),
    ("mp3 with a strange tag at its end", made.mp3(1_000, end=b"LYRICSBEGIN" * 20), UNKNOWN, "mp3"),
    ("mp3 with a huge APE tag", made.mp3(1_000, end=ape(b"y" * 90_000)), UNKNOWN, "mp3"),
    ("wav", made.wav(), WHOLE, "wav"),
    ("wav of odd length", made.wav(31_999), WHOLE, "wav"),
    ("wav with chunks before the data", made.wav(before=b"LIST\x10\0\0\0" + bytes(16)), WHOLE, "wav"),
    ("wav with a large chunk before", made.wav(before=b"JUNK\x00\x00\x02\0" + bytes(131_072)), WHOLE, "wav"),
    ("wav with a chunk behind", made.wav(riff=32_036 + 24) + b"LIST\x10\0\0\0" + bytes(16), WHOLE, "wav"),
    ("wav RF64", made.rf64(), WHOLE, "wav"),
    ("wav RF64 cut", made.rf64()[:-1000], BROKEN, "wav"),
    ("wav RF64 streamed", made.rf64(riff=0), UNKNOWN, "wav"),
    ("wav streamed with zeros", made.wav(riff=0, data=0), UNKNOWN, "wav"),
    ("wav streamed", made.wav(riff=0xFFFFFFFF, data=0xFFFFFFFF), UNKNOWN, "wav"),
    ("wav streamed, data only", made.wav(data=0xFFFFFFFF), UNKNOWN, "wav"),
    ("wav cut", made.wav()[:-1000], BROKEN, "wav"),
    ("wav cut by three", made.wav()[:-3], BROKEN, "wav"),
    ("wav cut before its data", made.wav()[:30], BROKEN, "wav"),
    ("wav cut behind its header", made.wav()[:44], BROKEN, "wav"),
    ("wav streamed and cut behind its header", made.wav(0, riff=0, data=0), BROKEN, "wav"),
    ("wav with more behind", made.wav() + bytes(1000), UNKNOWN, "wav"),
    ("wav of many chunks", made.wav(before=b"JUNK\0\0\0\0" * 100), UNKNOWN, "wav"),
    ("mp4", made.mp4(), WHOLE, "mp4"),
    ("mp4 large", made.mp4(2 * MIB), WHOLE, "mp4"),
    ("mp4 with a long box", made.mp4(200_000, is_long=True), WHOLE, "mp4"),
    ("mp4 fragmented", made.fragmented(), WHOLE, "mp4"),
    ("mp4 segment", made.box(b"styp", b"msdh") + made.box(b"moof") + made.box(b"mdat", b"x" * 99), WHOLE, "mp4"),
    ("mp4 cut", made.mp4()[:-1], BROKEN, "mp4"),
    ("mp4 cut in its media", made.mp4(2 * MIB)[:MIB], BROKEN, "mp4"),
    ("mp4 cut behind its media", made.mp4()[:-308], BROKEN, "mp4"),
    ("mp4 without media", made.FTYP + made.box(b"moov", bytes(99)), BROKEN, "mp4"),
    ("mp4 with a few bytes behind", made.mp4() + b"abc", BROKEN, "mp4"),
    ("mp4 with zeros behind", made.mp4() + bytes(70_000), BROKEN, "mp4"),
    ("mp4 with noise behind", made.mp4() + made.noise(70_000), BROKEN, "mp4"),
    ("mp4 with an impossible box", made.FTYP + made.box(b"mdat", bytes(99), length=7), BROKEN, "mp4"),
    ("mp4 with an impossible box, long", made.FTYP + made.box(b"mdat", b"x", is_long=True, length=9), BROKEN, "mp4"),
    ("mp4 that runs on", made.FTYP + made.box(b"mdat", bytes(99), length=0), UNKNOWN, "mp4"),
    ("one byte", b"\xff", BROKEN, None),
    ("one zero", b"\0", BROKEN, None),
    ("zeros", bytes(200_000), BROKEN, None),
    ("a few letters", b"hello", BROKEN, None),
    ("a page", b"<!DOCTYPE html><html>" + b"x" * 100_000, BROKEN, None),
    ("json", b'{"error": {"code": "x"}}', BROKEN, None),
    ("xml", b"<?xml version='1.0'?><Error/>", BROKEN, None),
    ("noise", b"\x01" + made.noise(200_000), UNKNOWN, None),
    ("zeros and then something", bytes(100_000) + made.noise(100_000), UNKNOWN, None),
]  # fmt: skip


@pytest.mark.parametrize(("data", "verdict", "form"), [one[1:] for one in FILES], ids=[one[0] for one in FILES])
def test_a_file_has_one_verdict_however_it_is_read(data: bytes, verdict: Verdict, form: str | None) -> None:
    found = by_reads(data)
    assert (found.verdict, found.format) == (verdict, form), found.detail
    assert found.detail
    assert by_reads(data, first=data[:70_000]) == found
    assert by_reads(data, first=data[:12]) == found
    for piece in (MIB, 65_536, 4_099, *((7,) if len(data) < 50_000 else ())):
        assert by_stream(data, piece=piece) == found


def test_no_bytes_are_no_recording() -> None:
    assert check(lambda *_: b"", size=0).verdict is BROKEN
    assert StructureCheck().verdict(0).verdict is BROKEN


@pytest.mark.parametrize("media", [1_000, 10_000])
def test_a_long_chain_of_fragments_is_known_by_its_index_or_by_reading_all(media: int) -> None:
    plain, indexed = made.fragmented(300, media=media), made.fragmented(300, media=media, has_index=True)
    assert by_reads(plain).verdict is UNKNOWN
    assert by_reads(indexed).verdict is WHOLE
    assert by_reads(indexed[:-1]).verdict is UNKNOWN
    assert by_reads(indexed[: -len(indexed) // 3]).verdict is UNKNOWN
    assert by_stream(plain, piece=100_000).verdict is WHOLE
    assert by_stream(plain[:-1], piece=100_000).verdict is BROKEN
    assert by_stream(indexed, piece=100_000).verdict is WHOLE


@pytest.mark.parametrize("most", range(8))
def test_with_few_reads_less_is_known_and_nothing_is_wrong(most: int) -> None:
    for name, data, verdict, _ in FILES:
        assert by_reads(data, most=most).verdict in (verdict, UNKNOWN) or name.startswith(("one", "a ", "zero")), name


def test_a_stream_of_another_length_is_broken() -> None:
    found = StructureCheck()
    found.update(made.mp3())
    assert found.verdict(len(made.mp3()) + 1).verdict is BROKEN


SECONDS: list[tuple[Callable[[], bytes], float, Verdict]] = [
    (lambda: made.wav(320_000), 10, WHOLE),
    (lambda: made.wav(320_000), 11.9, WHOLE),
    (lambda: made.wav(320_000), 13, UNKNOWN),
    (lambda: made.wav(320_000), 7, UNKNOWN),
    (lambda: made.wav(320_000), 0, WHOLE),
    (lambda: made.mp3(1_000), 24, WHOLE),
    (lambda: made.mp3(1_000), 60, WHOLE),  # VBR
    (lambda: made.mp3(1_000), 600, UNKNOWN),
    (lambda: made.mp3(1_000), 0.5, UNKNOWN),
    (lambda: made.mp4(MIB), 8, WHOLE),
    (lambda: made.mp4(MIB), 3_600, UNKNOWN),
    (lambda: made.mp4(MIB), 0.01, UNKNOWN),
]


@pytest.mark.parametrize(("file", "seconds", "verdict"), SECONDS)
def test_a_file_that_is_too_short_or_too_long_for_its_duration_is_unproven(
    file: Callable[[], bytes], seconds: float, verdict: Verdict
) -> None:
    duration = timedelta(seconds=seconds)
    found = by_reads(file(), duration=duration)
    assert found.verdict is verdict, found.detail
    assert by_stream(file(), piece=50_000, duration=duration) == found


def test_what_a_read_raises_comes_through() -> None:
    def read(start: int, length: int) -> bytes:
        raise KeyError(start, length)

    with pytest.raises(KeyError):
        check(read, size=5_000)


def _part(data: bytes, start: int, length: int) -> bytes:
    return data[start : start + length]


def test_a_file_that_shrinks_while_it_is_read_is_not_whole() -> None:
    for _, data, verdict, _ in FILES:
        if verdict is WHOLE:
            found = check(partial(_part, data[: len(data) // 2]), size=len(data))
            assert found.verdict is BROKEN


HOSTILE = {
    "frames' first bytes": b"\xff" * MIB,
    "headers of frames": b"\xff\xfb\x34\x00" * (MIB // 4),
    "shortest frames": (b"\xff\xe3\x10\x00" + bytes(20)) * (MIB // 24),
    "a tag, and headers of frames": b"ID3\x04\0\0\0\0\0\0" + b"\xff\xfb\x34" * (MIB // 3),
    "smallest boxes": made.FTYP + made.box(b"free") * (MIB // 8),
    "smallest fragments": made.box(b"moof") * (MIB // 8),
    "smallest chunks": b"RIFF\0\0\x10\0WAVE" + b"JUNK\0\0\0\0" * (MIB // 8),
    "zeros": bytes(MIB),
    "tags in tags": b"ID3\x04\0\0\0\0\0\0" * (MIB // 10),
    "tags at the end": made.mp3() + ID3V1 * (MIB // 128),
    "blanks": b" " * MIB,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("piece", [MIB, 1_000])
def test_hostile_bytes_cost_little_time(data: bytes, piece: int) -> None:
    begun = time.process_time()
    by_stream(data, piece=piece)
    by_reads(data, first=data)
    assert time.process_time() - begun < 2


@given(st.sampled_from([one[1] for one in FILES if len(one[1]) < 70_000]), st.data())
def test_changed_media_never_fail_and_have_one_verdict(data: bytes, given_: st.DataObject) -> None:
    changed = bytearray(data)
    for at, byte in given_.draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=6)):
        changed[at] = byte
    cut = bytes(changed[: given_.draw(st.integers(0, len(changed)))])
    piece = given_.draw(st.sampled_from([997, 65_536]))
    by_reads(cut, first=cut[:5_000]) if cut else None
    streamed = by_stream(cut, piece=piece)
    if cut:
        whole = by_reads(cut, most=300_000) if len(cut) < 3_000 else by_reads(cut)
        assert UNKNOWN in (whole.verdict, streamed.verdict) or whole.verdict is streamed.verdict


def test_every_cut_of_a_wav_or_an_mp4_is_seen() -> None:
    """And none of a mp3 is seen that was cut between two frames: that is all its structure can say."""
    rng = random.Random(7)  # noqa: S311 - any places
    for data in (made.wav(5_000), made.mp4(5_000), made.rf64(5_000), made.fragmented(3)):
        edges = {len(data)}
        for cut in [*rng.sample(range(1, len(data) - 1), 300), len(data) - 1]:
            found = by_reads(data[:cut]).verdict
            assert found is not WHOLE or _ends_a_fragment(data, cut), cut
        assert by_reads(data[: max(edges)]).verdict is WHOLE
    data = made.mp3(50)
    for cut in range(1, len(data)):
        is_between = cut > 10 and (cut - 10) % made.FRAME_BYTES == 0
        assert by_reads(data[:cut]).verdict is (WHOLE if is_between else BROKEN), cut


def _ends_a_fragment(data: bytes, cut: int) -> bool:
    """A fragmented mp4 that was cut between two fragments is whole by its structure, too."""
    return b"moof" in data and (data[cut : cut + 8].endswith(b"moof") or data[cut : cut + 8].endswith(b"mfra"))
