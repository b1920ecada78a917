"""The retry rules, as tables."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.eventgrid.schedule import JITTER, RETRY_DELAYS, Outcome, outcome_of, probation, retry_delay

if TYPE_CHECKING:
    from local.eventgrid.subscription import EndpointType

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def _delay(tries: int, status: int | None, endpoint_type: EndpointType = "WebHook") -> timedelta | None:
    return retry_delay(tries, status=status, endpoint_type=endpoint_type, chance=0.5)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (201, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (203, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (205, Outcome.GENERIC_ERROR),
        (302, Outcome.GENERIC_ERROR),
        (400, Outcome.BAD_REQUEST),
        (401, Outcome.UNAUTHORIZED),
        (403, Outcome.FORBIDDEN),
        (404, Outcome.NOT_FOUND),
        (408, Outcome.TIMED_OUT),
        (413, Outcome.PAYLOAD_TOO_LARGE),
        (429, Outcome.BUSY),
        (500, Outcome.GENERIC_ERROR),
        (503, Outcome.BUSY),
        (599, Outcome.GENERIC_ERROR),
    ],
)
def test_only_200_to_204_are_success(status: int, outcome: Outcome) -> None:
    """Every status has an outcome, in the service's words where it has one."""
    assert outcome_of(status) is outcome


@pytest.mark.parametrize(
    ("tries", "at_least"),
    [
        (1, 10 * SECOND),
        (2, 30 * SECOND),
        (3, MINUTE),
        (4, 5 * MINUTE),
        (5, 10 * MINUTE),
        (6, 30 * MINUTE),
        (7, HOUR),
        (8, 3 * HOUR),
        (9, 6 * HOUR),
        (10, 12 * HOUR),
        (29, 12 * HOUR),
    ],
)
def test_the_pauses_grow_as_documented(tries: int, at_least: timedelta) -> None:
    """The documented pause, with a little more by chance, never less."""
    delay = _delay(tries, 500)
    assert delay is not None
    assert at_least <= delay <= at_least * (1 + JITTER)


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_web_hook_that_refuses_for_good_is_not_tried_again(status: int) -> None:
    """These four end the tries at once."""
    assert _delay(1, status) is None


def test_a_functions_401_is_tried_again_after_five_minutes() -> None:
    """An Azure Function, unlike a web hook, may get its rights back."""
    delay = _delay(1, 401, "AzureFunction")
    assert delay is not None
    assert delay >= 5 * MINUTE


@pytest.mark.parametrize(("status", "at_least"), [(503, 30 * SECOND), (408, 2 * MINUTE), (None, 10 * SECOND)])
def test_some_answers_ask_for_a_longer_pause(status: int | None, at_least: timedelta) -> None:
    """The pause of the schedule is raised to the one documented for the status."""
    delay = _delay(1, status)
    assert delay is not None
    assert at_least <= delay <= at_least * (1 + JITTER)


@given(rounds=st.integers(0, 10_000), outcome=st.sampled_from(list(Outcome)))
def test_delayed_delivery_grows_up_to_its_limit(rounds: int, outcome: Outcome) -> None:
    """Each pause is as long as the one before or longer, and never above the limit."""
    limit = 3 * HOUR
    now, later = (probation(r, outcome=outcome, limit=limit) for r in (rounds, rounds + 1))
    assert timedelta(0) < now <= later <= limit


def test_eleven_tries_fit_into_a_day() -> None:
    """With any jitter; the twelfth would come after the time to live."""
    day, all_pauses = timedelta(days=1), sum(RETRY_DELAYS, timedelta())
    assert all_pauses * (1 + JITTER) < day < all_pauses + RETRY_DELAYS[-1]
