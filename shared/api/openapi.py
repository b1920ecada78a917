"""`GET /openapi.json`: the document, made of docs/openapi.yaml by `make openapi`; and which verbs a path has."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("openapi.json")
_VERBS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


@cache
def document() -> bytes:
    """The document as it is served."""
    return _FILE.read_bytes()


@cache
def _routes() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    paths: dict[str, dict[str, Any]] = json.loads(document())["paths"]
    return tuple(
        (
            re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))),
            tuple(verb.upper() for verb in _VERBS if verb in operations),
        )
        for path, operations in paths.items()
    )


def verbs_of(path: str) -> tuple[str, ...]:
    """The verbs of the route that `path` (below `/api`) is of; none where there is no such route."""
    for pattern, verbs in _routes():
        if pattern.fullmatch(path):
            return verbs
    return ()
