"""Blocks and ranges: what is asked for next, and what of the answers is believed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors as e
from shared.ports import Block, MediaResponse
from shared.transfer import ranges
from shared.transfer.ranges import Span

MIB = 1024 * 1024
PLACE = "https://eu-api.asm.skype.com/v1/objects/a/content/video"
TAG = ranges.source_tag(location=PLACE, total=100, etag='"1"', first=b"first")


@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_a_plan_covers_every_byte_once_in_order(total: int, block: int) -> None:
    if total > block * ranges.MAX_BLOCKS or total // block > 5_000:
        return
    spans = ranges.plan(total=total, block_bytes=block)
    assert spans[0].start == 0
    assert spans[-1].end == total
    assert all(one.end == following.start for one, following in itertools.pairwise(spans))
    assert all(span.length == block for span in spans[:-1])
    assert 0 < spans[-1].length <= block


@pytest.mark.parametrize(
    ("total", "count", "last"),
    [(1, 1, 1), (4 * MIB - 1, 1, 4 * MIB - 1), (4 * MIB, 1, 4 * MIB), (4 * MIB + 1, 2, 1), (8 * MIB, 2, 4 * MIB)],
)
def test_a_plan_at_its_edges(total: int, count: int, last: int) -> None:
    spans = ranges.plan(total=total, block_bytes=4 * MIB)
    assert (len(spans), spans[-1].length) == (count, last)


def test_a_file_has_bytes_and_at_most_as_many_as_a_block_blob() -> None:
    assert len(ranges.plan(total=50_000, block_bytes=1)) == 50_000
    with pytest.raises(e.MediaTooLarge, match="50001"):
        ranges.plan(total=50_001, block_bytes=1)
    with pytest.raises(e.MediaEmpty):
        ranges.plan(total=0, block_bytes=1)


@given(st.integers(0, 10**13 - 1), st.binary(max_size=20))
def test_block_ids_have_one_length_and_sort_by_offset(start: int, data: bytes) -> None:
    """Azure wants one length for all ids of a blob."""
    made = ranges.block_id(start, data, tag=TAG)
    assert len(made) == 41
    assert ranges.is_our_block(Block(made, len(data)))
    assert ranges.block_id(0, data, tag=TAG) <= made
    assert ranges.block_id(start, data + b"x", tag=TAG) != made


def test_a_source_is_known_again_by_location_length_etag_and_first_block() -> None:
    tags = {
        ranges.source_tag(location=PLACE, total=total, etag=etag, first=first)
        for total, etag, first in (
            (100, '"1"', b"a"),
            (101, '"1"', b"a"),
            (100, '"2"', b"a"),
            (100, None, b"a"),
            (10, '0"1"', b"a"),
            (100, '"1"', b"b"),
        )
    }
    assert len(tags) == 6
    plain = ranges.source_tag(location=PLACE, total=1, etag=None, first=b"")
    assert plain == ranges.source_tag(location=PLACE, total=1, etag="", first=b"")
    assert plain == ranges.source_tag(location=f"{PLACE}?sig=another#x", total=1, etag=None, first=b"")
    assert plain != ranges.source_tag(location=f"{PLACE}2", total=1, etag=None, first=b"")


SPANS = ranges.plan(total=100, block_bytes=40)


def staged(start: int, size: int, *, tag: str = TAG, data: bytes = b"x") -> Block:
    return Block(ranges.block_id(start, data, tag=tag), size)


@pytest.mark.parametrize(
    ("blocks", "starts"),
    [
        ([], []),
        ([staged(0, 40), staged(40, 40), staged(80, 20)], [0, 40, 80]),
        ([staged(80, 20), staged(0, 40)], [0, 80]),
        ([staged(0, 39)], []),  # wrong size
        ([staged(80, 40)], []),  # the last one is shorter
        ([staged(20, 40)], []),  # an offset of another block size
        ([staged(120, 40)], []),
        ([staged(0, 40, tag="000000")], []),  # of another source
        ([Block("probe".ljust(33, "0"), 40)], []),
        ([Block("", 40), Block("0" * 33, 40)], []),
        ([staged(0, 40), staged(0, 40)], [0]),  # one block twice
        ([staged(0, 40), staged(0, 40, data=b"y"), staged(40, 40)], [40]),  # two at one place: neither
        ([staged(0, 40), staged(0, 40, data=b"y"), staged(0, 40, data=b"y")], []),
    ],
)
def test_only_blocks_that_fit_the_plan_are_used_again(blocks: list[Block], starts: list[int]) -> None:
    assert sorted(ranges.usable_blocks(blocks, SPANS, tag=TAG)) == starts


def response(**changes: Any) -> MediaResponse:
    """The right answer to a request for 40 bytes from 40 of 100."""
    plain = MediaResponse(206, "audio/mpeg", 40, "bytes 40-79/100", '"1"', iter(()))
    return replace(plain, **changes)


ASKED = Span(40, 40)


def test_the_right_answer_is_accepted() -> None:
    head = ranges.accept(response(), ASKED, total=100, etag='"1"')
    assert head == ranges.Head(40, 40, 100, '"1"', is_partial=True)


def test_the_last_answer_may_be_shorter() -> None:
    answer = response(content_range="bytes 80-99/100", content_length=20)
    assert ranges.accept(answer, Span(80, 40), total=100, etag=None).length == 20


@pytest.mark.parametrize("changes", [{"content_length": None}, {"etag": None}, {"content_type": ""}])
def test_what_a_server_leaves_out_is_not_held_against_it(changes: dict[str, Any]) -> None:
    assert ranges.accept(response(**changes), ASKED, total=100, etag='"1"').start == 40


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"content_range": None}, e.MediaWrongRange),
        ({"content_range": ""}, e.MediaWrongRange),
        ({"content_range": "bytes 40-79/*"}, e.MediaWrongRange),
        ({"content_range": "bytes */100"}, e.MediaWrongRange),
        ({"content_range": "bytes=40-79/100"}, e.MediaWrongRange),
        ({"content_range": "items 40-79/100"}, e.MediaWrongRange),
        ({"content_range": "bytes 40-79/100, 80-99/100"}, e.MediaWrongRange),
        ({"content_range": "bytes -40-79/100"}, e.MediaWrongRange),
        ({"content_range": "bytes 0-39/100"}, e.MediaWrongRange),
        ({"content_range": "bytes 39-78/100"}, e.MediaWrongRange),
        ({"content_range": "bytes 41-80/100"}, e.MediaWrongRange),
        ({"content_range": "bytes 40-80/100", "content_length": 41}, e.MediaWrongRange),
        ({"content_range": "bytes 40-78/100", "content_length": 39}, e.MediaWrongRange),
        ({"content_range": "bytes 40-39/100", "content_length": 0}, e.MediaWrongRange),
        ({"content_range": "bytes 40-79/79"}, e.MediaWrongRange),
        ({"content_length": 39}, e.MediaWrongRange),
        ({"content_length": 0}, e.MediaWrongRange),
        ({"content_range": "bytes 40-79/101"}, e.MediaChanged),
        ({"etag": '"2"'}, e.MediaChanged),
        ({"content_type": "text/html"}, e.MediaIsAPage),
        ({"content_type": "Text/HTML; charset=utf-8"}, e.MediaIsAPage),
        ({"content_type": "application/json"}, e.MediaIsAPage),
        ({"content_type": "application/problem+json"}, e.MediaIsAPage),
        ({"status": 200, "content_type": "application/xhtml+xml"}, e.MediaIsAPage),
        ({"status": 200, "content_length": 0}, e.MediaEmpty),
        ({"status": 200, "content_length": 99}, e.MediaChanged),
        ({"status": 200, "content_length": 100, "etag": '"2"'}, e.MediaChanged),
    ],
)
def test_an_answer_that_is_not_what_was_asked_is_refused(changes: dict[str, Any], expected: type[e.MediaError]) -> None:
    with pytest.raises(expected):
        ranges.accept(response(**changes), ASKED, total=100, etag='"1"')


@pytest.mark.parametrize("length", [100, None])
def test_a_server_that_ignores_range_begins_at_zero(length: int | None) -> None:
    head = ranges.accept(response(status=200, content_range=None, content_length=length), ASKED, total=None, etag=None)
    assert head == ranges.Head(0, length, length, '"1"', is_partial=False)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 100), st.integers(1, 100))
def test_an_accepted_range_is_the_one_asked_for(first: int, last: int, total: int, start: int, length: int) -> None:
    answer = response(content_range=f"bytes {first}-{last}/{total}", content_length=None)
    try:
        head = ranges.accept(answer, Span(start, length), total=None, etag=None)
    except e.MediaWrongRange:
        return
    assert head.start == start
    assert head.length == min(length, total - start)


def test_lengths_must_be_equal() -> None:
    ranges.check_length(5, 5)
    with pytest.raises(e.MediaTruncated, match="4 of 5"):
        ranges.check_length(4, 5)
    with pytest.raises(e.MediaTooLong, match="5"):
        ranges.check_length(6, 5)


@pytest.mark.parametrize(
    "first", [b"<!DOCTYPE html><html>", b"\xef\xbb\xbf \r\n<HTML>", b"<?xml version='1.0'?>", b'{"error": 1}', b"[]"]
)
def test_a_page_is_no_media(first: bytes) -> None:
    with pytest.raises(e.MediaIsAPage):
        ranges.check_no_page(first)


@pytest.mark.parametrize("first", [b"", b"\xff", bytes(16), b"OggS", b"RIFF\x24\0\0\0AVI ", b"\0\0\0\x20ftypisom"])
def test_what_is_no_page_is_kept(first: bytes) -> None:
    """Also where its format is not known: an event's word, and ours, may be wrong."""
    ranges.check_no_page(first)
