"""Converts a trigger's data to the value of the function's parameter, by the library's own converters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.functions.meta import Datum

from local.host.model import EVENT_GRID, HTTP, QUEUE, TIMER

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETERS: dict[str, type] = {
    HTTP: func.HttpRequest,
    EVENT_GRID: str,
    QUEUE: func.QueueMessage,
    TIMER: func.TimerRequest,
}
"""The supported type of the parameter, by the kind of trigger."""


def converter_of(binding: str) -> Any:
    """The library's converter for a binding type, e.g. `queueTrigger`; None if it has none."""
    return func.get_binding_registry().get(binding)  # type: ignore[no-untyped-call]  # the library is partly typed


def event_value(event: Any) -> str:
    """An Event Grid event (any JSON value) as its JSON."""
    return json.dumps(event, ensure_ascii=False)


def queue_value(body: bytes, metadata: Mapping[str, Any]) -> Any:
    """A `func.QueueMessage`. `metadata`: Id, DequeueCount, … by their names in the real host.

    Top-level properties of a JSON body override metadata of the same name (case ignored), as in the real host.
    """
    data = {name: Datum(value, "int" if isinstance(value, int) else "string") for name, value in metadata.items()}
    names = {name.lower(): name for name in data}
    for key, value in _properties(body).items():
        if key.lower() in names and value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            data[names[key.lower()]] = Datum(text, "string")
    return converter_of(QUEUE).decode(Datum(body, "bytes"), trigger_metadata=data)


def timer_value(info: Mapping[str, Any]) -> Any:
    """A `func.TimerRequest` from IsPastDue, ScheduleStatus and Schedule."""
    return converter_of(TIMER).decode(Datum(json.dumps(info), "json"), trigger_metadata=None)


def _properties(body: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
