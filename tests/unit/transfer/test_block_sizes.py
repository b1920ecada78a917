"""Few large blocks from a quick source, many small ones from a slow one, and all of them fit together."""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ports import Block
from shared.transfer import ranges
from shared.transfer.budget import Budget
from shared.transfer.engine import Engine, Job, Progress, StoredBlob
from shared.transfer.ranges import BlockSizes, Span
from shared.transfer.slots import BlockSlots, InlineSlots, ThreadSlots
from shared.transfer.throttle import Throttle
from tests.support.fakes import NOON, FakeClock, FakeContainer, FakeMedia, MediaFile
from tests.support.fakes.acs import honest
from tests.unit.builders import HOUR, MEDIA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ports import MediaResponse

MIB = 1024 * 1024
LOCATION = MEDIA.format("0-eus-d1-1")
NAME = "20261122/call-1/eyJQbGF0-guid/0-audiomp3.d.mp3"
SIZES = BlockSizes(100, 200, 400)
TAG = "0123456789"


def test_sizes_come_from_the_largest() -> None:
    assert BlockSizes.up_to(8 * MIB) == BlockSizes(2 * MIB, 4 * MIB, 8 * MIB)
    assert BlockSizes.up_to(1) == BlockSizes(1, 2, 4)


# --- what is left to be brought


def staged(start: int, size: int, *, data: bytes = b"x") -> Block:
    return Block(ranges.block_id(start, data, tag=TAG), size)


CELLS = ranges.plan(total=950, block_bytes=100)


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ([staged(0, 200), staged(200, 400)], {0: 200, 200: 400}),
        ([staged(600, 350)], {600: 350}),  # up to the end, which is no whole cell
        ([staged(600, 400)], {}),
        ([staged(150, 100)], {}),
        ([staged(100, 150)], {}),
        ([staged(100, 0)], {}),
        ([staged(200, 100), staged(200, 400)], {200: 400}),  # the larger of two workers' blocks
        ([staged(200, 400), staged(300, 100), staged(600, 100)], {200: 400, 600: 100}),
        (
            [staged(200, 400), staged(200, 400, data=b"y"), staged(200, 100)],
            {200: 100},
        ),  # two of the same: neither
    ],
)
def test_blocks_of_whole_cells_are_kept(blocks: list[Block], kept: dict[int, int]) -> None:
    found = ranges.usable_blocks(blocks, CELLS, tag=TAG)
    assert {start: block.size for start, block in found.items()} == kept


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10))), st.sampled_from([100, 250, 400, 5000]))
def test_kept_and_joined_blocks_cover_every_byte_once(blocks: list[tuple[int, int]], most: int) -> None:
    made = [staged(100 * cell, min(950, 100 * (cell + count)) - 100 * cell) for cell, count in blocks]
    kept = ranges.usable_blocks(made, CELLS, tag=TAG)
    joined = ranges.join(ranges.missing(CELLS, kept), most=most)
    spans = sorted([*joined, *(Span(start, block.size) for start, block in kept.items())], key=lambda span: span.start)
    end = 0
    for span in spans:
        assert span.start == end
        end = span.end
    assert end == 950
    assert all(span.length <= most for span in joined)


# --- what a transfer asks for


class SlowMedia(FakeMedia):
    """A body takes `seconds` to come."""

    def __init__(self, data: bytes, clock: FakeClock, seconds: float) -> None:
        def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
            response = honest(file, start, length)

            def pieces() -> Iterator[bytes]:
                clock.advance(timedelta(seconds=seconds))
                yield from response.pieces

            return replace(response, pieces=pieces())

        super().__init__({LOCATION: MediaFile(data)})
        self.lie(LOCATION, *[answer] * 100)


def transferred(
    data: bytes, *, seconds: float, target: FakeContainer, slots: BlockSlots | None = None
) -> tuple[StoredBlob, list[tuple[int, int]]]:
    clock = FakeClock(NOON)
    media = SlowMedia(data, clock, seconds)
    engine = Engine(
        media=media, slots=slots or InlineSlots(), throttle=Throttle(clock=clock, most=4), clock=clock, sizes=SIZES
    )
    job = Job(LOCATION, target, lambda _: NAME, "mp3", Budget(NOON + HOUR, NOON + HOUR))
    done = engine.run(job, Progress())
    assert target.blobs[NAME].data == data
    assert done.sha256 == (None if done.reused else hashlib.sha256(data).hexdigest())
    return done, sorted((start, length) for _, start, length in media.asked)


