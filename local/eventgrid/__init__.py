"""Event Grid for a laptop: delivery to web hooks by the service's rules. See README.md beside this file."""

from local.eventgrid.delivery_log import Attempt, Delivery, State
from local.eventgrid.grid import EventGrid
from local.eventgrid.schedule import RETRY_DELAYS, Outcome
from local.eventgrid.schema import CLOUD_EVENTS, EVENT_GRID, EventError, Schema
from local.eventgrid.subscription import Subscription
from local.eventgrid.webhook import HandshakeError

__all__ = [
    "CLOUD_EVENTS",
    "EVENT_GRID",
    "RETRY_DELAYS",
    "Attempt",
    "Delivery",
    "EventError",
    "EventGrid",
    "HandshakeError",
    "Outcome",
    "Schema",
    "State",
    "Subscription",
]
