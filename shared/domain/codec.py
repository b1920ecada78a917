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
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def format_time(moment: datetime) -> str:
    """`2026-11-22T10:00:00.123Z`: milliseconds, UTC; sorts as text."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Reads RFC 3339 with any number of fraction digits (ACS writes seven); aware, UTC. ValueError if it cannot.

    Down to the millisecond, as documents keep it: what an event said compares equal to what was kept of it.
    """
    if len(text) == 24 and text.endswith("Z") and text[19] == ".":
        return datetime.fromisoformat(text)  # as this app writes it
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


@lru_cache
def _names(kind: type[Any]) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, _camel(field.name)) for field in fields(kind))


def _dataclass_to_plain(value: Any) -> dict[str, Any]:
    plain = {}
    names: Any = _names
    for name, camel in names(type(value)):
        item = getattr(value, name)
        if item is None or item == ():
            continue
        item = item if type(item) in _PLAIN else to_plain(item)
        if item != []:
            plain[camel] = item
    return plain


_PLAIN = frozenset({str, int, bool})


def _same(value: Any) -> Any:
    return value


@lru_cache
def _writer(kind: type[Any]) -> Callable[[Any], Any]:
    """What makes plain JSON types of a value of that type."""
    if is_dataclass(kind):
        return _dataclass_to_plain
    if issubclass(kind, StrEnum):
        return lambda value: value.value
    if issubclass(kind, datetime):
        return format_time
    if issubclass(kind, timedelta):
        return lambda value: round(value.total_seconds() * 1000)
    if issubclass(kind, tuple | list):
        return lambda value: [to_plain(item) for item in value]
    return _same


def to_plain(value: Any) -> Any:
    """A dataclass (or a value within one) as plain JSON types; fields that are None or empty are left out."""
    writer: Any = _writer
    return writer(type(value))(value)


@lru_cache
def _shape(kind: type[Any]) -> tuple[tuple[str, str, Callable[[Any], Any], bool], ...]:
    hints = get_type_hints(kind)
    return tuple(
        (
            field.name,
            _camel(field.name),
            _reader(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(kind)
    )


def from_plain(kind: type[T], plain: Any) -> T:
    """The dataclass `kind` from what `to_plain` made of it. ValueError, KeyError or TypeError where that cannot be."""
    if not isinstance(plain, dict):
        raise TypeError(f"{kind.__name__} is written as an object")
    shape: Any = _shape
    values = {name: read(plain[camel]) for name, camel, read, is_needed in shape(kind) if is_needed or camel in plain}
    return kind(**values)


@lru_cache
def _reader(hint: Any) -> Callable[[Any], Any]:  # noqa: PLR0911 - one for each kind of field
    """What makes a value of that type of plain JSON types."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        read = _reader(next(arg for arg in get_args(hint) if arg is not type(None)))
        return lambda plain: None if plain is None else read(plain)
    if origin is tuple:
        read_item = _reader(get_args(hint)[0])
        return lambda plain: tuple([read_item(item) for item in plain])
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda plain: from_plain(hint, plain)
    if hint is datetime:
        return parse_time
    if hint is timedelta:
        return lambda plain: timedelta(milliseconds=plain)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return _same


def encode(value: Any) -> bytes:
    """The document's bytes: compact JSON, UTF-8; what is not (a lone surrogate) is replaced."""
    return _JSON.encode(to_plain(value)).encode("utf-8", "replace")


def decode(kind: type[T], data: bytes) -> T:
    """The value of the document `data`. ValueError where it is not one of `kind`."""
    try:
        return from_plain(kind, json.loads(data))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a {kind.__name__}: {type(error).__name__}: {error}") from error