DATA = (b"ID3\x04" + random.Random(1).randbytes(1_300))[:1_250]  # noqa: S311 - bytes of a made-up file
QUICK = [(0, 200), (200, 400), (600, 400), (1_000, 250)]
SLOW = [(0, 200), *((start, 100) for start in range(200, 1_200, 100)), (1_200, 50)]


@pytest.mark.parametrize(("seconds", "asked"), [(0, QUICK), (0.001, SLOW)], ids=["quick", "slow"])
def test_a_slow_source_is_asked_for_small_blocks(seconds: float, asked: list[tuple[int, int]]) -> None:
    assert transferred(DATA, seconds=seconds, target=FakeContainer())[1] == asked


def test_many_lanes_bring_the_same_bytes() -> None:
    slots = ThreadSlots(room=400, least=100)
    assert transferred(DATA, seconds=0, target=FakeContainer(), slots=slots)[1] == QUICK


@pytest.mark.parametrize("seconds", [0, 0.001])
@pytest.mark.parametrize("kept", [(1_000, 250), (800, 400), (1_200, 50), (400, 100), (0, 200)])
def test_what_was_staged_in_other_sizes_is_kept(kept: tuple[int, int], seconds: float) -> None:
    start, length = kept
    target = FakeContainer()
    tag = ranges.source_tag(location=LOCATION, total=len(DATA), etag='"1"', first=DATA[: SIZES.first])
    data = DATA[start : start + length]
    target.stage(NAME, ranges.block_id(start, data, tag=tag), data)
    done, asked = transferred(DATA, seconds=seconds, target=target)
    assert done.reused == 1
    assert not any(start < end and begin < start + length for begin, end in spans_after_first(asked))


def spans_after_first(asked: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start, start + length) for start, length in asked[1:]]


@pytest.mark.parametrize("kept", [(0, 400), (0, 100), (100, 400)])
def test_a_block_that_the_first_one_overlaps_is_not_kept(kept: tuple[int, int]) -> None:
    """Another version of the app, or another setting, began with another size: it cannot be compared."""
    start, length = kept
    target = FakeContainer()
    data = DATA[start : start + length]
    tag = ranges.source_tag(location=LOCATION, total=len(DATA), etag='"1"', first=DATA[: SIZES.first])
    target.stage(NAME, ranges.block_id(start, data, tag=tag), data)
    done, asked = transferred(DATA, seconds=0, target=target)
    assert (done.reused, asked) == (0, QUICK)


# --- room


def test_no_more_bytes_are_under_way_than_there_is_room_for() -> None:
    slots = ThreadSlots(room=10, least=1)
    lock = threading.Lock()
    inside: list[int] = []
    most = 0

    def task(size: int) -> None:
        nonlocal most
        with lock:
            inside.append(size)
            most = max(most, sum(inside))
        threading.Event().wait(0.002)
        with lock:
            inside.remove(size)

    sizes = [random.Random(number).choice((1, 3, 4, 7, 10, 25)) for number in range(60)]  # noqa: S311 - any sizes
    futures = [slots.submit(partial(task, min(size, 10)), size) for size in sizes]
    for future in futures:
        future.result(10)
    assert 0 < most <= 10


def test_nobody_is_let_in_past_another() -> None:
    """A small block that came later does not take the room for which a large one waits."""
    slots = ThreadSlots(room=4, least=1)
    gate = threading.Event()
    order: list[str] = []
    first = slots.submit(lambda: gate.wait(10), 2)
    large = slots.submit(lambda: order.append("large"), 4)
    small = slots.submit(lambda: order.append("small"), 1)
    assert not small.done()
    gate.set()
    for future in (first, large, small):
        future.result(10)
    assert order == ["large", "small"]


def test_room_is_given_back_after_a_failure() -> None:
    slots = ThreadSlots(room=1, least=1)

    def fail() -> None:
        raise ValueError("broken")

    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            slots.submit(fail, 1).result(10)
    assert slots.submit(lambda: 5, 1).result(10) == 5
