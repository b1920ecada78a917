"""HTTP routes of literal segments, plain `{name}` parameters and a last `{*name}`, matched as ASP.NET Core does.

A literal ignores case. A parameter takes exactly one non-empty segment, percent-decoded; an encoded slash stays encoded
and never splits a segment. A last `{*name}` takes all that is left. One slash at the end of a path is ignored.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_REST = re.compile(r"\{\*([A-Za-z_][A-Za-z0-9_-]*)\}")
_BRACE = re.compile(r"[{}]")


class RouteError(ValueError):
    """A route template that is malformed, or uses syntax that this host does not support."""


class Route:
    """One route template, e.g. `recordings/{id}/replay`.

    `precedence`: routes are tried in ascending order, so that a literal is preferred to a parameter.
    """

    def __init__(self, template: str) -> None:
        self._segments = template.strip("/").split("/") if template.strip("/") else []
        rest = _REST.fullmatch(self._segments[-1]) if self._segments else None
        self._rest = rest[1] if rest else None
        if rest:
            self._segments.pop()
        self._names = [_name(segment, template) for segment in self._segments]
        self.precedence = (self._rest is not None, *(name is not None for name in self._names))

    def match(self, path: list[str]) -> dict[str, str] | None:
        """The route's parameters if it matches these path segments (still percent-encoded), else None."""
        if path and path[-1] == "":
            path = path[:-1]
        values: dict[str, str] = {}
        if self._rest and len(path) >= len(self._segments):
            values[self._rest] = "/".join(map(_decode, path[len(self._segments) :]))
            path = path[: len(self._segments)]
        if len(path) != len(self._segments):
            return None
        for segment, name, text in zip(self._segments, self._names, map(_decode, path), strict=True):
            if name is None and text.lower() != segment.lower():
                return None
            if name is not None:
                if not text:
                    return None
                values[name] = text
        return values


def _name(segment: str, template: str) -> str | None:
    """The parameter's name; None for a literal."""
    if match := _PARAMETER.fullmatch(segment):
        return match[1]
    if not segment or _BRACE.search(segment):
        raise RouteError(
            f"route {template!r}: this host supports literal segments, plain {{name}} parameters and a last {{*name}} "
            f"only, not {segment!r}"
        )
    return None


def _decode(text: str) -> str:
    """Percent-decoding as in Kestrel: an encoded slash stays encoded."""
    return unquote(re.sub(r"%(2f)", r"%25\1", text, flags=re.IGNORECASE))
