"""The bytes of one chunk: resumed, distrusted, committed once, and known by their checksum."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors as e
from shared.transfer import ranges
from shared.transfer.engine import TimeBudgetSpentError
from shared.transfer.slots import BlockSlots, InlineSlots, ThreadSlots
from tests.support.fakes import NOON, FakeContainer, MediaFile, lies, watched
from tests.support.fakes.acs import honest
from tests.unit.builders import HOUR
from tests.unit.transfer.engine_rig import BLOCK, LOCATION, NAME, Rig, checked, mp3

if TYPE_CHECKING:
    from collections.abc import Callable


SIZES = [1, 4, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 1, 12_345]


@pytest.mark.parametrize("slots", [InlineSlots(), ThreadSlots(room=4 * BLOCK, least=BLOCK)], ids=["inline", "threads"])
@pytest.mark.parametrize("size", [size for size in SIZES if size > 2])
def test_every_byte_arrives(size: int, slots: BlockSlots) -> None:
    rig = Rig(mp3(size), slots=slots)
    done = checked(rig, rig.run())
    count = -(-size // BLOCK)
    assert (done.blocks, done.reused) == (count, 0)
    assert rig.progress.blocks == count
    assert sorted(start for _, start, _ in rig.media.asked) == [number * BLOCK for number in range(count)]


@given(st.sets(st.integers(0, 9)), st.integers(9_001, 10_000))
def test_an_interrupted_transfer_goes_on_where_it_stopped(staged: set[int], size: int) -> None:
    """Whatever blocks an earlier worker left: only the others are fetched, and the first to know the source."""
    rig = Rig(mp3(size))
    rig.stage(*staged)
    done = checked(rig, rig.run())
    assert (done.blocks, done.reused) == (10 - len(staged), len(staged))
    asked = {start // BLOCK for _, start, _ in rig.media.asked}
    assert asked == (set(range(10)) - staged) | {0}


def test_blocks_of_a_source_that_has_changed_are_not_used() -> None:
    rig = Rig(mp3(3_500))
    rig.stage(0, 1, etag='"of before"')
    rig.stage(2, data=mp3(4_500))
    assert checked(rig, rig.run()).reused == 0


def test_other_bytes_under_the_same_length_and_etag_discredit_all_that_is_staged() -> None:
    rig = Rig(mp3(3_500))
    rig.stage(0, 1, 2, data=mp3(3_500, seed=2))
    assert checked(rig, rig.run()).reused == 0


@pytest.mark.parametrize("etag", [None, '"1"'])
def test_blocks_of_two_sources_never_make_one_blob(etag: str | None) -> None:
    """Two tries saw other media under one length and ETag, and the second got no further than its first block."""
    rig = Rig(mp3(3_500), etag=etag)
    rig.stage(0, 1, 2, data=mp3(3_500, seed=2), etag=etag)
    rig.stage(0, etag=etag)
    assert checked(rig, rig.run()).reused == 1


@pytest.mark.parametrize("etag", [None, '"1"'])
def test_a_source_without_an_etag_is_known_by_its_length(etag: str | None) -> None:
    rig = Rig(mp3(3_500), etag=etag)
    rig.stage(1, etag=etag)
    assert checked(rig, rig.run()).reused == 1


PASSING = [
    lies.failing(e.MediaUnavailable("reset")),
    lies.breaking_off(100),
    lies.breaking_off(0),
    lies.cut_short(1),
    lies.quietly_short(1),
]


@pytest.mark.parametrize("lie", PASSING)
@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_that_passes_costs_one_request(lie: lies.Answer, times: int) -> None:
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, *[lie] * times)
    checked(rig, rig.run())
    assert len(rig.media.asked) == 4 + times
    assert timedelta(0) < rig.clock.paused < timedelta(seconds=1)


@pytest.mark.parametrize("lie", PASSING)
def test_a_fault_that_stays_ends_the_try(lie: lies.Answer) -> None:
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, *[lie] * 3)
    with pytest.raises((e.MediaUnavailable, e.MediaTruncated)):
        rig.run()
    assert rig.target.blobs == {}


LIES: list[tuple[lies.Answer, type[e.MediaError]]] = [
    (lies.empty, e.MediaEmpty),
    (lies.empty_without_length, e.MediaEmpty),
    (lies.page, e.MediaIsAPage),
    (lies.page_as_media, e.MediaIsAPage),
    (lies.wrong_range, e.MediaWrongRange),
    (lies.unreadable_range, e.MediaWrongRange),
    (lies.too_long, e.MediaTooLong),
    (lies.failing(e.MediaNotFound("404")), e.MediaNotFound),
    (lies.failing(e.MediaThrottled("429", retry_after=timedelta(minutes=1))), e.MediaThrottled),
]


@pytest.mark.parametrize(("lie", "expected"), LIES)
def test_a_first_answer_that_is_not_the_recording_is_named(lie: lies.Answer, expected: type[e.MediaError]) -> None:
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, lie)
    with pytest.raises(expected):
        rig.run()
    assert rig.target.blobs == {}
    assert rig.progress.blocks == 0


@pytest.mark.parametrize("slots", [InlineSlots(), ThreadSlots(room=3 * BLOCK, least=BLOCK)], ids=["inline", "threads"])
@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        (lies.page, e.MediaIsAPage),
        (lies.wrong_range, e.MediaWrongRange),
        (lies.changed_etag, e.MediaChanged),
        (lies.whole, e.MediaChanged),
        (lies.too_long, e.MediaTooLong),
        (lies.failing(e.MediaNotFound("404")), e.MediaNotFound),
    ],
)
def test_a_later_answer_that_does_not_fit_ends_the_try(
    lie: lies.Answer, expected: type[e.MediaError], slots: BlockSlots
) -> None:
    """What was staged before stays, and nothing is committed."""
    rig = Rig(mp3(8_500), slots=slots)
    rig.media.lie(LOCATION, honest, lie)
    with pytest.raises(expected):
        rig.run()
    assert rig.target.blobs == {}
    assert 1 <= rig.progress.blocks < 9
    checked(rig, rig.run())


class Heard(Future[Any]):
    """A future that sets `seen` when its failure is looked at."""

    def __init__(self, seen: threading.Event) -> None:
        super().__init__()
        self._seen = seen

    def exception(self, timeout: float | None = None) -> BaseException | None:
        error = super().exception(timeout)
        if error is not None:
            self._seen.set()
        return error


class HeardLanes(ThreadSlots):
    """BlockSlots of four blocks; `failed` once the transfer knows of a failure."""

    def __init__(self) -> None:
        super().__init__(room=4 * BLOCK, least=BLOCK)
        self.failed = threading.Event()

    def submit(self, task: Callable[[], Any], size: int) -> Future[Any]:
        future = Heard(self.failed)

        def hand_over(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(error)

        super().submit(task, size).add_done_callback(hand_over)
        return future


def test_of_several_failures_the_429_is_told() -> None:
    """Even where it comes last: the others most often fail because of it, and it says when to come again."""
    slots = HeardLanes()

    def answer(file: MediaFile, start: int, length: int) -> Any:
        if start == BLOCK:
            raise e.MediaUnavailable("503")
        if start == 2 * BLOCK:
            assert slots.failed.wait(10)
            raise e.MediaThrottled("429", retry_after=timedelta(minutes=1))
        return honest(file, start, length)

    rig = Rig(mp3(8_500), slots=slots)
    rig.media.lie(LOCATION, *[answer] * 20)
    with pytest.raises(e.MediaThrottled) as caught:
        rig.run()
    assert caught.value.retry_after == timedelta(minutes=1)


@pytest.mark.parametrize("after", [HOUR, timedelta(minutes=1), -HOUR])
def test_a_429_to_another_recording_never_takes_away_the_last_tries(after: timedelta) -> None:
    """Just before the deadline and after it ACS is asked, whatever answers to other requests said."""
    rig = Rig(mp3(3_500))
    with pytest.raises(e.MediaThrottled), rig.pace.at(LOCATION).slot():
        raise e.MediaThrottled("429", retry_after=2 * HOUR)
    if after == HOUR:
        with pytest.raises(e.MediaThrottled, match="holds back"):
            rig.run(deadline=NOON + after)
        assert rig.media.asked == []
    else:
        checked(rig, rig.run(deadline=NOON + after))


@pytest.mark.parametrize("lie", [lies.whole, lies.whole_without_length])
@pytest.mark.parametrize("size", [4, BLOCK, 3_500])
def test_a_server_that_ignores_range_is_read_from_the_start(lie: lies.Answer, size: int) -> None:
    rig = Rig(mp3(size))
    rig.media.lie(LOCATION, lie)
    done = checked(rig, rig.run())
    assert (done.blocks, done.reused) == (-(-size // BLOCK), 0)
    assert len(rig.media.asked) == 1


def test_from_such_a_server_too_no_block_is_sent_twice() -> None:
    rig = Rig(mp3(3_500))
    rig.stage(0, 2)
    rig.media.lie(LOCATION, lies.whole)
    done = checked(rig, rig.run())
    assert (done.blocks, done.reused) == (2, 2)


def whole_but(by: int) -> lies.Answer:
    """200 with another number of bytes than announced."""

    def answer(file: MediaFile, start: int, length: int) -> Any:
        data = file.data[:by] if by < 0 else file.data + bytes(by)
        return replace(lies.whole(file, start, length), pieces=iter((data,)))

    return answer


@pytest.mark.parametrize(
    ("by", "expected"),
    [(-1, e.MediaTruncated), (-1_000, e.MediaTruncated), (1, e.MediaTooLong), (2_000, e.MediaTooLong)],
)
def test_a_whole_of_another_length_is_not_committed(by: int, expected: type[e.MediaError]) -> None:
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, *[whole_but(by)] * 3)
    with pytest.raises(expected):
        rig.run()
    assert rig.target.blobs == {}


class Bin(FakeContainer):
    """Takes blocks and keeps none."""

    def stage(self, name: str, block_id: str, data: bytes, *, crc64: int | None = None) -> None: ...


def test_a_whole_without_end_is_stopped_at_the_limit_of_a_blob() -> None:
    rig = Rig(mp3(3 * ranges.MAX_BLOCKS + 1))
    rig.media.lie(LOCATION, lies.whole_without_length)
    with pytest.raises(e.MediaTooLarge):
        rig.run(target=Bin(), block_bytes=3)


def test_an_invocation_that_has_no_time_left_hands_over_what_it_has() -> None:
    rig = Rig(mp3(8_500))

    def slow(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        rig.clock.advance(timedelta(minutes=20))
        return call()

    with pytest.raises(TimeBudgetSpentError):
        rig.run(media=watched(rig.media, slow))
    assert rig.progress.blocks == 3
    assert rig.target.blobs == {}
    done = checked(rig, rig.run(until=rig.clock.now() + HOUR))
    assert (done.blocks, done.reused) == (6, 3)


def test_even_without_any_time_the_first_block_gets_on() -> None:
    """Each invocation does something, or none would ever end."""
    rig = Rig(mp3(2_500))
    with pytest.raises(TimeBudgetSpentError):
        rig.run(until=NOON)
    assert rig.progress.blocks == 1


def test_a_blob_that_stands_is_not_overwritten() -> None:
    rig = Rig(mp3(2_500))
    rig.target.put(NAME, b"another", content_type="x", overwrite=False)
    with pytest.raises(e.BlobExists):
        rig.run()
    assert rig.written == b"another"


def test_a_last_look_can_stop_the_commit() -> None:
    class SeenError(Exception):
        pass

    def look(name: str) -> None:
        assert name == NAME
        raise SeenError

    for size in (500, 2_500):
        rig = Rig(mp3(size))
        with pytest.raises(SeenError):
            rig.run(before_commit=look)
        rig.media.lie(LOCATION, lies.whole)
        with pytest.raises(SeenError):
            rig.run(before_commit=look)
        assert rig.target.blobs == {}


def test_a_block_damaged_on_its_way_costs_one_more_request() -> None:
    rig = Rig(mp3(2_500))
    faults = [e.StorageCorrupted("md5"), e.StorageCorrupted("md5")]

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "stage" and faults:
            raise faults.pop()
        return call()

    checked(rig, rig.run(target=watched(rig.target, failing)))


@pytest.mark.parametrize(
    "error", [e.StorageAccessDenied(), e.StorageThrottled(), e.StorageUnavailable(), e.BlocksMissing()]
)
@pytest.mark.parametrize(("size", "call_name"), [(2_500, "stage"), (500, "put")])
def test_a_storage_that_refuses_ends_the_try(error: e.StorageError, size: int, call_name: str) -> None:
    """At once: where another request might do better, its SDK has sent it."""
    calls = []

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == call_name:
            calls.append(name)
            raise error
        return call()

    rig = Rig(mp3(size))
    with pytest.raises(type(error)):
        rig.run(target=watched(rig.target, failing))
    assert len(calls) == 1
