"""An event subscription: its endpoint, filter, envelope, and limits of delivery."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from local.eventgrid.schema import CLOUD_EVENTS, EVENT_GRID, Schema

_NAME = re.compile(r"[A-Za-z0-9-]{3,64}")
_MOST_ATTEMPTS = 30


@dataclass(frozen=True)
class Subscription:
    """One event subscription. ValueError names every setting outside the service's limits.

    `event_types`: None: all. `schema`: the envelope of deliveries. Retries end after `ttl` (1 minute to 24 h) or
    `max_attempts` (1 to 30); the event is lost then. `timeout` (for a response) and `handshake_wait` (for the endpoint
    to be up) are seconds of real time whatever the clock, because the endpoints are real programs.

    To test a receiver: `duplicate_probability` (0 to 1) of a second delivery of an event, and `reorder_window`, within
    which deliveries are spread at random.

    `concurrency`: requests in progress at once. After `delay_after` failures in a row (0: never) all deliveries are
    delayed, new events included: first by the kind of failure, then twice as long each time, up to three hours.
    """

    name: str
    endpoint: str
    _: KW_ONLY
    event_types: tuple[str, ...] | None = None
    schema: Schema = EVENT_GRID
    ttl: timedelta = timedelta(hours=24)
    max_attempts: int = _MOST_ATTEMPTS
    timeout: float = 30.0
    handshake_wait: float = 30.0
    concurrency: int = 32
    duplicate_probability: float = 0.0
    reorder_window: timedelta = timedelta(0)
    delay_after: int = 10

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        rules = {
            "name must have 3 to 64 letters, digits or hyphens": _NAME.fullmatch(self.name),
            "endpoint must be an http or https URL": parts.scheme in {"http", "https"} and parts.hostname,
            "schema is unknown": self.schema in {EVENT_GRID, CLOUD_EVENTS},
            "ttl must be 1 minute to 24 hours": timedelta(minutes=1) <= self.ttl <= timedelta(hours=24),
            "max_attempts must be 1 to 30": 1 <= self.max_attempts <= _MOST_ATTEMPTS,
            "timeout must be above 0 seconds": self.timeout > 0,
            "handshake_wait must be above 0 seconds": self.handshake_wait > 0,
            "concurrency must be above 0": self.concurrency > 0,
            "duplicate_probability must be 0 to 1": 0 <= self.duplicate_probability <= 1,
            "reorder_window must not be below 0": self.reorder_window >= timedelta(0),
            "delay_after must not be below 0": self.delay_after >= 0,
        }
        faults = [rule for rule, is_kept in rules.items() if not is_kept]
        if faults:
            raise ValueError("; ".join(faults))

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are delivered; types are compared without regard to case."""
        return self.event_types is None or event_type.casefold() in {t.casefold() for t in self.event_types}
