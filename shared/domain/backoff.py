"""When to try again: pure functions of the failure, the history, the clock and one random number.

Delays double from seconds to at most three minutes, drawn with full jitter (uniformly from zero to the bound), so that
ten thousand recordings that failed together do not come back together. A service's Retry-After is honoured on top,
up to five minutes. The window has two ends (`recording.py`): before each of them the pace tightens, and one attempt
comes just before it. Between them at least one attempt is made every three minutes. A chunk that no source ever
confirmed (404 and the like only) costs a request an hour at the most, and one just before each end. One attempt comes
after the latest end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_RETRY_AFTER = timedelta(minutes=5)
_UNCONFIRMED = timedelta(hours=1)
# An unconfirmed chunk is asked for at the usual pace for so long: ACS may not have it ready yet.
_NOT_READY_YET = timedelta(minutes=15)


@dataclass(frozen=True)
class RetryPolicy:
    """`first`: bound of the first delay; `longest`: the most it grows to; `shortest`: the least any delay is.

    `last_margin`: how long before an end of the window an attempt is made in any case; `afterwards`: how long after
    the latest end the very last one comes.
    """

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=3)
    shortest: timedelta = timedelta(seconds=1)
    last_margin: timedelta = timedelta(seconds=30)
    afterwards: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class History:
    """What counts of the past: failed attempts since the last progress, the two ends of the window, and whether the
    attempt after the latest end was made. `is_unconfirmed_since`: nothing but "not here" was heard since then.
    """

    failures: int
    at_risk_from: datetime
    abandon_after: datetime
    is_last_attempt_done: bool = False
    unconfirmed_since: datetime | None = None


@dataclass(frozen=True)
class NextAttempt:
    """The moment of the next attempt, and whether it is the one after the window."""

    at: datetime
    is_last: bool = False


def next_attempt(
    policy: RetryPolicy,
    history: History,
    *,
    now: datetime,
    random: float,
    retry_after: timedelta | None = None,
) -> NextAttempt | None:
    """The next attempt, or None when the window is over and the attempt after it was made. `random` is in [0, 1)."""
    end = history.abandon_after
    if now >= end:
        return None if history.is_last_attempt_done else NextAttempt(now + policy.afterwards, is_last=True)
    delay = _delay(policy, history, now=now, random=random)
    if retry_after is not None:
        # A tenth more, drawn: everyone who was given the same moment would come at it together.
        delay = max(delay, min(retry_after, LONGEST_RETRY_AFTER) * (1 + 0.1 * random))
    at = now + delay
    for edge in (history.at_risk_from, end):
        last = edge - policy.last_margin
        if now < last < at:
            at = last
    if at <= end - policy.last_margin or at < end:
        return NextAttempt(at)
    return NextAttempt(end + policy.afterwards * random, is_last=True)


def _delay(policy: RetryPolicy, history: History, *, now: datetime, random: float) -> timedelta:
    since = history.unconfirmed_since
    if since is not None and now - since > _NOT_READY_YET:
        return _UNCONFIRMED * (1 + 0.1 * random)
    bound = min(policy.longest, policy.first * (1 << min(history.failures, 20)))
    for edge in (history.at_risk_from, history.abandon_after):
        if now < edge:
            bound = min(bound, max((edge - now) / 12, policy.first))
    return max(policy.shortest, bound * random)


def spread(*, now: datetime, within: timedelta, random: float) -> datetime:
    """A moment within the next `within`, drawn: for work that many begin at once."""
    return now + within * random


def delivery_delay(*, failures: int, random: float) -> timedelta:
    """Where ACS's clock no longer matters (the bytes are safe): seconds at first, an hour at most."""
    bound = min(timedelta(hours=1), timedelta(seconds=5) * (1 << min(failures, 20)))
    return bound / 2 + bound / 2 * random
