"""An event subscription: its endpoint, filter, envelope, and limits of delivery."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from local.eventgrid.schema import CLOUD_EVENTS, EVENT_GRID, Schema

EndpointType = Literal["WebHook", "AzureFunction"]

_NAME = re.compile(r"[A-Za-z0-9-]{3,64}")
_MOST_ATTEMPTS = 30
_MOST_IN_BATCH = 5000
_MOST_KILOBYTES = 1024


@dataclass(frozen=True)
class DeadLetter:
    """The container for events that could not be delivered. It must exist."""

    connection_string: str
    container: str

    def __repr__(self) -> str:
        return f"DeadLetter(container={self.container!r})"


@dataclass(frozen=True)
class Subscription:
    """One event subscription. ValueError names every setting outside the service's limits.

    `event_types`: None: all. `schema`: the envelope of deliveries. `endpoint_type`: Event Grid retries a 401 of an
    Azure Function, not of a web hook. Retries end after `ttl` (1 minute to 24 h) or `max_attempts` (1 to 30).
    `batch_size` (events, 1 to 5000; 1: no batching) and `batch_kilobytes` (1 to 1024). `dead_letter`: None: an event
    that is given up is lost. `timeout` (for a response) and `handshake_wait` (for the endpoint to be up) are seconds
    of real time whatever the clock, because the endpoints are real programs.

    To test a receiver: `duplicate_probability` (0 to 1) of a second delivery of an event, and `reorder_window`, within
    which deliveries are spread at random.

    `concurrency`: requests in progress at once. After `delay_after` failures in a row (0: never) all deliveries are
    delayed, new events included: first by the kind of failure, then twice as long each time, up to `delay_limit`.
    """

    name: str
    endpoint: str
    _: KW_ONLY
    event_types: tuple[str, ...] | None = None
    schema: Schema = EVENT_GRID
    endpoint_type: EndpointType = "WebHook"
    ttl: timedelta = timedelta(hours=24)
    max_attempts: int = _MOST_ATTEMPTS
    batch_size: int = 1
    batch_kilobytes: int = 64
    dead_letter: DeadLetter | None = None
    timeout: float = 30.0
    handshake_wait: float = 30.0
    concurrency: int = 32
    duplicate_probability: float = 0.0
    reorder_window: timedelta = timedelta(0)
    delay_after: int = 10
    delay_limit: timedelta = timedelta(hours=3)

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        rules = {
            "name must have 3 to 64 letters, digits or hyphens": _NAME.fullmatch(self.name),
            "endpoint must be an http or https URL": parts.scheme in {"http", "https"} and parts.hostname,
            "schema is unknown": self.schema in {EVENT_GRID, CLOUD_EVENTS},
            "endpoint_type is unknown": self.endpoint_type in {"WebHook", "AzureFunction"},
            "ttl must be 1 minute to 24 hours": timedelta(minutes=1) <= self.ttl <= timedelta(hours=24),
            "max_attempts must be 1 to 30": 1 <= self.max_attempts <= _MOST_ATTEMPTS,
            "batch_size must be 1 to 5000": 1 <= self.batch_size <= _MOST_IN_BATCH,
            "batch_kilobytes must be 1 to 1024": 1 <= self.batch_kilobytes <= _MOST_KILOBYTES,
            "timeout must be above 0 seconds": self.timeout > 0,
            "handshake_wait must be above 0 seconds": self.handshake_wait > 0,
            "concurrency must be above 0": self.concurrency > 0,
            "duplicate_probability must be 0 to 1": 0 <= self.duplicate_probability <= 1,
            "reorder_window must not be below 0": self.reorder_window >= timedelta(0),
            "delay_after must not be below 0": self.delay_after >= 0,
            "delay_limit must not be below 0": self.delay_limit >= timedelta(0),
        }
        faults = [rule for rule, is_kept in rules.items() if not is_kept]
        if faults:
            raise ValueError("; ".join(faults))

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are delivered; types are compared without regard to case."""
        return self.event_types is None or event_type.casefold() in {t.casefold() for t in self.event_types}
