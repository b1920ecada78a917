"""The bytes of one chunk: resumed, distrusted, committed once, and known by their checksum."""

from __future__ import annotations

import hashlib
import random
import threading
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors as e
from shared.domain.media import Proof
from shared.transfer import ranges
from shared.transfer.budget import Budget
from shared.transfer.engine import Engine, Job, Progress, StoredBlob, TimeBudgetSpentError
from shared.transfer.slots import BlockSlots, InlineSlots, ThreadSlots
from shared.transfer.throttle import Throttle
from tests.support import media_files
from tests.support.fakes import NOON, FakeClock, FakeContainer, FakeMedia, MediaFile, lies, watched
from tests.support.fakes.acs import honest
from tests.unit.builders import HOUR, MEDIA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 1_000
MINUTE = timedelta(minutes=1)
LOCATION = MEDIA.format("0-eus-d1-1")
NAME = "20261122/call-1/eyJQbGF0-guid/0-audiomp3.d.mp3"


def mp3(size: int, *, seed: int = 1) -> bytes:
    return (b"ID3\x04" + random.Random(seed).randbytes(size))[:size]  # noqa: S311 - bytes of a made-up file


class Rig:
    """A transfer over fakes."""

    def __init__(self, data: bytes, *, slots: BlockSlots | None = None, **file: Any) -> None:
        self.data = data
        self.clock = FakeClock(NOON)
        self.media = FakeMedia({LOCATION: MediaFile(data, **file)})
        self.target = FakeContainer()
        self.slots = slots or InlineSlots()
        self.progress = Progress()
        self.formats: list[str | None] = []
        self.pace = Throttle(clock=self.clock, most=4)

    def run(self, *, target: Any = None, media: Any = None, block_bytes: int = BLOCK, **job: Any) -> StoredBlob:
        engine = Engine(
            media=media or self.media,
            slots=self.slots,
            throttle=self.pace,
            clock=self.clock,
            sizes=ranges.BlockSizes(block_bytes, block_bytes, block_bytes),
        )
        until = job.pop("until", NOON + HOUR)
        budget = Budget(until, job.pop("hard_until", max(until, NOON) + 8 * MINUTE))
        plain = Job(LOCATION, target or self.target, self.name, "mp3", budget)
        return engine.run(replace(plain, **job), self.progress)

    def name(self, format_type: str | None) -> str:
        self.formats.append(format_type)
        return NAME

    def stage(self, *numbers: int, data: bytes | None = None, etag: str | None = '"1"') -> None:
        """Blocks of these numbers, as an earlier worker staged them."""
        source = self.data if data is None else data
        tag = ranges.source_tag(location=LOCATION, total=len(source), etag=etag, first=source[:BLOCK])
        for number in numbers:
            block = source[number * BLOCK : (number + 1) * BLOCK]
            self.target.stage(NAME, ranges.block_id(number * BLOCK, block, tag=tag), block)

    @property
    def written(self) -> bytes:
        return self.target.blobs[NAME].data


def checked(rig: Rig, done: StoredBlob) -> StoredBlob:
    digest = hashlib.sha256(rig.data).hexdigest()
    assert rig.written == rig.data
    sha256 = None if done.reused else digest
    assert (done.name, done.size, done.sha256) == (NAME, len(rig.data), sha256)
    assert (done.format, done.proof, done.etag) == ("mp3", Proof.LENGTH, rig.target.blobs[NAME].etag)
    assert set(rig.formats) == {"mp3"}
    assert rig.target.blobs[NAME].sha256 == sha256
    assert rig.target.blobs[NAME].content_type == "audio/mpeg"
    assert rig.target.uncommitted.get(NAME, {}) == {}
    return done


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
    """A future that tells when its failure is looked at."""

    def __init__(self, told: threading.Event) -> None:
        super().__init__()
        self._told = told

    def exception(self, timeout: float | None = None) -> BaseException | None:
        error = super().exception(timeout)
        if error is not None:
            self._told.set()
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
    """Just before the deadline and after it ACS is asked, whatever this process was told of others."""
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

    def stage(self, name: str, block_id: str, data: bytes) -> None: ...


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


# --- time


