"""When to try again, as a table and by property: paces, edges of the window, jitter, Retry-After."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.backoff import History, NextAttempt, RetryPolicy, delivery_delay, next_attempt, spread
from tests.unit.builders import HOUR, NOON

if TYPE_CHECKING:
    from datetime import datetime

POLICY = RetryPolicy()
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LONGEST = 180


def history(*, left: timedelta, failures: int = 0, **changes: object) -> History:
    """A chunk that is at risk in `left`, and abandoned an hour later."""
    return replace(History(failures, NOON + left, NOON + left + HOUR), **changes)  # type: ignore[arg-type]


TABLE = [
    # failures, left, random, Retry-After in seconds, expected delay in seconds
    (0, 24 * HOUR, 0.5, None, 2.5),
    (1, 24 * HOUR, 0.5, None, 5),
    (2, 24 * HOUR, 0.5, None, 10),
    (5, 24 * HOUR, 0.5, None, 80),
    (6, 24 * HOUR, 0.5, None, LONGEST / 2),
    (10**9, 24 * HOUR, 0.999, None, LONGEST * 0.999),
    (0, 24 * HOUR, 0.0, None, 1),
    (60, 12 * MINUTE, 0.5, None, 30),  # a twelfth of what is left
    (60, 50 * SECOND, 0.5, None, 2.5),  # and no shorter than a first delay
    (0, 24 * HOUR, 0.0, 60, 60),
    (0, 24 * HOUR, 0.5, 60, 63),
    (60, 24 * HOUR, 0.9, 60, LONGEST * 0.9),  # our own delay is longer
    (0, 24 * HOUR, 0.0, 72_000, 300),  # hours are not obeyed
    (0, 4 * MINUTE, 0.0, 72_000, 4 * 60 - 30),  # nor beyond the last moment before an end
    (0, 31 * SECOND, 0.999, None, 1),  # just before the margin: exactly the last moment
    (60, -30 * MINUTE, 0.5, None, 75),  # between the two ends the second one counts
    (0, -(HOUR - 31 * SECOND), 0.999, None, 1),
]


@pytest.mark.parametrize(("failures", "left", "random", "asked", "seconds"), TABLE)
def test_the_next_attempt(failures: int, left: timedelta, random: float, asked: int | None, seconds: float) -> None:
    after = None if asked is None else timedelta(seconds=asked)
    plan = next_attempt(POLICY, history(left=left, failures=failures), now=NOON, random=random, retry_after=after)
    assert plan == NextAttempt(NOON + timedelta(seconds=seconds))


def test_within_the_last_margin_the_one_after_the_window_is_next() -> None:
    plan = next_attempt(POLICY, history(left=-HOUR + 3 * SECOND), now=NOON, random=0.9)
    assert plan == NextAttempt(NOON + 3 * SECOND + 0.9 * MINUTE, is_last=True)


def test_after_the_window_there_is_one_attempt_and_then_none() -> None:
    over = history(left=-2 * HOUR)
    assert next_attempt(POLICY, over, now=NOON, random=0.5) == NextAttempt(NOON + MINUTE, is_last=True)
    assert next_attempt(POLICY, replace(over, is_last_attempt_done=True), now=NOON, random=0.5) is None


@pytest.mark.parametrize(("since", "pace"), [(10 * MINUTE, LONGEST / 2), (20 * MINUTE, 3600 * 1.05)])
def test_what_nothing_confirms_is_asked_for_once_an_hour_after_a_while(since: timedelta, pace: float) -> None:
    past = history(left=20 * HOUR, failures=60, unconfirmed_since=NOON - since)
    assert next_attempt(POLICY, past, now=NOON, random=0.5) == NextAttempt(NOON + timedelta(seconds=pace))


def test_what_nothing_confirms_is_asked_for_just_before_each_end_all_the_same() -> None:
    past = history(left=10 * MINUTE, failures=60, unconfirmed_since=NOON - HOUR)
    assert next_attempt(POLICY, past, now=NOON, random=0.5) == NextAttempt(NOON + 10 * MINUTE - 30 * SECOND)
    between = history(left=-MINUTE, failures=60, unconfirmed_since=NOON - HOUR)
    assert next_attempt(POLICY, between, now=NOON, random=0.5) == NextAttempt(NOON + HOUR - MINUTE - 30 * SECOND)


RANDOM = st.floats(0, 1, exclude_max=True)
LEFT = st.integers(-2 * 86_400, 2 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
HISTORIES = st.builds(
    lambda failures, left, is_done: history(left=left, failures=failures, is_last_attempt_done=is_done),
    st.integers(0, 10**6),
    LEFT,
    st.booleans(),
)
ASKED = st.none() | st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds))


@given(HISTORIES, RANDOM, ASKED)
def test_no_attempt_is_planned_beyond_the_last_one(past: History, random: float, asked: timedelta | None) -> None:
    plan = next_attempt(POLICY, past, now=NOON, random=random, retry_after=asked)
    end = past.abandon_after
    if plan is None:
        assert past.is_last_attempt_done
        assert end <= NOON
    elif plan.is_last:
        assert end <= plan.at <= max(end, NOON) + POLICY.afterwards
    else:
        assert NOON < plan.at < end


@given(HISTORIES, RANDOM)
def test_delays_are_drawn_from_zero_to_their_bound(past: History, random: float) -> None:
    """Ten thousand that failed together do not come back together."""
    plan = next_attempt(POLICY, past, now=NOON, random=random)
    edges = [edge for edge in (past.at_risk_from, past.abandon_after) if edge > NOON]
    last = [edge - POLICY.last_margin for edge in edges]
    if plan is None or plan.is_last or plan.at in last:
        return
    lefts = [max((edge - NOON) / 12, POLICY.first) for edge in edges]
    bound = min(POLICY.longest, POLICY.first * 2 ** min(past.failures, 20), *lefts)
    assert plan.at - NOON == max(POLICY.shortest, bound * random)


@given(HISTORIES, RANDOM, st.integers(0, 86_400))
def test_a_service_that_asks_for_a_pause_has_it_up_to_five_minutes(past: History, random: float, seconds: int) -> None:
    asked = timedelta(seconds=seconds)
    plan = next_attempt(POLICY, past, now=NOON, random=random, retry_after=asked)
    last = [edge - POLICY.last_margin for edge in (past.at_risk_from, past.abandon_after)]
    if plan and not plan.is_last and plan.at not in last:
        assert min(asked, 5 * MINUTE) <= plan.at - NOON <= max(1.1 * min(asked, 5 * MINUTE), POLICY.longest) + SECOND


@pytest.mark.parametrize("since", [None, NOON], ids=["confirmed", "unconfirmed"])
@pytest.mark.parametrize("takes", [timedelta(0), 30 * SECOND, 10 * MINUTE])
@pytest.mark.parametrize("seed", range(5))
def test_a_chunk_that_never_succeeds_ends_with_one_attempt_after_the_window(
    seed: int, takes: timedelta, since: datetime | None
) -> None:
    """However long an attempt takes: they end, one comes shortly before each end, and they are not many in all."""
    drawn = Random(seed)  # noqa: S311 - reproducible, and nothing secret
    now, failures, is_done, attempts = NOON, 0, False, []
    while True:
        past = history(left=24 * HOUR, failures=failures, is_last_attempt_done=is_done, unconfirmed_since=since)
        plan = next_attempt(POLICY, past, now=now, random=drawn.random())
        if plan is None:
            break
        assert plan.at > now
        attempts.append(plan.at)
        is_done = is_done or plan.is_last
        now, failures = plan.at + takes, failures + 1
    for end in (NOON + 24 * HOUR, NOON + 25 * HOUR):
        assert any(end - takes - MINUTE <= at < end for at in attempts)
    assert NOON + 25 * HOUR <= attempts[-1] <= NOON + 25 * HOUR + takes + 2 * MINUTE
    assert len(attempts) < (2_000 if since is None else 70)


@given(RANDOM)
def test_work_is_spread_over_the_given_time(random: float) -> None:
    assert NOON <= spread(now=NOON, within=MINUTE, random=random) <= NOON + MINUTE


@given(st.integers(0, 10**6), RANDOM)
def test_deliveries_grow_from_seconds_to_an_hour(failures: int, random: float) -> None:
    delay = delivery_delay(failures=failures, random=random)
    assert SECOND <= delay <= HOUR
    assert delivery_delay(failures=20, random=random) >= HOUR / 2
    assert delivery_delay(failures=0, random=random) <= 5 * SECOND


@pytest.mark.parametrize(
    ("failures", "random", "seconds"),
    [(0, 0, 2.5), (0, 0.5, 3.75), (3, 0.5, 30), (9, 0.5, 1920), (10, 0.5, 2700), (10**6, 0, 1800)],
)
def test_a_delivery_waits_for_the_upper_half_of_a_bound_that_doubles(
    failures: int, random: float, seconds: float
) -> None:
    assert delivery_delay(failures=failures, random=random) == timedelta(seconds=seconds)
