"""When to try again: a pure function of the failure, the history, the clock and one random number.

Delays double from seconds to at most three minutes, drawn with full jitter (uniformly from zero to the bound), so that
ten thousand recordings that failed together do not come back together. A service's Retry-After is honoured on top.
As the deadline comes near the bound falls to a twelfth of what is left; one try comes just before the deadline and
one after it, because ACS may still have the media.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class RetryPolicy:
    """`first`: bound of the first delay; `longest`: the most it grows to; `shortest`: the least any delay is.

    `last_margin`: how long before the deadline the last regular try is; `afterwards`: how long after it the very
    last one comes. `late_grace`: an event that came so late that its deadline is over or nearly so still gets
    tries for this long from when it was first seen.
    """

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=3)
    shortest: timedelta = timedelta(seconds=1)
    last_margin: timedelta = timedelta(seconds=30)
    afterwards: timedelta = timedelta(minutes=1)
    late_grace: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class History:
    """What counts of the past: failed tries since the last progress, the end of the window, the try after it."""

    failures: int
    deadline: datetime
    first_seen_at: datetime
    tried_after_deadline: bool = False


@dataclass(frozen=True)
class NextTry:
    """The moment of the next try, and whether it is the one after the deadline."""

    at: datetime
    is_after_deadline: bool = False


def next_try(
    policy: RetryPolicy,
    history: History,
    *,
    now: datetime,
    random: float,
    retry_after: timedelta | None = None,
) -> NextTry | None:
    """The next try, or None when the window is over and the try after it was made.

    `random` is in [0, 1). A `retry_after` beyond the last moment does not take away the last try.
    """
    end = max(history.deadline, history.first_seen_at + policy.late_grace)
    if now >= end:
        if history.tried_after_deadline:
            return None
        return NextTry(now + policy.afterwards, is_after_deadline=True)
    left = end - now
    last = end - policy.last_margin
    delay = _delay(policy, history.failures, left=left, random=random)
    if retry_after is not None:
        # A tenth more, drawn, so that everybody who was told the same moment does not come at it.
        delay = max(delay, retry_after * (1 + 0.1 * random))
    at = now + delay
    if at <= last:
        return NextTry(at)
    if now < last:
        return NextTry(last)
    return NextTry(end + policy.afterwards * random, is_after_deadline=True)


def _delay(policy: RetryPolicy, failures: int, *, left: timedelta, random: float) -> timedelta:
    bound = min(policy.longest, policy.first * (1 << min(failures, 20)))
    bound = min(bound, max(left / 12, policy.first))
    return max(policy.shortest, bound * random)


def spread(*, now: datetime, within: timedelta, random: float) -> datetime:
    """A moment within the next `within`, drawn: for work that many begin at once."""
    return now + within * random


def delivery_delay(*, failures: int, random: float) -> timedelta:
    """From the fallback to the destination the ACS clock no longer matters: seconds at first, an hour at most."""
    bound = min(timedelta(hours=1), timedelta(seconds=5) * (1 << min(failures, 20)))
    return max(timedelta(seconds=1), bound / 2 + bound / 2 * random)
