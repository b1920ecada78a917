"""Turns what a trigger brought into what the function's parameter takes, with the library's own converters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.functions.meta import Datum

from local.host.model import EVENT_GRID, QUEUE, TIMER, Function

if TYPE_CHECKING:
    from collections.abc import Mapping


def event_value(function: Function, event: Any) -> Any:
    """An Event Grid event (any JSON value) for the function: JSON text, or `func.EventGridEvent`."""
    text = json.dumps(event, ensure_ascii=False)
    return _as_text(function, text.encode()) if function.as_text else _decode(EVENT_GRID, Datum(text, "json"), None)


def queue_value(function: Function, body: bytes, metadata: Mapping[str, Any]) -> Any:
    """A queue message for the function. `metadata`: Id, DequeueCount, … by their names in the real host.

    Top-level properties of a JSON body override metadata of the same name (case ignored), as in the real host.
    """
    if function.as_text:
        return _as_text(function, body)
    data = {name: Datum(value, "int" if isinstance(value, int) else "string") for name, value in metadata.items()}
    names = {name.lower(): name for name in data}
    for key, value in _properties(body).items():
        if key.lower() in names and value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            data[names[key.lower()]] = Datum(text, "string")
    return _decode(QUEUE, Datum(body, "bytes"), data)


def timer_value(function: Function, info: Mapping[str, Any]) -> Any:
    """A `func.TimerRequest` from IsPastDue, ScheduleStatus and Schedule."""
    text = json.dumps(info)
    return _as_text(function, text.encode()) if function.as_text else _decode(TIMER, Datum(text, "json"), None)


def http_value(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    route: Mapping[str, str],
    body: bytes,
) -> func.HttpRequest:
    """A request for an HTTP function."""
    return func.HttpRequest(method, url, headers=headers, params=query, route_params=route, body=body)


def _properties(body: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _as_text(function: Function, body: bytes) -> str | bytes:
    return body.decode() if function.as_text is str else body


def _decode(kind: str, datum: Datum, metadata: Mapping[str, Datum] | None) -> Any:
    return converter_of(kind).decode(datum, trigger_metadata=metadata)


def converter_of(binding: str) -> Any:
    """The library's converter for a binding type, e.g. `queueTrigger`; None if it has none."""
    return func.get_binding_registry().get(binding)  # type: ignore[no-untyped-call]  # the library is partly typed
