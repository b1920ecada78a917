"""The retry rules, as tables."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from local.eventgrid.schedule import JITTER, RETRY_DELAYS, Outcome, outcome_of, probation, retry_delay

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def _delay(attempts: int, status: int | None) -> timedelta:
    delay = retry_delay(attempts, status=status, chance=0.5)
    assert delay is not None, status
    return delay


def test_every_status_has_its_outcome() -> None:
    """Only 200 to 204 are success."""
    outcomes = {
        **dict.fromkeys(range(200, 205), Outcome.DELIVERED),
        **dict.fromkeys([205, 302, 500, 599], Outcome.GENERIC_ERROR),
        400: Outcome.BAD_REQUEST,
        401: Outcome.UNAUTHORIZED,
        403: Outcome.FORBIDDEN,
        404: Outcome.NOT_FOUND,
        408: Outcome.TIMED_OUT,
        413: Outcome.PAYLOAD_TOO_LARGE,
        429: Outcome.BUSY,
        503: Outcome.BUSY,
    }
    assert {status: outcome_of(status) for status in outcomes} == outcomes


def test_the_pauses_grow_as_documented() -> None:
    """The documented pause plus the jitter, never less."""
    pauses = [10 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR]
    for attempts, pause in [*enumerate(pauses, 1), (10, 12 * HOUR), (29, 12 * HOUR)]:
        assert pause <= _delay(attempts, 500) <= pause * (1 + JITTER), attempts


def test_four_statuses_are_not_retried() -> None:
    for status in (400, 401, 403, 413):
        assert retry_delay(1, status=status, chance=0.5) is None, status


def test_some_statuses_have_a_longer_first_pause() -> None:
    """The schedule's pause is raised to the one documented for the status."""
    for status, pause in ((503, 30 * SECOND), (408, 2 * MINUTE), (None, 10 * SECOND)):
        assert pause <= _delay(1, status) <= pause * (1 + JITTER), status


@given(rounds=st.integers(0, 10_000), outcome=st.sampled_from(list(Outcome)))
def test_probation_grows_up_to_its_limit(rounds: int, outcome: Outcome) -> None:
    """Each pause is as long as the one before or longer, and never above the limit."""
    now, later = (probation(r, outcome=outcome) for r in (rounds, rounds + 1))
    assert timedelta(0) < now <= later <= 3 * HOUR


def test_eleven_attempts_fit_into_a_day() -> None:
    """With any jitter; the twelfth would come after the time to live."""
    day, all_pauses = timedelta(days=1), sum(RETRY_DELAYS, timedelta())
    assert all_pauses * (1 + JITTER) < day < all_pauses + RETRY_DELAYS[-1]
