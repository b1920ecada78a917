"""A media host that lies: wrong answers that a careful reader can tell from the truth, and strange ones that are true.

What no reader can tell is not among them: other bytes, or a shorter whole, under a head that holds together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.fakes import MediaFile, lies
from tests.support.fakes.acs import honest

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from shared.ports import MediaResponse

    Answer = Callable[[MediaFile, int, int], MediaResponse]


def lie_of(random: Random, kind: str) -> Answer:
    """One answer, and what it lies about: `range`, or anything (`lie`)."""
    if kind == "range":
        return _range_lie_of(random)

    def noise_at_the_start(file: MediaFile, start: int, length: int) -> MediaResponse:
        return (lies.noise if start == 0 else lies.wrong_range)(file, start, length)

    def cut(file: MediaFile, start: int, length: int) -> MediaResponse:
        there = len(file.data[start : start + length])
        kind = random.choice((lies.breaking_off, lies.cut_short, lies.quietly_short))
        return kind(random.randrange(1, there + 1) if there else 1)(file, start, length)

    known = (
        honest,
        cut,
        cut,
        cut,
        lies.whole,
        lies.whole_quietly_short,
        lies.whole_without_length,
        lies.empty,
        lies.empty_without_length,
        lies.page,
        lies.page_as_media,
        noise_at_the_start,
        lies.wrong_range,
        lies.unreadable_range,
        lies.changed_etag,
        lies.too_long,
    )
    return random.choice(known)


# --- about ranges: each a 206 that is consistent in itself, and not the answer to what was asked


def _range_lie_of(random: Random) -> Answer:
    kind = random.choice((short_range, long_range, longer_whole))
    later = random.choice((from_the_start, shifted, next_range, shorter_whole, another_version, another_length))

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        return (later if start else kind)(random, file, start, length)

    return answer


def from_the_start(_random: Random, file: MediaFile, _start: int, length: int) -> MediaResponse:
    """The right number of bytes, from the start of the file."""
    return honest(file, 0, length)


def shifted(random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """A few bytes before or after."""
    step = random.choice((-length, -7, -1, 1, 7))
    return honest(file, max(0, min(start + step, len(file.data) - 1)), length)


def next_range(_random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """The range after it; of the last one, the range before."""
    return honest(file, start + length if start + length < len(file.data) else max(0, start - length), length)


def short_range(random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """Fewer bytes than were asked for: HTTP allows that, and whoever counts on them has a hole."""
    there = len(file.data[start : start + length])
    return honest(file, start, random.randrange(1, there) if there > 1 else length)


def long_range(random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """More bytes than were asked for, and it says so."""
    return honest(file, start, length + random.randrange(1, 200))


def longer_whole(random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """The bytes that were asked for, of a longer file than there is: each time another length."""
    return _of(file, start, length, total=len(file.data) + random.randrange(1, 100_000))


def shorter_whole(_random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """The bytes that were asked for as the last of a shorter file. Not of the first range: nobody could tell."""
    end = start + len(file.data[start : start + length])
    return _of(file, start, length, total=end if end < len(file.data) else end + 1)


def another_version(_random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """From a file of the same length and other bytes, under its own ETag. Not of the first range: so of no whole."""
    if file.etag is None:
        return honest(file, start, length)
    return honest(MediaFile(bytes(len(file.data)), file.content_type, '"another version"'), start, length)


def another_length(random: Random, file: MediaFile, start: int, length: int) -> MediaResponse:
    """From a longer file of other bytes, under the same ETag."""
    longer = MediaFile(bytes(len(file.data) + random.randrange(1, 100_000)), file.content_type, file.etag)
    return honest(longer, start, length)


def _of(file: MediaFile, start: int, length: int, *, total: int) -> MediaResponse:
    answer = honest(file, start, length)
    if answer.content_range is None:
        return answer
    return replace(answer, content_range=f"{answer.content_range.partition('/')[0]}/{total}")
