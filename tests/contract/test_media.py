"""Port `Media`: ranges as they come, what breaks off, small files whole, deletion; and each answer of a real host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.domain import errors as e
from tests.contract.media_host import ASKING, READING, SIZE, deleted_at, document, lie, read

if TYPE_CHECKING:
    from tests.contract.sides import Side


@pytest.mark.parametrize(("start", "length"), [(0, 1), (0, 1000), (1, 99_999), (SIZE - 1, 1), (0, SIZE)])
def test_a_range_comes_as_it_was_asked_for(side: Side, start: int, length: int) -> None:
    """Also from the first byte, where the SDK alone would ask for everything."""
    held = side.media(SIZE)
    status, kind, size, content_range, etag, data = read(side, held, start, length)
    assert (status, kind, size) == (206, "audio/mpeg", length)
    assert content_range == f"bytes {start}-{start + length - 1}/{SIZE}"
    assert etag
    assert data == held.data[start : start + length]


def test_a_range_over_the_end_is_cut_there(side: Side) -> None:
    held = side.media(SIZE)
    status, _, size, content_range, _, data = read(side, held, SIZE - 10, 1000)
    assert (status, size, content_range) == (206, 10, f"bytes {SIZE - 10}-{SIZE - 1}/{SIZE}")
    assert data == held.data[-10:]


def test_a_range_behind_the_end_is_the_wrong_one(side: Side) -> None:
    held = side.media(SIZE)
    with pytest.raises(e.MediaWrongRange):
        read(side, held, SIZE, 10)


def test_a_file_without_bytes_has_no_range(side: Side) -> None:
    held = side.media(0)
    with pytest.raises(e.MediaWrongRange):
        read(side, held, 0, 10)


def test_a_host_that_ignores_ranges_answers_200_with_all(side: Side) -> None:
    held = side.media(SIZE)
    lie(side, held, "whole")
    status, _, size, content_range, _, data = read(side, held, 10, 10)
    assert (status, size, content_range) == (200, SIZE, None)
    assert data == held.data


def test_an_answer_without_bytes_is_an_answer(side: Side) -> None:
    """Judged by `ranges`, not here."""
    held = side.media(SIZE)
    lie(side, held, "empty")
    status, _, size, content_range, _, data = read(side, held, 0, 10)
    assert (status, size, content_range, data) == (200, 0, None, b"")


def test_a_page_says_what_it_is(side: Side) -> None:
    held = side.media(SIZE)
    lie(side, held, "page")
    status, kind, _, _, _, data = read(side, held, 0, 10)
    assert status == 200
    assert kind.startswith("text/html")
    assert data.startswith(b"<")


def test_a_wrong_range_is_told_as_it_came(side: Side) -> None:
    held = side.media(SIZE)
    lie(side, held, "wrong range")
    status, _, _, content_range, _, _ = read(side, held, 100, 10)
    assert status == 206
    assert content_range
    assert not content_range.startswith("bytes 100-109/")


def test_a_changed_etag_is_told_as_it_came(side: Side) -> None:
    held = side.media(SIZE)
    before = read(side, held, 0, 10)[4]
    assert read(side, held, 10, 10)[4] == before
    lie(side, held, "etag")
    assert read(side, held, 20, 10)[4] != before


def test_a_body_that_ends_early_is_told_after_what_came(side: Side) -> None:
    """The bytes before the break are good."""
    held = side.media(SIZE)
    lie(side, held, "cut")
    came = b""
    with side.ports.media.open(held.location, start=0, length=1000) as answer:
        while True:
            try:
                came += next(answer.pieces)
            except (e.MediaTruncated, e.MediaUnavailable):
                break
    assert held.data.startswith(came)
    assert len(came) < 1000
    assert read(side, held, 0, 1000)[5] == held.data[:1000]


def test_an_answer_need_not_be_read_to_its_end(side: Side) -> None:
    held = side.media(SIZE)
    with side.ports.media.open(held.location, start=0, length=SIZE) as answer:
        assert answer.status == 206
    assert read(side, held, 5, 5)[5] == held.data[5:10]


def test_a_small_file_is_read_whole_up_to_its_limit(side: Side) -> None:
    held = side.media(5000)
    assert side.ports.media.read_all(held.location, limit=5000) == held.data
    with pytest.raises(e.MediaTooLarge):
        side.ports.media.read_all(held.location, limit=4999)


def test_a_recording_can_be_deleted_twice(side: Side) -> None:
    held = side.media(1000)
    side.ports.media.delete(deleted_at(held.location))
    side.ports.media.delete(deleted_at(held.location))


@pytest.mark.parametrize("name", READING)
def test_what_acs_does_not_have_is_told(side: Side, name: str) -> None:
    held = side.media(1000)
    with pytest.raises(e.MediaNotFound):
        ASKING[name](side.ports.media, held.location.replace(document(held), "0-eus-d1-unknown"))


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(
    "location",
    [
        "https://attacker.example/v1/objects/x/content/video",
        "https://us.asm.skype.com.evil.example/x",
        "http://us-storage.asm.skype.com/x",
        "https://us-storage.asm.skype.com@evil.example/x",
        "https://customer.blob.core.windows.net/recordings/x",
        "",
    ],
)
def test_a_location_off_the_list_is_never_asked(side: Side, name: str, location: str) -> None:
    with pytest.raises(e.MediaLocationRefused):
        ASKING[name](side.ports.media, location)