def taking(rig: Rig, seconds: float, *, pieces: int, but: Exception | None = None) -> lies.Answer:
    """A body whose pieces take so long each; it breaks off after them with `but`, if any."""

    def answer(file: MediaFile, start: int, length: int) -> Any:
        response = honest(file, start, length)
        data = b"".join(response.pieces)
        size = -(-len(data) // pieces)

        def dripping() -> Iterator[bytes]:
            for at in range(0, len(data), size):
                rig.clock.advance(timedelta(seconds=seconds))
                yield data[at : at + size]
            if but:
                raise but

        return replace(response, pieces=dripping())

    return answer


@pytest.mark.parametrize("before", [[], [honest]], ids=["first", "later"])
def test_a_source_that_drips_does_not_keep_the_invocation(before: list[lies.Answer]) -> None:
    """A byte each 50 seconds would be within every timeout of a socket."""
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, *before, *[taking(rig, 50, pieces=BLOCK)] * 3)
    with pytest.raises(e.MediaUnavailable, match="too slow"):
        rig.run(until=NOON + 4 * MINUTE)
    assert rig.clock.now() - NOON < 7 * MINUTE
    assert len(rig.media.asked) == 1 + len(before)
    assert rig.progress.blocks == len(before)
    rig.media.lies.clear()
    checked(rig, rig.run(until=rig.clock.now() + HOUR))


def test_nor_does_one_that_gives_no_ranges() -> None:
    rig = Rig(mp3(3_500))

    def answer(file: MediaFile, start: int, length: int) -> Any:
        return replace(taking(rig, 50, pieces=3_500)(file, 0, 3_500), status=200, content_range=None)

    rig.media.lie(LOCATION, answer)
    with pytest.raises(e.MediaUnavailable, match="too slow"):
        rig.run(until=NOON + 4 * MINUTE, hard_until=NOON + 8 * MINUTE)
    assert 7 * MINUTE < rig.clock.now() - NOON < 9 * MINUTE
    assert rig.target.blobs == {}


@pytest.mark.parametrize("pieces", [1, 70])
@pytest.mark.parametrize("budget", [timedelta(seconds=5), 4 * MINUTE])
def test_a_slow_and_steady_source_gets_on(pieces: int, budget: timedelta) -> None:
    """A block of 2 MiB at 30 KiB/s takes 70 seconds: every invocation brings one at least, and ends."""
    rig = Rig(mp3(9_500))
    rig.media.lie(LOCATION, *[taking(rig, 70 / pieces, pieces=pieces)] * 100)
    for _ in range(12):
        begun_at, rig.progress = rig.clock.now(), Progress()
        try:
            done = rig.run(until=begun_at + budget)
        except TimeBudgetSpentError:
            assert rig.progress.blocks > 0
            assert rig.clock.now() - begun_at < budget + 3 * MINUTE
        else:
            checked(rig, done)
            return
    pytest.fail("it never came to an end")


@pytest.mark.parametrize("size", [500, 3_500])
def test_a_fault_that_took_long_is_not_met_three_times(size: int) -> None:
    """A host that says nothing costs a minute, not three."""
    rig = Rig(mp3(size))
    rig.media.lie(LOCATION, *[taking(rig, 60, pieces=1, but=e.MediaUnavailable("timed out"))] * 3)
    with pytest.raises(e.MediaUnavailable):
        rig.run()
    assert rig.clock.now() - NOON == MINUTE


def test_what_got_on_and_is_late_goes_nowhere_else() -> None:
    """As to the fallback, where the destination took blocks and then took the time: the next invocation does."""
    rig = Rig(mp3(3_500))
    rig.progress.add(1)
    with pytest.raises(TimeBudgetSpentError):
        rig.run(until=NOON)
    assert rig.media.asked == []


def test_a_block_that_waited_for_its_lane_beyond_the_time_is_not_begun() -> None:
    """Other recordings had the slots meanwhile."""
    rig = Rig(mp3(8_500))

    class Crowded(InlineSlots):
        room = 9 * BLOCK

        def submit(self, task: Any, size: int) -> Any:
            if len(rig.media.asked) == 2:
                rig.clock.advance(HOUR)
            return super().submit(task, size)

    rig.slots = Crowded()
    with pytest.raises(TimeBudgetSpentError):
        rig.run()
    assert rig.progress.blocks == len(rig.media.asked) == 2


def test_a_blob_that_is_not_made_of_what_was_sent_is_told() -> None:
    def lying(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        return call()[:-1] if name == "committed" else call()

    rig = Rig(mp3(2_500))
    with pytest.raises(e.StorageCorrupted):
        rig.run(target=watched(rig.target, lying))


# --- what the bytes are, and whether they are all


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
