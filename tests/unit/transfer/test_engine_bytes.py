"""What the bytes of a transfer are, and whether they are all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from shared.domain.media import Proof
from shared.transfer.engine import Progress, TimeBudgetSpentError
from tests.support import media_files
from tests.support.fakes import MediaFile, lies, watched
from tests.support.fakes.acs import honest
from tests.unit.transfer.engine_rig import LOCATION, Rig, checked, mp3

if TYPE_CHECKING:
    from collections.abc import Callable


FORMATS = [
    ("mp3", media_files.mp3(60), "audio/mpeg"),
    ("wav", media_files.wav(5_000), "audio/wav"),
    ("mp4", media_files.mp4(5_000), "video/mp4"),
    ("mp4", media_files.fragmented(3), "video/mp4"),
    (None, b"OggS" + media_files.noise(5_000), "application/octet-stream"),
    (None, bytes(5_000), "application/octet-stream"),
]


@pytest.mark.parametrize(("form", "data", "content_type"), FORMATS)
@pytest.mark.parametrize("size", [600, 5_000])
@pytest.mark.parametrize("lie", [honest, lies.whole])
def test_the_bytes_name_their_format_whatever_the_event_says(
    form: str | None, data: bytes, content_type: str, size: int, lie: lies.Answer
) -> None:
    """Unknown ones, too, are kept: under the event's word."""
    rig = Rig(data[:size])
    rig.media.lie(LOCATION, lie)
    names = {"mp3": "x.mp3", "wav": "x.wav", "mp4": "x.mp4", None: "x.hint"}
    done = rig.run(name=lambda found: names[found])
    assert (done.name, done.format) == (names[form], form)
    blob = rig.target.blobs[names[form]]
    assert (blob.data, blob.content_type) == (data[:size], content_type)


@pytest.mark.parametrize("lie", [lies.whole_broken_off, lies.whole_without_end])
@pytest.mark.parametrize("size", [500, 3_500])
def test_a_body_that_ends_with_its_connection_is_not_stored_as_whole(lie: lies.Answer, size: int) -> None:
    """Nothing tells the one that broke off from the other: the first used to be committed as complete."""
    rig = Rig(mp3(size))
    rig.media.lie(LOCATION, *[lie] * 3)
    with pytest.raises(e.MediaUndelimited):
        rig.run()
    assert (rig.target.blobs, rig.target.uncommitted, rig.progress.blocks) == ({}, {}, 0)
    done = rig.run(takes_unproven=True)
    assert (done.proof, done.size) == (Proof.NONE, len(rig.written))
    assert rig.data.startswith(rig.written)


@pytest.mark.parametrize("lie", [lies.page_as_media, lies.empty_without_length])
def test_of_such_a_body_too_a_page_and_no_bytes_are_refused(lie: lies.Answer) -> None:
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, lambda *asked: replace(lie(*asked), content_length=None, is_delimited=False))
    with pytest.raises((e.MediaIsAPage, e.MediaEmpty)):
        rig.run(takes_unproven=True)
    assert rig.target.blobs == {}


def test_blocks_of_two_locations_never_make_one_blob() -> None:
    """Two candidates for one chunk may have one length and no ETag; each begins anew."""
    other = LOCATION.replace("us-api", "eu-api")
    rig = Rig(mp3(3_500), etag=None)
    rig.stage(0, 1, 2, etag=None)
    rig.media.files[other] = rig.media.files[LOCATION]
    assert checked(rig, rig.run(location=other)).reused == 0


def test_a_location_that_is_signed_anew_goes_on_with_its_blocks() -> None:
    rig = Rig(mp3(3_500))
    rig.stage(0, 1)
    rig.media.files[f"{LOCATION}?sig=new"] = rig.media.files[LOCATION]
    assert checked(rig, rig.run(location=f"{LOCATION}?sig=new")).reused == 2


def test_nothing_is_read_back_within_a_transfer() -> None:
    """It took minutes for large files, and an invocation's time with it."""
    calls = set()

    def noted(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        calls.add(name)
        return call()

    rig = Rig(mp3(3_500))
    rig.stage(0)
    assert rig.run(target=watched(rig.target, noted)).sha256 is None
    assert calls == {"staged", "stage", "commit", "committed"}


def test_a_large_file_over_a_slow_line_is_brought_by_many_invocations() -> None:
    """2.3 GB at 5 MB/s, a thousandth of it: none outlives its budget by more than a block."""
    size, per_second, budget = 2_300_000, 5_000, timedelta(minutes=4)
    rig = Rig(mp3(size))
    block = 4_194

    def slow(file: MediaFile, start: int, length: int) -> Any:
        rig.clock.advance(timedelta(seconds=length / per_second))
        return honest(file, start, length)

    rig.media.lie(LOCATION, *[slow] * 1_000)
    for number in range(1, 9):
        begun_at, rig.progress = rig.clock.now(), Progress()
        try:
            done = rig.run(until=begun_at + budget, block_bytes=block)
        except TimeBudgetSpentError:
            assert rig.clock.now() - begun_at <= budget + timedelta(seconds=block / per_second)
            continue
        checked(rig, done)
        assert number == 2
        return
    pytest.fail("it never came to an end")
