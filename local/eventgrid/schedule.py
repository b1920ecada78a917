"""When a failed delivery is retried, if at all. Pure functions from outcomes to delays.

Source: the service's documentation of delivery and retry (as of 2024). What is inferred is marked.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus

RETRY_DELAYS = (
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
)
"""The pause after the first, second … failed attempt; the last one repeats."""

JITTER = 0.05
"""The documented "small randomization": up to this share is added to every pause (inference: its size)."""


class Outcome(StrEnum):
    """Outcome of an attempt, by the service's names (`lastDeliveryOutcome`)."""

    DELIVERED = "Delivered"
    NOT_FOUND = "NotFound"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    BAD_REQUEST = "BadRequest"
    PAYLOAD_TOO_LARGE = "PayloadTooLarge"
    TIMED_OUT = "TimedOut"
    BUSY = "Busy"
    SOCKET_ERROR = "SocketError"
    RESOLUTION_ERROR = "ResolutionError"
    # Not a documented name: any status without one of its own.
    GENERIC_ERROR = "GenericError"


_SUCCESS = range(200, 205)

_BY_STATUS: dict[int, Outcome] = {
    HTTPStatus.BAD_REQUEST: Outcome.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: Outcome.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: Outcome.FORBIDDEN,
    HTTPStatus.NOT_FOUND: Outcome.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: Outcome.TIMED_OUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Outcome.PAYLOAD_TOO_LARGE,
    # Inference: only 503 is documented as busy.
    HTTPStatus.TOO_MANY_REQUESTS: Outcome.BUSY,
    HTTPStatus.SERVICE_UNAVAILABLE: Outcome.BUSY,
}

# Of a web hook; an Azure Function's 401 is retried.
_NOT_RETRIED = frozenset({400, 401, 403, 413})
_AT_LEAST = {408: timedelta(minutes=2), 503: timedelta(seconds=30)}

_PROBATION = {
    Outcome.BUSY: timedelta(seconds=10),
    Outcome.TIMED_OUT: timedelta(seconds=10),
    Outcome.SOCKET_ERROR: timedelta(seconds=30),
    Outcome.NOT_FOUND: timedelta(minutes=5),
    Outcome.RESOLUTION_ERROR: timedelta(minutes=5),
    Outcome.UNAUTHORIZED: timedelta(minutes=5),
    Outcome.FORBIDDEN: timedelta(minutes=5),
}
_PROBATION_OTHERWISE = timedelta(seconds=10)
_PROBATION_LIMIT = timedelta(hours=3)
_MOST_DOUBLINGS = 20


def outcome_of(status: int) -> Outcome:
    """The outcome for an HTTP status. Only 200 to 204 are success, so a redirect is a failure."""
    if status in _SUCCESS:
        return Outcome.DELIVERED
    return _BY_STATUS.get(status, Outcome.GENERIC_ERROR)


def retry_delay(attempts: int, *, status: int | None, chance: float) -> timedelta | None:
    """The pause after `attempts` failed attempts (1 or more), the last with `status`; None: no retry.

    `status` None: there was no response. `chance`: 0 to 1, the share of the jitter that is added.
    """
    if status in _NOT_RETRIED:
        return None
    planned = RETRY_DELAYS[min(attempts, len(RETRY_DELAYS)) - 1]
    least = _AT_LEAST.get(status or 0, timedelta(0))
    return max(planned, least) * (1 + JITTER * chance)


def probation(rounds: int, *, outcome: Outcome) -> timedelta:
    """How long an endpoint gets no delivery at all, after `rounds` earlier such pauses.

    Documented: the first length for each kind of failure, the start after about ten failures, and that it can
    reach hours. Inference: it doubles, up to three hours.
    """
    first = _PROBATION.get(outcome, _PROBATION_OTHERWISE)
    factor: int = 2 ** min(rounds, _MOST_DOUBLINGS)
    return min(first * factor, _PROBATION_LIMIT)
