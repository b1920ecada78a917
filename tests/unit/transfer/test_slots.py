"""What all rescues of a process share: slots for blocks, and the pace that the media host allows."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest

from shared.domain.errors import MediaThrottled, MediaUnavailable
from shared.transfer.slots import InlineSlots, ThreadSlots
from shared.transfer.throttle import HostThrottle, Throttle
from tests.support.fakes import NOON, FakeClock

SECOND = timedelta(seconds=1)
US = "https://us-api.asm.skype.com/v1/objects/a/content/video"
EU = "https://eu-api.asm.skype.com/v1/objects/b/content/video"


def pace(most: int = 8) -> tuple[HostThrottle, FakeClock]:
    clock = FakeClock(NOON)
    return Throttle(clock=clock, most=most).at(US), clock


def throttled(one: HostThrottle, retry_after: timedelta | None = None) -> None:
    with pytest.raises(MediaThrottled), one.slot():
        raise MediaThrottled("429", retry_after=retry_after)


def test_nobody_is_held_at_first() -> None:
    one, clock = pace()
    assert (one.limit, one.hold()) == (8, timedelta(0))
    with one.slot():
        pass
    assert clock.paused == timedelta(0)


def test_after_a_429_everybody_waits_and_half_as_many_go_on() -> None:
    one, clock = pace()
    throttled(one, 3 * SECOND)
    assert (one.limit, one.hold()) == (4, 3 * SECOND)
    with one.slot():
        pass
    assert clock.paused == 3 * SECOND
    assert one.hold() == timedelta(0)


def test_a_429_without_a_time_holds_for_a_moment() -> None:
    one, _ = pace()
    throttled(one)
    assert one.hold() == HostThrottle.DEFAULT_HOLD


def test_a_long_hold_ends_the_try_instead_of_waiting() -> None:
    one, clock = pace()
    throttled(one, 60 * SECOND)
    clock.advance(10 * SECOND)
    with pytest.raises(MediaThrottled) as caught, one.slot():
        pass
    assert caught.value.retry_after == 50 * SECOND
    assert clock.paused == timedelta(0)
    assert one.limit == 4  # our own limit: no further sign of the host


def test_one_burst_of_answers_is_one_sign() -> None:
    """Requests that were under way together come back with 429 together."""
    one, clock = pace()
    first, second = one.slot(), one.slot()
    first.__enter__()
    second.__enter__()
    for slot, hold in ((first, 2), (second, 4)):
        slot.__exit__(MediaThrottled, MediaThrottled("429", retry_after=hold * SECOND), None)
    assert one.limit == 4
    assert one.hold() == 4 * SECOND
    clock.advance(5 * SECOND)
    throttled(one, SECOND)
    assert one.limit == 2


def test_a_shorter_hold_does_not_shorten_a_longer_one() -> None:
    one, _ = pace()
    first, second = one.slot(), one.slot()
    first.__enter__()
    second.__enter__()
    for slot, hold in ((first, 9), (second, 1)):
        slot.__exit__(MediaThrottled, MediaThrottled("429", retry_after=hold * SECOND), None)
    assert one.hold() == 9 * SECOND


def test_at_least_one_always_goes() -> None:
    one, clock = pace()
    for _ in range(9):
        throttled(one, SECOND)
        clock.advance(2 * SECOND)
    assert one.limit == 1
    with one.slot():
        pass
    assert one.limit == 2


def test_success_lets_it_grow_back_to_what_is_allowed() -> None:
    one, clock = pace()
    throttled(one, SECOND)
    clock.advance(2 * SECOND)
    for _ in range(100):
        with one.slot():
            pass
    assert one.limit == 8


def test_another_failure_changes_nothing() -> None:
    one, _ = pace()
    with pytest.raises(MediaUnavailable), one.slot():
        raise MediaUnavailable
    assert (one.limit, one.hold()) == (8, timedelta(0))


def test_a_long_retry_after_of_one_chunk_does_not_silence_the_others_for_long() -> None:
    """That chunk's own next try waits as long as the host said; the others find out for themselves."""
    one, clock = pace()
    throttled(one, timedelta(hours=24))
    assert one.hold() == timedelta(minutes=2)
    clock.advance(timedelta(minutes=2))
    with one.slot():
        pass


def test_a_429_of_one_host_says_nothing_of_another() -> None:
    clock = FakeClock(NOON)
    both = Throttle(clock=clock, most=8)
    throttled(both.at(US), 60 * SECOND)
    with both.at(EU).slot():
        pass
    assert (both.at(EU).limit, both.at(EU).hold(), clock.paused) == (8, timedelta(0), timedelta(0))
    with pytest.raises(MediaThrottled), both.at(US.replace("/a/", "/c/").replace("us-api", "US-API")).slot():
        pass


@pytest.mark.parametrize("hold", [3, 60])
@pytest.mark.parametrize("left", [-1, 0])
def test_nobody_is_held_beyond_the_deadline(hold: int, left: int) -> None:
    """The try just before it and the one after it are made."""
    one, clock = pace()
    throttled(one, hold * SECOND)
    for deadline in (clock.now() + (hold + left) * SECOND, clock.now() - SECOND):
        with one.slot(deadline=deadline):
            pass
    assert clock.paused == timedelta(0)
    assert one.hold() == hold * SECOND


def test_whoever_has_time_after_the_hold_is_held() -> None:
    one, clock = pace()
    throttled(one, 60 * SECOND)
    with pytest.raises(MediaThrottled), one.slot(deadline=clock.now() + 61 * SECOND):
        pass


def test_hosts_without_number_are_not_all_remembered() -> None:
    """A forged event can name any host below the allow-list's. Who is asked is not forgotten."""
    clock = FakeClock(NOON)
    many = Throttle(clock=clock, most=8)
    throttled(many.at(US), 60 * SECOND)
    for number in range(1_000):
        many.at(f"https://h{number}.asm.skype.com/x")
        assert many.at(US).hold() > timedelta(0)
    assert len(many._hosts) <= 64
    for odd in ("", "https://", "https://[half/x", "\x00"):
        assert many.at(odd).limit == 8


def test_no_more_at_once_than_allowed() -> None:
    one, _ = pace(most=2)
    lock = threading.Lock()
    both_inside = threading.Barrier(2)
    counts: list[int] = []
    inside = 0

    def ask() -> None:
        nonlocal inside
        with one.slot():
            with lock:
                inside += 1
                counts.append(inside)
            both_inside.wait(10)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(counts) == 6
    assert max(counts) == 2
    assert not both_inside.broken


def fail() -> None:
    raise MediaUnavailable("broken")


@pytest.mark.parametrize("slots", [InlineSlots(), ThreadSlots(room=3, least=1)], ids=["inline", "threads"])
def test_lanes_give_back_what_a_task_gives_or_raises(slots: InlineSlots | ThreadSlots) -> None:
    assert slots.submit(lambda: 5, 1).result(10) == 5
    with pytest.raises(MediaUnavailable, match="broken"):
        slots.submit(fail, 1).result(10)


def test_tasks_begin_in_the_order_they_came() -> None:
    slots = ThreadSlots(room=1, least=1)
    order: list[int] = []
    futures = [slots.submit(partial(order.append, number), 1) for number in range(20)]
    for future in futures:
        future.result(10)
    assert order == list(range(20))
    assert (InlineSlots.room, slots.room) == (1, 1)
