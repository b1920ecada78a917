"""The schedule of tries, as a table and by property."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.backoff import History, NextTry, RetryPolicy, delivery_delay, next_try, spread
from tests.unit.builders import NOON

if TYPE_CHECKING:
    from random import Random

POLICY = RetryPolicy(longest=timedelta(minutes=5))
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def history(
    *, left: timedelta, failures: int = 0, seen: timedelta = timedelta(hours=24), is_tried: bool = False
) -> History:
    """A chunk whose window ends in `left` and that was first seen `seen` ago, all as of noon."""
    return History(failures, NOON + left, NOON - seen, tried_after_deadline=is_tried)


TABLE = [
    # failures, left, random, retry_after, expected delay in seconds
    (0, 24 * HOUR, 0.5, None, 2.5),
    (1, 24 * HOUR, 0.5, None, 5),
    (2, 24 * HOUR, 0.5, None, 10),
    (5, 24 * HOUR, 0.5, None, 80),
    (6, 24 * HOUR, 0.5, None, 150),
    (60, 24 * HOUR, 0.5, None, 150),
    (10**9, 24 * HOUR, 0.999, None, 299.7),
    (0, 24 * HOUR, 0.0, None, 1),
    (60, HOUR, 0.5, None, 150),  # a twelfth of an hour is still five minutes
    (60, 30 * MINUTE, 0.5, None, 75),
    (60, 6 * MINUTE, 0.5, None, 15),
    (60, 50 * SECOND, 0.5, None, 2.5),  # no shorter than a first delay
    (0, 24 * HOUR, 0.0, 60, 60),
    (0, 24 * HOUR, 0.5, 60, 63),
    (60, 24 * HOUR, 0.9, 60, 270),  # our own delay is longer
    (0, HOUR, 0.0, 86_400, 3600 - 30),  # asks us to stay away beyond the window: the last try stays
    (0, 31 * SECOND, 0.999, None, 1),  # just before the margin: exactly the last moment
]


@pytest.mark.parametrize(("failures", "left", "random", "asked", "seconds"), TABLE)
def test_the_next_try(failures: int, left: timedelta, random: float, asked: int | None, seconds: float) -> None:
    plan = next_try(
        POLICY,
        history(left=left, failures=failures),
        now=NOON,
        random=random,
        retry_after=None if asked is None else timedelta(seconds=asked),
    )
    assert plan == NextTry(NOON + timedelta(seconds=seconds))


def test_within_the_margin_the_one_after_the_deadline_is_next() -> None:
    plan = next_try(POLICY, history(left=20 * SECOND), now=NOON, random=0.5)
    assert plan == NextTry(NOON + 50 * SECOND, is_after_deadline=True)


def test_after_the_deadline_there_is_one_try_and_then_none() -> None:
    plan = next_try(POLICY, history(left=-SECOND), now=NOON, random=0.5)
    assert plan == NextTry(NOON + MINUTE, is_after_deadline=True)
    assert next_try(POLICY, history(left=-SECOND, is_tried=True), now=NOON, random=0.5) is None


def test_an_event_that_came_late_gets_an_hour_of_tries() -> None:
    late = history(left=-10 * HOUR, seen=MINUTE)
    plan = next_try(POLICY, late, now=NOON, random=0.5)
    assert plan == NextTry(NOON + 2.5 * SECOND)
    assert next_try(POLICY, late, now=NOON + 59 * MINUTE, random=0.5) == NextTry(NOON + HOUR, is_after_deadline=True)


RANDOM = st.floats(0, 1, exclude_max=True)
HISTORIES = st.builds(
    History,
    st.integers(0, 10**6),
    st.integers(-2 * 86_400, 2 * 86_400).map(lambda s: NOON + timedelta(seconds=s)),
    st.integers(0, 2 * 86_400).map(lambda s: NOON - timedelta(seconds=s)),
    st.booleans(),
)
ASKED = st.none() | st.integers(0, 86_400).map(lambda s: timedelta(seconds=s))


def end_of(past: History) -> datetime:
    return max(past.deadline, past.first_seen_at + POLICY.late_grace)


@given(HISTORIES, RANDOM, ASKED)
def test_no_try_is_planned_beyond_the_last_moments(past: History, random: float, asked: timedelta | None) -> None:
    plan = next_try(POLICY, past, now=NOON, random=random, retry_after=asked)
    end = end_of(past)
    if plan is None:
        assert past.tried_after_deadline
        assert end <= NOON
    elif plan.is_after_deadline:
        assert end <= plan.at <= max(end, NOON) + POLICY.afterwards
    else:
        assert NOON < plan.at <= end - POLICY.last_margin


@given(HISTORIES, RANDOM)
def test_delays_are_drawn_from_zero_to_their_bound(past: History, random: float) -> None:
    """Full jitter: the bound doubles to five minutes and falls with the time that is left."""
    plan = next_try(POLICY, past, now=NOON, random=random)
    left = end_of(past) - NOON
    if plan is None or plan.is_after_deadline or plan.at == end_of(past) - POLICY.last_margin:
        return
    bound = min(POLICY.longest, POLICY.first * 2 ** min(past.failures, 20), max(left / 12, POLICY.first))
    assert plan.at - NOON == max(POLICY.shortest, bound * random)


@given(HISTORIES, RANDOM, st.integers(0, 86_400))
def test_a_service_that_asks_us_to_stay_away_is_heard(past: History, random: float, seconds: int) -> None:
    """Nobody comes before the time; only the last tries do not wait for it."""
    asked = timedelta(seconds=seconds)
    plan = next_try(POLICY, past, now=NOON, random=random, retry_after=asked)
    if plan and not plan.is_after_deadline and plan.at < end_of(past) - POLICY.last_margin:
        assert asked <= plan.at - NOON
        assert plan.at - NOON <= max(asked * 1.1, POLICY.longest) + SECOND


TAKES = st.sampled_from([timedelta(0), 30 * SECOND, 10 * MINUTE])


@given(st.randoms(use_true_random=False), TAKES, st.integers(1, 90_000))
def test_a_chunk_that_never_succeeds_ends_with_one_try_before_and_one_after_the_deadline(
    drawn: Random, takes: timedelta, left: int
) -> None:
    """However long a try takes: it ends, the last two tries frame the deadline, and they are not many in all."""
    now, failures, is_tried, tries = NOON, 0, False, []
    deadline = NOON + timedelta(seconds=left)
    while True:
        past = History(failures, deadline, NOON - 2 * HOUR, is_tried)
        plan = next_try(POLICY, past, now=now, random=drawn.random())
        if plan is None:
            break
        assert plan.at > now
        tries.append(plan.at)
        is_tried = is_tried or plan.is_after_deadline
        now, failures = plan.at + takes, failures + 1
        assert len(tries) < 2_000
    assert deadline <= tries[-1] <= deadline + 2 * POLICY.afterwards + takes
    assert sum(at >= deadline for at in tries) == 1
    if takes == timedelta(0) and left > 60:
        assert tries[-2] == deadline - POLICY.last_margin


def test_an_outage_of_all_but_ten_minutes_still_leaves_several_tries() -> None:
    """Tighter near the end: with the longest draws there are at least five tries in the last ten minutes."""
    now, count = NOON, 0
    while (plan := next_try(POLICY, history(left=10 * MINUTE, failures=99), now=now, random=0.999)) is not None:
        if plan.is_after_deadline:
            break
        now, count = plan.at, count + 1
    assert count >= 5


@given(RANDOM, st.integers(0, 3600))
def test_work_is_spread_over_the_given_time(random: float, seconds: int) -> None:
    at = spread(now=NOON, within=timedelta(seconds=seconds), random=random)
    assert NOON <= at <= NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("failures", "random", "seconds"),
    [(0, 0.0, 2.5), (0, 1.0, 5), (1, 0.0, 5), (9, 1.0, 2560), (10, 1.0, 3600), (10**9, 0.0, 1800)],
)
def test_deliveries_grow_from_seconds_to_an_hour(failures: int, random: float, seconds: float) -> None:
    assert delivery_delay(failures=failures, random=random) == timedelta(seconds=seconds)
