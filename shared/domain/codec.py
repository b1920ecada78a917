"""Recordings as JSON documents and back: camelCase names, times as RFC 3339 UTC, durations in milliseconds.

A reader ignores fields it does not know and takes defaults for those that are missing, so that two versions of
the app can share one ledger while one replaces the other.
"""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def format_time(moment: datetime) -> str:
    """`2026-11-22T10:00:00.123Z`: milliseconds, UTC; sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Reads RFC 3339 with any number of fraction digits (ACS writes seven); aware, UTC. ValueError if it cannot.

    Down to the millisecond, as documents keep it: what an event said compares equal to what was kept of it.
    """
    moment = datetime.fromisoformat(_three_digits(text.strip()))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time at the edge of the calendar") from error


def _three_digits(text: str) -> str:
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}.{digits[:3].ljust(3, '0')}{tail[len(digits) :]}"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def to_plain(value: Any) -> Any:
    """A dataclass (or a value within one) as plain JSON types; fields that are None or empty are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        plain = {_camel(field.name): to_plain(getattr(value, field.name)) for field in fields(value)}
        return {name: item for name, item in plain.items() if item is not None and item != []}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


@lru_cache
def _shape(kind: Any) -> tuple[tuple[str, str, Any, bool], ...]:
    hints = get_type_hints(kind)
    return tuple(
        (
            field.name,
            _camel(field.name),
            hints[field.name],
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(kind)
    )


def from_plain(kind: type[T], plain: Any) -> T:
    """The dataclass `kind` from what `to_plain` made of it. ValueError, KeyError or TypeError where that cannot be."""
    if not isinstance(plain, dict):
        raise TypeError(f"{kind.__name__} is written as an object")
    shape: Any = _shape
    values = {
        name: _value(hint, plain[camel])
        for name, camel, hint, is_required in shape(kind)
        if is_required or camel in plain
    }
    return kind(**values)


def _value(hint: Any, plain: Any) -> Any:  # noqa: PLR0911 - one for each kind of field
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if plain is None:
            return None
        return _value(next(arg for arg in get_args(hint) if arg is not type(None)), plain)
    if origin is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in plain)
    if isinstance(hint, type) and is_dataclass(hint):
        return from_plain(hint, plain)
    if hint is datetime:
        return parse_time(plain)
    if hint is timedelta:
        return timedelta(milliseconds=plain)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(plain)
    return plain


def encode(value: Any) -> bytes:
    """The document's bytes: compact JSON, UTF-8; what is not (a lone surrogate) is replaced."""
    return json.dumps(to_plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def decode(kind: type[T], data: bytes) -> T:
    """The value of the document `data`. ValueError where it is not one of `kind`."""
    try:
        return from_plain(kind, json.loads(data))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a {kind.__name__}: {type(error).__name__}: {error}") from error
