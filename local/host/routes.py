"""HTTP routes as ASP.NET Core matches them: parameters, constraints, defaults, catch-all and precedence.

Literals ignore case; a parameter takes one segment (or part of one: `{name}.{ext}`); `{*rest}` takes the remainder.
Source: the routing page of ASP.NET Core's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

_PARAMETER = re.compile(r"\{(\*{0,2})([A-Za-z_][A-Za-z0-9_-]*)((?::(?:[^(){}:?=]+(?:\([^)]*\))?))*)(=[^}]*|\?)?\}")
_CONSTRAINT = re.compile(r":([A-Za-z]+)(?:\(([^)]*)\))?")
_GUID = re.compile(r"^[{(]?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}[)}]?$")
_INT32, _INT64 = 2**31, 2**63
# Rank of a segment, best first; a constraint beats none.
_LITERAL, _CONSTRAINED, _PLAIN, _CATCH_ALL_CONSTRAINED, _CATCH_ALL = range(5)


class RouteError(ValueError):
    """A route template that the real host would refuse."""


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError(text)
    return int(text)


def _holds(test: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return bool(test(text))
        except ValueError:
            return False

    return check


def _constraint(name: str, argument: str | None) -> Callable[[str], bool]:
    numbers = [int(part) for part in (argument or "").split(",") if re.fullmatch(r"\s*-?\d+\s*", part)]
    simple: dict[str, Callable[[str], object]] = {
        "int": lambda text: -_INT32 <= _whole(text) < _INT32,
        "long": lambda text: -_INT64 <= _whole(text) < _INT64,
        "bool": lambda text: text.lower() in {"true", "false"},
        "guid": _GUID.match,
        "alpha": re.compile(r"^[A-Za-z]*$").match,
        "decimal": re.compile(r"^[+-]?\d+(\.\d+)?$").match,
        "double": lambda text: float(text) is not None,
        "float": lambda text: float(text) is not None,
        "required": bool,
    }
    with_numbers: dict[tuple[str, int], Callable[[str], object]] = {
        ("length", 1): lambda text: len(text) == numbers[0],
        ("length", 2): lambda text: numbers[0] <= len(text) <= numbers[1],
        ("minlength", 1): lambda text: len(text) >= numbers[0],
        ("maxlength", 1): lambda text: len(text) <= numbers[0],
        ("min", 1): lambda text: _whole(text) >= numbers[0],
        ("max", 1): lambda text: _whole(text) <= numbers[0],
        ("range", 2): lambda text: numbers[0] <= _whole(text) <= numbers[1],
    }
    if name in simple and argument is None:
        return _holds(simple[name])
    if name == "regex" and argument:
        return _holds(re.compile(argument, re.IGNORECASE).search)
    if (name, len(numbers)) in with_numbers:
        return _holds(with_numbers[(name, len(numbers))])
    raise RouteError(f"the route constraint {name!r} is not known here")


@dataclass(frozen=True)
class _Parameter:
    name: str
    checks: tuple[Callable[[str], bool], ...]
    default: str | None
    optional: bool
    catch_all: bool

    def accepts(self, text: str) -> bool:
        return all(check(text) for check in self.checks)


class Route:
    """One route template, e.g. `recordings/{id:int}/{*rest}`; `RouteError` if it is malformed."""

    def __init__(self, template: str) -> None:
        self.template = template.strip("/")
        self._segments = [_Segment(text) for text in self.template.split("/")] if self.template else []
        if any(segment.catch_all for segment in self._segments[:-1]):
            raise RouteError("a catch-all parameter must come last")
        self.precedence = tuple(segment.rank for segment in self._segments)

    def match(self, path: list[str]) -> dict[str, str] | None:
        """The route's parameters if it matches these path segments (still percent-encoded), else None."""
        values: dict[str, str] = {}
        for index, segment in enumerate(self._segments):
            if segment.catch_all:
                found = segment.match("/".join(path[index:]))
                return None if found is None else values | found
            found = segment.match(path[index]) if index < len(path) else segment.absent()
            if found is None:
                return None
            values |= found
        return values if len(path) <= len(self._segments) else None


class _Segment:
    def __init__(self, text: str) -> None:
        self._parameters: list[_Parameter] = []
        pattern, end = "", 0
        for found in _PARAMETER.finditer(text):
            pattern += _literal(text[end : found.start()]) + f"(?P<p{len(self._parameters)}>.*)"
            self._parameters.append(_parameter(found))
            end = found.end()
        self._pattern = re.compile(pattern + _literal(text[end:]), re.IGNORECASE | re.DOTALL)
        self._alone = len(self._parameters) == 1 and _PARAMETER.fullmatch(text) is not None
        self.catch_all = any(parameter.catch_all for parameter in self._parameters)
        constrained = any(parameter.checks for parameter in self._parameters) or not self._alone
        if not self._parameters:
            self.rank = _LITERAL
        elif self.catch_all:
            self.rank = _CATCH_ALL_CONSTRAINED if constrained else _CATCH_ALL
        else:
            self.rank = _CONSTRAINED if constrained else _PLAIN

    def match(self, text: str) -> dict[str, str] | None:
        found = self._pattern.fullmatch(_decode(text))
        if found is None:
            return None
        values = {parameter.name: found[f"p{index}"] for index, parameter in enumerate(self._parameters)}
        if self._alone and not values[self._parameters[0].name]:
            return self.absent()
        if all(value and parameter.accepts(value) for parameter, value in self._pairs(values)):
            return values
        return None

    def absent(self) -> dict[str, str] | None:
        """What an empty place means: the default, nothing for an optional or catch-all one, or no match."""
        if not self._alone:
            return None
        parameter = self._parameters[0]
        if parameter.default is not None:
            return {parameter.name: parameter.default}
        return {} if parameter.optional or parameter.catch_all else None

    def _pairs(self, values: dict[str, str]) -> list[tuple[_Parameter, str]]:
        return [(parameter, values[parameter.name]) for parameter in self._parameters]


def _literal(text: str) -> str:
    if "{" in text.replace("{{", "") or "}" in text.replace("}}", ""):
        raise RouteError(f"the route part {text!r} is malformed")
    return re.escape(text.replace("{{", "{").replace("}}", "}"))


def _parameter(found: re.Match[str]) -> _Parameter:
    stars, name, constraints, tail = found.groups()
    return _Parameter(
        name=name,
        checks=tuple(_constraint(kind, argument or None) for kind, argument in _CONSTRAINT.findall(constraints)),
        default=tail[1:] if tail and tail.startswith("=") else None,
        optional=tail == "?",
        catch_all=bool(stars),
    )


def _decode(text: str) -> str:
    """Percent-decoding as Kestrel does it: an encoded slash stays encoded, so it never splits a segment."""
    return unquote(re.sub(r"%(2f)", r"%25\1", text, flags=re.IGNORECASE))
