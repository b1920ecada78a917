"""The two envelopes an event can have, and the way from one to the other. Pure.

Rules: the service's documentation of its two schemas. An Event Grid event can go out as a CloudEvent; the
service does not deliver a CloudEvent in the Event Grid schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

Event = Mapping[str, Any]
"""One event as JSON has it."""

Schema = Literal["EventGridSchema", "CloudEventSchemaV1_0"]
EVENT_GRID: Schema = "EventGridSchema"
CLOUD_EVENTS: Schema = "CloudEventSchemaV1_0"

_NEEDED: dict[Schema, tuple[str, ...]] = {
    EVENT_GRID: ("id", "subject", "eventType", "eventTime", "data"),
    CLOUD_EVENTS: ("id", "source", "type", "specversion"),
}


class EventError(ValueError):
    """What was published is no event; the message names every fault."""


def schema_of(event: Event) -> Schema:
    """The envelope that `event` has: a CloudEvent says its `specversion`."""
    return CLOUD_EVENTS if "specversion" in event else EVENT_GRID


def accepted(event: Any, *, topic: str) -> dict[str, Any]:
    """`event` as the service keeps it; raises `EventError` if it lacks what its envelope demands.

    The service, not the publisher, writes `topic` and `metadataVersion` of an Event Grid event; an own value is
    kept here, because emulated services publish on behalf of their own topic.
    """
    if not isinstance(event, Mapping):
        raise EventError("an event must be a JSON object")
    schema = schema_of(event)
    faults = [f"{name} is missing" for name in _NEEDED[schema] if name not in event]
    faults += [
        f"{name} must be a string that is not empty"
        for name in ("id", "eventType", "eventTime", "source", "type")
        if name in event and not (isinstance(event[name], str) and event[name])
    ]
    if schema == CLOUD_EVENTS and event.get("specversion") != "1.0":
        faults.append("specversion must be 1.0")
    if faults:
        raise EventError("; ".join(faults))
    if schema == CLOUD_EVENTS:
        return dict(event)
    return {"topic": topic, "dataVersion": "", "metadataVersion": "1", **event}


def type_of(event: Event) -> str:
    """The event type that filters look at."""
    kind: str = event["type"] if schema_of(event) == CLOUD_EVENTS else event["eventType"]
    return kind


def delivered_as(event: Event, schema: Schema) -> Event:
    """`event` in the envelope of a subscription; raises `EventError` for the way that does not exist."""
    given = schema_of(event)
    if given == schema:
        return event
    if given == CLOUD_EVENTS:
        raise EventError("a CloudEvent cannot be delivered in the Event Grid schema")
    return {
        "id": event["id"],
        "source": event["topic"],
        "specversion": "1.0",
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
        "data": event["data"],
    }


def encoded(value: Any) -> bytes:
    """`value` as compact JSON in UTF-8; with escapes where UTF-8 has no bytes (half a surrogate pair)."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
