"""JSON over HTTP to the app and to control planes, with the standard library: no proxy, no retries."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 40.0


class HttpError(RuntimeError):
    """A response with status 300 or above; the message has its status and body."""


def ask(origin: str, path: str, *, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Any:
    """GET, or POST if there is a `body`; returns the decoded response. HttpError, OSError."""
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=_SECONDS)
    try:
        method = "GET" if body is None else "POST"
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, body=data, headers={"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status >= 300:
        raise HttpError(f"{method} {path}: {response.status} {text.decode(errors='replace')[:500]}")
    return json.loads(text)
