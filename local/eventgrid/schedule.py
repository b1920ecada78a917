"""When a failed delivery is tried again, if ever. Pure: outcomes in, delays out.

Rules: the service's documentation of delivery and retry (as of 2024); what is our inference says so.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.eventgrid.subscription import EndpointType

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
"""The pause after the first, second … failed try; the last one repeats."""

JITTER = 0.05
"""The "small randomization" of every pause: up to this share on top. Its size is not documented."""

DEAD_LETTER_DELAY = timedelta(minutes=5)
"""From the last try to the dead-letter blob."""

DEAD_LETTER_PATIENCE = timedelta(hours=4)
"""How long a dead-letter container may be out of reach before its events are dropped."""


class Outcome(StrEnum):
    """How a try ended, in the service's words where it has one (`lastDeliveryOutcome`)."""

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
    # Not among the documented words: for a status that has none of its own.
    GENERIC_ERROR = "GenericError"


_SUCCESS = range(200, 205)

_BY_STATUS: dict[int, Outcome] = {
    HTTPStatus.BAD_REQUEST: Outcome.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: Outcome.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: Outcome.FORBIDDEN,
    HTTPStatus.NOT_FOUND: Outcome.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: Outcome.TIMED_OUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Outcome.PAYLOAD_TOO_LARGE,
    # Inference: the documentation names only 503 as busy.
    HTTPStatus.TOO_MANY_REQUESTS: Outcome.BUSY,
    HTTPStatus.SERVICE_UNAVAILABLE: Outcome.BUSY,
}

_NEVER_AGAIN: dict[EndpointType, frozenset[int]] = {
    "WebHook": frozenset({400, 401, 403, 413}),
    "AzureFunction": frozenset({400, 403, 413}),
}

_AT_LEAST: dict[EndpointType, dict[int, timedelta]] = {
    "WebHook": {408: timedelta(minutes=2), 503: timedelta(seconds=30)},
    "AzureFunction": {
        401: timedelta(minutes=5),
        404: timedelta(minutes=5),
        408: timedelta(minutes=2),
        503: timedelta(seconds=30),
    },
}

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
_MOST_DOUBLINGS = 20


def outcome_of(status: int) -> Outcome:
    """What an HTTP status means: success is 200 to 204 and nothing else, so a redirect is a failure."""
    if status in _SUCCESS:
        return Outcome.DELIVERED
    return _BY_STATUS.get(status, Outcome.GENERIC_ERROR)


def retry_delay(tries: int, *, status: int | None, endpoint_type: EndpointType, chance: float) -> timedelta | None:
    """The pause after `tries` failed tries (1 or more), of which the last got `status`; None: never again.

    `status` None: there was no answer. `chance`: 0 to 1, how much of the jitter comes on top.
    """
    if status in _NEVER_AGAIN[endpoint_type]:
        return None
    planned = RETRY_DELAYS[min(tries, len(RETRY_DELAYS)) - 1]
    least = _AT_LEAST[endpoint_type].get(status or 0, timedelta(0))
    return max(planned, least) * (1 + JITTER * chance)


def probation(rounds: int, *, outcome: Outcome, limit: timedelta) -> timedelta:
    """How long an endpoint gets nothing at all, after `rounds` such pauses that did not help.

    Documented: the first length by kind of failure, that it comes after about ten failures, and that it can
    reach hours. Inference: that it doubles.
    """
    first = _PROBATION.get(outcome, _PROBATION_OTHERWISE)
    factor: int = 2 ** min(rounds, _MOST_DOUBLINGS)
    return min(first * factor, limit)
