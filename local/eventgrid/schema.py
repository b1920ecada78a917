"""The two envelopes of an event, and the conversion from one to the other. Pure.

Source: the service's documentation of its two schemas. An Event Grid event can be delivered as a CloudEvent, but not
a CloudEvent in the Event Grid schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

Event = Mapping[str, Any]
"""One event, decoded from JSON."""

Schema = Literal["EventGridSchema", "CloudEventSchemaV1_0"]
EVENT_GRID: Schema = "EventGridSchema"
CLOUD_EVENTS: Schema = "CloudEventSchemaV1_0"

_NEEDED: dict[Schema, tuple[str, ...]] = {
    EVENT_GRID: ("id", "subject", "eventType", "eventTime", "data"),
    CLOUD_EVENTS: ("id", "source", "type", "specversion"),
}


class EventError(ValueError):
    """The published value is not an event; the message names every fault."""


def schema_of(event: Event) -> Schema:
    """The envelope of `event`: a CloudEvent has a `specversion`."""
    return CLOUD_EVENTS if "specversion" in event else EVENT_GRID


def accepted(event: Any, *, topic: str) -> dict[str, Any]:
    """`event` with the service's own fields filled in. EventError if a field that its envelope requires is missing.

    In Azure the service writes `topic` and `metadataVersion` of an Event Grid event; here the publisher's values are
    kept, because emulated services publish for a topic of their own.
    """
    if not isinstance(event, Mapping):
        raise EventError("an event must be a JSON object")
    schema = schema_of(event)
    faults = [f"{name} is missing" for name in _NEEDED[schema] if name not in event]
    faults += [
        f"{name} must be a non-empty string"
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
    """The event type that filters compare."""
    kind: str = event["type"] if schema_of(event) == CLOUD_EVENTS else event["eventType"]
    return kind


def delivered_as(event: Event, schema: Schema) -> Event:
    """`event` in the envelope of a subscription. EventError for a CloudEvent in the Event Grid schema."""
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
    """`value` as compact JSON in UTF-8, or with escapes if it holds lone surrogates, which UTF-8 cannot encode."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
